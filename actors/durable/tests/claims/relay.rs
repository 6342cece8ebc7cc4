//! What the relay promises. The test stands at the desk that takes the envelopes, and decides about each.

use std::time::Duration;

use crate::support::{Attempt, Desk, Ping, Store};
use futures_util::FutureExt;
use oa_durable::{Outbox, Relay, RelayConfig};
use oa_runtime::{Address, Backoff, PublishError};
use oa_test_services::disk::SmallDisk;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// A store with a relay at work.
struct Post {
    store: Store,
    attempts: mpsc::UnboundedReceiver<Attempt>,
    relay: JoinHandle<()>,
}

impl Post {
    async fn open(config: RelayConfig) -> Self {
        Self::over(Store::open().await, config)
    }

    fn over(store: Store, config: RelayConfig) -> Self {
        let (desk, attempts) = Desk::open();
        let relay = tokio::spawn(Relay::run(store.outbox.clone(), desk, config));
        Self { store, attempts, relay }
    }

    async fn next(&mut self) -> Attempt {
        let next = tokio::time::timeout(Duration::from_secs(20), self.attempts.recv()).await;
        next.expect("the relay hands over in time").expect("the relay runs")
    }

    /// Resolves once the outbox has nothing pending.
    async fn settled(&self) {
        let settled = async {
            while self.store.outbox.backlog().await.expect("read").pending > 0 {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), settled).await.expect("settled in time");
    }

    async fn stop(self) -> Store {
        self.relay.abort();
        let _ = self.relay.await;
        self.store
    }
}

/// Never looks by itself for an hour, so that only wake-ups and its own rests bring it to the table; rests are short.
fn only_woken() -> RelayConfig {
    RelayConfig {
        look: Duration::from_secs(3600),
        patience: Duration::from_millis(1),
        rest: Backoff::doubling(Duration::from_millis(1), Duration::from_millis(4)),
        outage_rest: Backoff::doubling(Duration::from_millis(1), Duration::from_millis(4)),
        ..RelayConfig::default()
    }
}

fn no_route() -> PublishError {
    PublishError::NoRoute { address: Address::new("", "builder").expect("an address") }
}

fn down() -> PublishError {
    PublishError::Unavailable { reason: "broker is away".to_owned() }
}

#[tokio::test]
async fn a_message_is_handed_over_right_after_its_commit() {
    let mut post = Post::open(only_woken()).await;
    for n in 0..10 {
        post.store.put(vec![Ping::to("builder", n)]).await.expect("written");
        let attempt = post.next().await;
        assert_eq!(attempt.n(), n);
        attempt.confirm();
    }
    post.settled().await;
}

#[tokio::test]
async fn no_wake_up_is_lost_however_commits_and_looks_interleave() {
    let mut post = Post::open(only_woken()).await;
    let outbox = post.store.outbox.clone();
    let writers = (0..8).map(|writer| {
        let db = outbox.database().clone();
        tokio::spawn(async move {
            for n in 0..25 {
                let envelope = Ping::to("builder", writer * 25 + n);
                db.write(move |tx| {
                    Box::pin(async move {
                        Ok::<(), oa_durable::WriteError>(Outbox::insert(tx, &envelope).await?)
                    })
                })
                .await
                .expect("written");
            }
        })
    });
    let writers: Vec<_> = writers.collect();
    let mut seen: Vec<u32> = Vec::new();
    while seen.len() < 200 {
        let attempt = post.next().await;
        seen.push(attempt.n());
        attempt.confirm();
    }
    for writer in writers {
        writer.await.expect("a writer ends");
    }
    post.settled().await;
    seen.sort_unstable();
    assert_eq!(seen, (0..200).collect::<Vec<_>>(), "each once");
}

#[tokio::test]
async fn a_failed_message_is_published_again_with_the_same_id() {
    let mut post = Post::open(only_woken()).await;
    post.store.put(vec![Ping::to("builder", 1)]).await.expect("written");
    let first = post.next().await;
    let id = first.envelope.message_id();
    first.fail(no_route());
    let second = post.next().await;
    assert_eq!(second.envelope.message_id(), id);
    second.confirm();
    post.settled().await;
    assert_eq!(post.store.outbox.backlog().await.expect("read").parked, 0);
}

#[tokio::test]
async fn a_message_that_finds_no_mailbox_is_parked_after_its_tries() {
    let mut post = Post::open(RelayConfig { tries: 3, ..only_woken() }).await;
    post.store.put(vec![Ping::to("builder", 1)]).await.expect("written");
    for _ in 0..3 {
        post.next().await.fail(no_route());
    }
    post.settled().await;
    let parked = post.store.outbox.parked(10).await.expect("read");
    assert_eq!((parked[0].tries, parked[0].why.as_deref()), (3, Some("no mailbox `/builder`")));
}

