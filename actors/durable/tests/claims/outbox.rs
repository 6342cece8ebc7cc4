//! What outbox, inbox, dead messages and migrations promise.

use std::collections::HashSet;
use std::time::Duration;

use crate::support::{Ping, Store, Tables};
use futures_util::FutureExt;
use oa_durable::{Database, DeadMessages, Inbox, MigrateError, Outbox, Retention, WriteError};
use oa_runtime::transport::ParkedMail;
use sea_orm::DbErr;
use sea_orm_migration::{MigrationName, MigrationTrait, MigratorTrait, SchemaManager};

const FAR: i64 = i64::MAX;

#[tokio::test]
async fn an_inserted_message_is_due_until_it_is_marked_sent() {
    let store = Store::open().await;
    let envelope = Ping::to("builder", 1);
    store.put(vec![envelope.clone()]).await.expect("written");

    let due = store.outbox.due(10, FAR).await.expect("read");
    assert_eq!(due.len(), 1);
    assert_eq!(due[0].envelope().expect("readable"), envelope);
    store.outbox.sent(vec![due[0].id.clone()]).await.expect("marked");

    assert_eq!(store.outbox.due(10, FAR).await.expect("read"), []);
    assert_eq!(store.outbox.backlog().await.expect("read").pending, 0);
}

#[tokio::test]
async fn a_message_of_a_closure_that_was_rolled_back_never_appears() {
    let store = Store::open().await;
    let refused: Result<(), WriteError> = store
        .db
        .write(|tx| {
            Box::pin(async move {
                Outbox::insert(tx, &Ping::to("builder", 1)).await?;
                Err(WriteError::Database(DbErr::Custom("planted".to_owned())))
            })
        })
        .await;
    refused.expect_err("refused");
    store.put(vec![Ping::to("builder", 2)]).await.expect("written");

    let due = store.outbox.due(10, FAR).await.expect("read");
    let numbers: Vec<u32> = due
        .iter()
        .map(|row| row.envelope().expect("readable").decode::<Ping>().expect("a ping").n)
        .collect();
    assert_eq!(numbers, [2]);
}

#[tokio::test]
async fn a_wake_up_is_kept_while_nobody_waits() {
    let store = Store::open().await;
    assert_eq!(store.outbox.notified().now_or_never(), None, "nothing was inserted");

    store.put(vec![Ping::to("builder", 1)]).await.expect("written");
    store.put(vec![Ping::to("builder", 2)]).await.expect("written");

    assert_eq!(store.outbox.notified().now_or_never(), Some(()));
    assert_eq!(store.outbox.notified().now_or_never(), None, "one look sees both");
}

#[tokio::test]
async fn a_postponed_message_is_due_at_its_time_and_counts_the_try() {
    let store = Store::open().await;
    let envelope = Ping::to("builder", 1);
    let id = envelope.message_id().to_string();
    store.put(vec![envelope]).await.expect("written");
    store.outbox.postpone(id, FAR - 1, "no mailbox".to_owned()).await.expect("written");

    assert_eq!(store.outbox.due(10, FAR - 2).await.expect("read"), []);
    let due = store.outbox.due(10, FAR - 1).await.expect("read");
    assert_eq!((due[0].tries, due[0].why.as_deref()), (1, Some("no mailbox")));
}

#[tokio::test]
async fn a_clock_that_is_set_back_delays_no_message() {
    let store = Store::open().await;
    let (first, second) = (Ping::to("builder", 1), Ping::to("builder", 2));
    let id = second.message_id().to_string();
    store.put(vec![first, second]).await.expect("written");
    let two_hours_ago = now_ms() - 7_200_000;
    store.outbox.postpone(id, two_hours_ago + 60_000, "later".to_owned()).await.expect("written");

    let due = store.outbox.due(10, two_hours_ago).await.expect("read");
    let numbers: Vec<u32> = due
        .iter()
        .map(|row| row.envelope().expect("readable").decode::<Ping>().expect("a ping").n)
        .collect();
    assert_eq!(numbers, [1], "the other one rests for a minute, as it was told to");
}

#[tokio::test]
async fn a_parked_message_waits_for_a_person_and_then_gets_new_tries() {
    let store = Store::open().await;
    let envelope = Ping::to("builder", 1);
    let id = envelope.message_id().to_string();
    store.put(vec![envelope]).await.expect("written");
    store.outbox.park(id.clone(), "refused".to_owned()).await.expect("written");

    assert_eq!(store.outbox.due(10, FAR).await.expect("read"), []);
    assert_eq!(store.outbox.parked(10).await.expect("read")[0].why.as_deref(), Some("refused"));
    assert!(store.outbox.unpark(id.clone()).await.expect("written"));
    assert!(!store.outbox.unpark(id).await.expect("written"), "it is not parked any more");
    assert_eq!(store.outbox.due(10, FAR).await.expect("read")[0].tries, 0);
}

#[tokio::test]
async fn the_inbox_tells_a_second_delivery() {
    let store = Store::open().await;
    let insert = |ids: [&'static str; 2]| {
        store.db.write(move |tx| {
            Box::pin(async move {
                let ids = ids.map(str::to_owned);
                Ok::<_, WriteError>(Inbox::insert_all(tx, &ids, 1).await?)
            })
        })
    };
    assert_eq!(
        insert(["a", "b"]).await.expect("written"),
        HashSet::from(["a".to_owned(), "b".to_owned()])
    );
    assert_eq!(insert(["b", "c"]).await.expect("written"), HashSet::from(["c".to_owned()]));
    let again: Result<bool, WriteError> =
        store.db.write(|tx| Box::pin(async move { Ok(Inbox::insert(tx, "c", 2).await?) })).await;
    assert!(!again.expect("written"));
}

