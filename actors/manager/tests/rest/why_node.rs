//! `GET /why`: everything on the node that waits, failed or is refused now.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use oa_manager::Trouble;
use oa_protocol::mailbox;
use oa_protocol::module::Heartbeat;
use oa_runtime::{Actor, Backoff, ChildSpec, Context, Envelope, Failure};
use oa_store::Clock;
use serde_json::json;

use crate::http::Request;
use crate::manager::TestManager;
use crate::why::{findings, only};

#[tokio::test]
async fn a_node_on_which_all_is_well_has_nothing_to_say_and_says_it_to_those_with_a_token() {
    let manager = TestManager::start().await;
    assert_eq!(findings(&manager, "/why").await, []);
    for path in
        ["/why", "/clusters/east/why", "/clusters/east/units/a.service/why", "/workflows/x/why"]
    {
        Request::new("GET", path).send(manager.address()).await.expect_status(401);
    }
}

#[tokio::test]
async fn a_transport_and_a_database_that_are_away_are_told_of() {
    let manager = TestManager::start().await;
    manager.transport().go_down("the cable is out");
    only(&manager, "/why", "transport_down", &["the cable is out", "by itself"]).await;
    manager.transport().come_up();
    manager.store().close().await;
    only(&manager, "/why", "database_down", &["does not answer"]).await;
}

#[tokio::test]
async fn a_part_whose_storage_fails_is_told_of_by_the_word_of_its_trouble() {
    let manager = TestManager::start().await;
    let now: Arc<Mutex<Option<Trouble>>> = Arc::default();
    let seen = Arc::clone(&now);
    manager.health().watch(move || seen.lock().expect("no panic").clone());
    for code in ["storage_full", "storage_read_only", "database_locked", "storage_failed"] {
        *now.lock().expect("no panic") = Some(Trouble {
            part: "builder".to_owned(),
            code: code.to_owned(),
            message: "it cannot write to /var/lib/oa".to_owned(),
            hint: "free some space".to_owned(),
        });
        let words = ["/var/lib/oa", "free some space; it goes on by itself then"];
        let finding = only(&manager, "/why", code, &words).await;
        assert_eq!(finding.subject, "builder");
    }
    *now.lock().expect("no panic") = None;
    assert_eq!(findings(&manager, "/why").await, [], "it is told of as long as it lasts");
}

#[tokio::test]
async fn a_component_that_is_not_heard_of_any_more_is_told_of_until_its_next_heartbeat() {
    let now_ms = Arc::new(AtomicI64::new(1_800_000_000_000));
    let clock = Arc::clone(&now_ms);
    let manager = TestManager::start_at(Clock::new(move || clock.load(Ordering::SeqCst))).await;
    let heartbeat = |status: &str| Heartbeat {
        hostname: "build-1".to_owned(),
        kind: "builder".to_owned(),
        status: status.to_owned(),
        workload: Vec::new(),
    };
    let modules = manager.store().modules();
    modules.heartbeat(&heartbeat("active"), None).await.expect("registered");
    assert_eq!(findings(&manager, "/why").await, []);
    now_ms.fetch_add(120_000, Ordering::SeqCst);
    only(&manager, "/why", "component_silent", &["2 min 0 s", "build-1"]).await;
    modules.heartbeat(&heartbeat("inactive"), None).await.expect("said goodbye");
    now_ms.fetch_add(120_000, Ordering::SeqCst);
    assert_eq!(findings(&manager, "/why").await, [], "who said goodbye is not missed");
}

/// Fails whenever it is started.
struct Broken;

impl Actor for Broken {
    const KIND: &'static str = "broken";
    type Args = ();

    async fn init(_args: &(), _ctx: &mut Context<Self>) -> Result<Self, Failure> {
        Err(Failure::new("the disk is full".to_owned()))
    }
}

#[tokio::test]
async fn an_actor_that_rests_after_a_failure_is_told_of_with_its_reason() {
    let manager = TestManager::start().await;
    let rest = Backoff::doubling(Duration::from_secs(3600), Duration::from_secs(3600));
    let spec = ChildSpec::<Broken>::new(()).backoff(rest);
    let _broken = manager.system().spawn(spec).expect("it is spawned");
    let told = async {
        while findings(&manager, "/why").await.is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), told).await.expect("it failed");
    only(&manager, "/why", "component_failing", &["the disk is full", "by itself"]).await;
}

#[tokio::test]
async fn messages_that_were_set_aside_are_told_of_wherever_they_are() {
    let manager = TestManager::start().await;
    // A report that nobody can read: it is parked in the mailbox of the Manager.
    let address = manager.post_office().address(mailbox::SYSTEM_MODULES);
    let unreadable = Envelope::from_parts(address, "poem.haiku", 1, b"{}".to_vec());
    manager.post_office().publish(unreadable).await.expect("published");
    let told = async {
        while findings(&manager, "/why").await.is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), told).await.expect("it is parked");
    let finding = only(&manager, "/why", "message_parked", &["poem.haiku", "system_modules"]).await;
    assert!(finding.evidence.message_id.is_some());

    let plan = json!({"deployment_repo": "acme/shop", "milestones": ["config"]});
    let path = manager.workflow(plan).await;
    manager.post(&format!("{path}/execute"), json!({})).await.expect_status(202);
    let outbox = manager.store().outbox();
    let command = outbox.waiting(1).await.expect("read").remove(0);
    outbox.park(command.id.clone(), "no mailbox".into()).await.expect("parked");
    let found = findings(&manager, "/why").await;
    let of_outbox = found.iter().find(|finding| finding.subject.contains(&command.id));
    assert!(of_outbox.is_some_and(|f| f.reason.contains("builder.config")), "{found:#?}");
}