#[tokio::test]
async fn a_refused_message_is_parked_at_once_and_holds_up_no_other() {
    let mut post = Post::open(only_woken()).await;
    post.store.put(vec![Ping::to("builder", 1), Ping::to("builder", 2)]).await.expect("written");
    for _ in 0..2 {
        let attempt = post.next().await;
        if attempt.n() == 1 {
            attempt.fail(PublishError::Refused { reason: "signature".to_owned() });
        } else {
            attempt.confirm();
        }
    }
    post.settled().await;
    assert_eq!(post.store.outbox.parked(10).await.expect("read").len(), 1);
}

#[tokio::test]
async fn an_outage_is_waited_for_beyond_the_tries_of_a_message() {
    let mut post = Post::open(RelayConfig { tries: 3, ..only_woken() }).await;
    post.store.put(vec![Ping::to("builder", 1)]).await.expect("written");
    for _ in 0..10 {
        post.next().await.fail(down());
    }
    post.next().await.confirm();
    post.settled().await;
    assert_eq!(post.store.outbox.backlog().await.expect("read").parked, 0);
}

#[tokio::test]
async fn in_an_outage_one_message_probes_and_the_rest_follow_its_success() {
    let outage_rest = Backoff::doubling(Duration::from_millis(20), Duration::from_millis(40));
    let mut post = Post::open(RelayConfig { outage_rest, ..only_woken() }).await;
    post.store.put(vec![Ping::to("builder", 0)]).await.expect("written");
    post.next().await.fail(down());
    let fresh: Vec<_> = (1..50).map(|n| Ping::to("builder", n)).collect();
    post.store.put(fresh).await.expect("written");

    post.next().await.confirm();
    let mut followers = 0;
    while followers < 49 {
        post.next().await.confirm();
        followers += 1;
    }
    post.settled().await;
    assert!(post.attempts.recv().now_or_never().is_none(), "nothing was published twice");
}

#[tokio::test]
async fn an_outage_of_one_mailbox_does_not_hold_up_another() {
    let outage_rest = Backoff::doubling(Duration::from_secs(3600), Duration::from_secs(3600));
    let mut post = Post::open(RelayConfig { outage_rest, ..only_woken() }).await;
    post.store.put(vec![Ping::to("builder", 1)]).await.expect("written");
    post.next().await.fail(down());
    post.store.put(vec![Ping::to("builder", 2), Ping::to("deployer", 3)]).await.expect("written");
    let attempt = post.next().await;
    assert_eq!(attempt.n(), 3);
    attempt.confirm();
}

#[tokio::test]
async fn at_most_a_window_is_on_its_way_at_once() {
    let mut post = Post::open(RelayConfig { window: 10, ..only_woken() }).await;
    post.store.put((0..30).map(|n| Ping::to("builder", n)).collect()).await.expect("written");
    let mut on_their_way = Vec::new();
    for _ in 0..10 {
        on_their_way.push(post.next().await);
    }
    // Ten decisions are open: an eleventh attempt would be against the window.
    let eleventh = tokio::time::timeout(Duration::from_millis(100), post.attempts.recv()).await;
    eleventh.map(|_| ()).expect_err("the window is full");
    on_their_way.into_iter().for_each(Attempt::confirm);
    for _ in 0..20 {
        post.next().await.confirm();
    }
    post.settled().await;
}

#[tokio::test]
async fn what_was_on_its_way_when_the_relay_ended_is_published_again() {
    let mut post = Post::open(only_woken()).await;
    post.store.put(vec![Ping::to("builder", 1)]).await.expect("written");
    let first = post.next().await;
    let id = first.envelope.message_id();
    let store = post.stop().await;
    drop(first);

    let mut post = Post::over(store, only_woken());
    let again = post.next().await;
    assert_eq!(again.envelope.message_id(), id);
    again.confirm();
    post.settled().await;
}

#[tokio::test]
async fn the_relay_ends_with_its_database() {
    let post = Post::open(RelayConfig { look: Duration::from_millis(5), ..only_woken() }).await;
    post.store.db.close().await;
    tokio::time::timeout(Duration::from_secs(20), post.relay)
        .await
        .expect("it ends")
        .expect("in order");
}

#[tokio::test]
async fn what_is_stored_is_handed_over_on_a_full_disk_and_once() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let Some(disk) = SmallDisk::mount(&directory.path().join("disk"), 2048) else { return };
    let store = Store::open_at(directory, disk.path().join("store.db")).await;
    store.put((1..=3).map(|n| Ping::to("builder", n)).collect()).await.expect("there is room");
    let mut trouble = store.db.trouble();

    disk.fill();
    let mut post = Post::over(store, RelayConfig::default());
    let mut numbers = Vec::new();
    for _ in 1..=3 {
        let attempt = post.next().await;
        numbers.push(attempt.n());
        attempt.confirm();
    }
    numbers.sort_unstable();
    assert_eq!(numbers, [1, 2, 3]);
    let limit = Duration::from_secs(20);
    let noticed = tokio::time::timeout(limit, trouble.wait_for(Option::is_some)).await;
    noticed.expect("the marks have no room").expect("the database is open");

    disk.free();
    post.settled().await;
    assert!(post.attempts.try_recv().is_err(), "none of them is handed over twice");
    let store = post.stop().await;
    store.db.close().await;
    // The disk goes before the directory that it is mounted in.
    drop(disk);
}