#[tokio::test]
async fn old_rows_are_pruned_and_pending_ones_never() {
    let store = Store::open().await;
    let (sent, pending) = (Ping::to("builder", 1), Ping::to("builder", 2));
    let sent_id = sent.message_id().to_string();
    store.put(vec![sent, pending]).await.expect("written");
    store.outbox.sent(vec![sent_id]).await.expect("marked");
    let inbox = Inbox::new(store.db.clone());
    let noted: Result<bool, WriteError> =
        store.db.write(|tx| Box::pin(async move { Ok(Inbox::insert(tx, "old", 1).await?) })).await;
    assert!(noted.expect("written"));

    let keep = Retention::default();
    assert_eq!(keep.prune(&store.outbox, None).await.expect("pruned"), 0, "the sent one is young");
    assert_eq!(
        keep.prune(&store.outbox, Some(&inbox)).await.expect("pruned"),
        1,
        "the note is from 1970"
    );
    // In the millisecond after the mark.
    while store.outbox.prune(now_ms(), 10).await.expect("pruned") == 0 {}
    assert_eq!(store.outbox.due(10, FAR).await.expect("read").len(), 1);
}

fn now_ms() -> i64 {
    let since =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    i64::try_from(since.as_millis()).expect("before the year 292 million")
}

#[tokio::test]
async fn a_dead_message_is_kept_once_until_somebody_resolves_it() {
    let store = Store::open().await;
    let dead = DeadMessages::new(store.db.clone());
    let mail = ParkedMail {
        envelope: Ping::to("builder", 1),
        reason: "poison".to_owned(),
        parked_at_ms: 5,
    };
    for expected in [true, false] {
        let mail = mail.clone();
        let new: Result<bool, WriteError> = store
            .db
            .write(move |tx| Box::pin(async move { Ok(DeadMessages::insert(tx, &mail).await?) }))
            .await;
        assert_eq!(new.expect("written"), expected);
    }
    let open = dead.open(10).await.expect("read");
    assert_eq!(
        (open.len(), open[0].reason.as_str(), open[0].mailbox.as_str()),
        (1, "poison", "/builder")
    );
    assert!(dead.resolve(open[0].id.clone(), "ada".to_owned()).await.expect("written"));
    assert_eq!(dead.open(10).await.expect("read"), []);
}

/// A later release, whose second migration fails half-way.
struct Later;

struct HalfWay;

impl MigratorTrait for Later {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        let mut migrations = Tables::migrations();
        migrations.push(Box::new(HalfWay));
        migrations
    }
}

impl MigrationName for HalfWay {
    fn name(&self) -> &str {
        "half_way"
    }
}

#[allow(elided_lifetimes_in_paths, reason = "the trait elides it")]
#[sea_orm_migration::async_trait::async_trait]
impl MigrationTrait for HalfWay {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        sea_orm::ConnectionTrait::execute_unprepared(db, "CREATE TABLE half (n INTEGER)").await?;
        sea_orm::ConnectionTrait::execute_unprepared(db, "NOT SQL").await?;
        Ok(())
    }
}

#[tokio::test]
async fn a_migration_that_fails_leaves_nothing_behind() {
    let store = Store::open().await;
    let failed = store.db.migrate::<Later>().await.expect_err("it fails half-way");
    assert!(matches!(&failed, MigrateError::Failed { name, .. } if name == "half_way"), "{failed}");

    let half =
        sea_orm::ConnectionTrait::execute_unprepared(store.db.reader(), "SELECT n FROM half").await;
    half.expect_err("the table was taken back");
    store.db.migrate::<Tables>().await.expect("and nothing is noted");
}

/// An older release, which knows no migration at all.
struct Older;

impl MigratorTrait for Older {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        Vec::new()
    }
}

#[tokio::test]
async fn an_older_release_does_not_touch_a_newer_schema() {
    let store = Store::open().await;
    let refused = store.db.migrate::<Older>().await.expect_err("it knows nothing");
    assert!(
        matches!(&refused, MigrateError::Newer { names } if names == &["baseline"]),
        "{refused}"
    );
}

#[tokio::test]
async fn two_migrations_at_once_apply_each_step_once() {
    let store = Store::open().await;
    let path = store.directory.path().join("fresh.db");
    let fresh = Database::open(oa_durable::DatabaseConfig::new(path)).await.expect("a database");
    let (one, two) = tokio::join!(fresh.migrate::<Tables>(), fresh.migrate::<Tables>());
    one.expect("migrated");
    two.expect("nothing left to do");
}

#[tokio::test]
async fn the_flush_time_of_the_disk_is_measured() {
    let store = Store::open().await;
    let flush = store.db.flush_time().await.expect("measured");
    assert!(flush > Duration::ZERO);
    let left = store.directory.path().read_dir().expect("the directory").filter_map(Result::ok);
    assert!(
        left.map(|entry| entry.file_name())
            .all(|name| !name.to_string_lossy().starts_with(".flush"))
    );
}
