//! What the batching writer promises.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::{BoxFuture, join_all};
use oa_durable::{Database, DatabaseConfig, SetError, SetOutcome, SetWriter, WriteError};
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbErr};
use tempfile::TempDir;
use tokio::sync::oneshot;

/// A database with one table of numbers; the directory goes with it.
struct Numbers {
    db: Database,
    directory: TempDir,
}

#[derive(Debug, thiserror::Error)]
#[error("{0} is not wanted")]
struct Unwanted(i64);

impl Numbers {
    async fn open() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let db = open(&directory).await;
        db.write(|tx| {
            Box::pin(async move {
                tx.execute_unprepared("CREATE TABLE number (n INTEGER PRIMARY KEY)").await?;
                Ok(())
            })
        })
        .await
        .map_err(|error: WriteError| error)
        .expect("a table");
        Self { db, directory }
    }

    async fn add(&self, n: i64) -> Result<(), WriteError> {
        self.db.write(move |tx| Box::pin(async move { Ok(insert(tx, n).await?) })).await
    }

    async fn all(&self) -> Vec<i64> {
        all(&self.db).await
    }

    /// Holds the writer until the sender is used; resolves once the writer is held.
    async fn hold(&self) -> (oneshot::Sender<()>, tokio::task::JoinHandle<Result<(), WriteError>>) {
        let (release, released) = oneshot::channel::<()>();
        let (held, is_held) = oneshot::channel::<()>();
        let db = self.db.clone();
        let holder = tokio::spawn(async move {
            db.write(move |_tx| {
                Box::pin(async move {
                    let _ = held.send(());
                    let _ = released.await;
                    Ok(())
                })
            })
            .await
        });
        is_held.await.expect("the writer is held");
        (release, holder)
    }
}

async fn open(directory: &TempDir) -> Database {
    Database::open(DatabaseConfig::new(directory.path().join("numbers.db")))
        .await
        .expect("a database")
}

async fn insert(tx: &DatabaseTransaction, n: i64) -> Result<(), DbErr> {
    tx.execute_unprepared(&format!("INSERT INTO number (n) VALUES ({n})")).await?;
    Ok(())
}

async fn all(db: &Database) -> Vec<i64> {
    let rows = db.reader().query_all_raw(sea_orm::Statement::from_string(
        sea_orm::DbBackend::Sqlite,
        "SELECT n FROM number ORDER BY n",
    ));
    let rows = rows.await.expect("the numbers");
    rows.iter().map(|row| row.try_get("", "n").expect("a number")).collect()
}

#[tokio::test]
async fn a_write_is_visible_to_readers_once_it_is_answered() {
    let numbers = Numbers::open().await;
    for n in 0..20 {
        numbers.add(n).await.expect("written");
        assert_eq!(numbers.all().await.last(), Some(&n));
    }
}

#[tokio::test]
async fn writes_that_meet_share_a_commit() {
    let numbers = Numbers::open().await;
    let (release, holder) = numbers.hold().await;
    let before = numbers.db.counts().commits;

    let writes = join_all((0..100).map(|n| numbers.add(n)));
    let release = async {
        // All hundred are queued before the writer is free: the join polls them in order.
        tokio::task::yield_now().await;
        release.send(()).expect("the holder waits");
    };
    let (results, ()) = tokio::join!(writes, release);

    assert!(results.iter().all(Result::is_ok));
    holder.await.expect("no panic").expect("the holder's write");
    let counts = numbers.db.counts();
    assert_eq!(counts.commits - before, 3, "one for the holder, then 64 and 36");
    assert_eq!(counts.largest_batch, 64);
    assert_eq!(numbers.all().await, (0..100).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_failing_closure_takes_back_its_own_writes_alone() {
    let numbers = Numbers::open().await;
    let (release, holder) = numbers.hold().await;

    let refuse = numbers.db.write(|tx| {
        Box::pin(async move {
            insert(tx, 2).await?;
            Err::<(), _>(WriteError::Refused(Unwanted(2)))
        })
    });
    let violate = numbers.db.write(|tx| {
        Box::pin(async move {
            insert(tx, 4).await?;
            insert(tx, 1).await?;
            Ok(())
        })
    });
    let release = async { release.send(()).expect("the holder waits") };
    let (first, refused, violated, last, ()) =
        tokio::join!(numbers.add(1), refuse, violate, numbers.add(3), release);

    holder.await.expect("no panic").expect("the holder's write");
    first.expect("the batch goes on before");
    last.expect("the batch goes on after");
    assert!(matches!(refused, Err(WriteError::Refused(Unwanted(2)))));
    let violated: WriteError = violated.expect_err("the same key twice");
    assert!(!violated.is_retryable(), "{violated}");
    assert_eq!(numbers.all().await, [1, 3]);
}

#[tokio::test]
async fn a_lone_failing_closure_leaves_nothing_behind() {
    let numbers = Numbers::open().await;
    let refused = numbers.db.write(|tx| {
        Box::pin(async move {
            insert(tx, 1).await?;
            Err::<(), _>(WriteError::Refused(Unwanted(1)))
        })
    });
    refused.await.expect_err("refused");
    assert_eq!(numbers.all().await, [0; 0]);
    numbers.add(1).await.expect("the writer goes on");
}

#[tokio::test]
async fn a_panic_fails_that_closure_alone() {
    let numbers = Numbers::open().await;
    let (release, holder) = numbers.hold().await;
    let panic = numbers.db.write(|tx| {
        Box::pin(async move {
            insert(tx, 2).await?;
            assert!(tx.execute_unprepared("SELECT 1").await.is_err(), "a planted panic");
            Ok(())
        })
    });
    let release = async { release.send(()).expect("the holder waits") };
    let (first, panicked, last, ()) = tokio::join!(numbers.add(1), panic, numbers.add(3), release);

    holder.await.expect("no panic").expect("the holder's write");
    first.expect("the batch goes on before");
    last.expect("the batch goes on after");
    let panicked: WriteError = panicked.expect_err("a panic");
    assert!(matches!(panicked, WriteError::Panicked));
    assert_eq!(numbers.all().await, [1, 3]);
}

#[tokio::test]
async fn a_write_inside_a_write_is_refused_instead_of_waiting_for_itself() {
    let numbers = Numbers::open().await;
    let inner = numbers.db.clone();
    let nested: Result<(), WriteError> = numbers
        .db
        .write(move |_tx| {
            Box::pin(async move {
                inner.write(|tx| Box::pin(async move { Ok(insert(tx, 1).await?) })).await
            })
        })
        .await;
    assert!(matches!(nested, Err(WriteError::Nested)));
}

#[tokio::test]
async fn a_reader_cannot_write() {
    let numbers = Numbers::open().await;
    numbers
        .db
        .reader()
        .execute_unprepared("INSERT INTO number (n) VALUES (1)")
        .await
        .expect_err("read-only");
    assert_eq!(numbers.all().await, [0; 0]);
}

#[tokio::test]
async fn work_whose_caller_has_gone_away_is_still_written() {
    let numbers = Numbers::open().await;
    let (release, holder) = numbers.hold().await;
    {
        let abandoned = numbers.add(7);
        tokio::pin!(abandoned);
        assert!(futures_util::poll!(&mut abandoned).is_pending());
    }
    release.send(()).expect("the holder waits");
    holder.await.expect("no panic").expect("the holder's write");
    numbers.add(8).await.expect("a later write");
    assert_eq!(numbers.all().await, [7, 8]);
}

#[tokio::test]
async fn a_second_opener_is_refused_with_path_and_pid() {
    let numbers = Numbers::open().await;
    let path = numbers.directory.path().join("numbers.db");
    let refused = Database::open(DatabaseConfig::new(&path)).await.expect_err("it is open");
    let text = refused.to_string();
    assert!(text.contains(&path.display().to_string()), "{text}");
    assert!(text.contains(&format!("process {}", std::process::id())), "{text}");
    numbers.add(1).await.expect("the first opener is not disturbed");
}

#[tokio::test]
async fn a_database_dropped_without_close_opens_again_with_everything_in_it() {
    let numbers = Numbers::open().await;
    numbers.add(1).await.expect("written");
    let Numbers { db, directory } = numbers;
    drop(db);
    let again = open(&directory).await;
    assert_eq!(all(&again).await, [1]);
}

#[tokio::test]
async fn closing_writes_what_is_queued_and_refuses_what_comes_later() {
    let numbers = Numbers::open().await;
    let (release, holder) = numbers.hold().await;
    let release = async { release.send(()).expect("the holder waits") };
    let (queued, (), ()) = tokio::join!(numbers.add(1), numbers.db.close(), release);

    queued.expect("it was queued before the end");
    holder.await.expect("no panic").expect("the holder's write");
    assert!(matches!(numbers.add(2).await, Err(WriteError::Closed)));
    let again = open(&numbers.directory).await;
    assert_eq!(all(&again).await, [1]);
}

#[tokio::test]
async fn relaxed_work_rides_with_the_next_commit() {
    let numbers = Numbers::open().await;
    let before = numbers.db.counts().commits;
    let relaxed = numbers.db.write_relaxed(Duration::from_secs(3600), |tx| {
        Box::pin(async move { Ok(insert(tx, 1).await?) })
    });
    let (relaxed, added) = tokio::join!(relaxed, numbers.add(2));
    let relaxed: Result<(), WriteError> = relaxed;
    relaxed.expect("written with the other");
    added.expect("written");
    assert_eq!(numbers.db.counts().commits - before, 1);
}

#[tokio::test]
async fn relaxed_work_gets_its_own_commit_when_its_time_has_come() {
    let numbers = Numbers::open().await;
    let relaxed: Result<(), WriteError> = numbers
        .db
        .write_relaxed(Duration::from_millis(1), |tx| {
            Box::pin(async move { Ok(insert(tx, 1).await?) })
        })
        .await;
    relaxed.expect("written");
    assert_eq!(numbers.all().await, [1]);
}

#[tokio::test]
async fn the_files_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let numbers = Numbers::open().await;
    numbers.add(1).await.expect("written");
    for entry in numbers.directory.path().read_dir().expect("the directory") {
        let entry = entry.expect("an entry");
        let mode = entry.metadata().expect("its mode").permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", entry.path().display());
    }
}

/// Writes numbers with one statement and counts how often it was asked.
struct NumberSet {
    calls: Arc<AtomicU64>,
}

impl SetWriter for NumberSet {
    type Job = i64;
    type Out = i64;
    type Refusal = Unwanted;

    fn write<'a>(
        &'a self,
        tx: &'a DatabaseTransaction,
        jobs: &'a [i64],
    ) -> BoxFuture<'a, Result<Vec<SetOutcome<Self>>, SetError>> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        Box::pin(async move {
            let (wanted, _): (Vec<i64>, Vec<i64>) = jobs.iter().partition(|n| **n >= 0);
            if !wanted.is_empty() {
                let rows: Vec<String> = wanted.iter().map(|n| format!("({n})")).collect();
                let insert = format!("INSERT OR IGNORE INTO number (n) VALUES {}", rows.join(", "));
                let written = tx.execute_unprepared(&insert).await?.rows_affected();
                SetError::check(wanted.len() as u64, written)?;
            }
            Ok(jobs.iter().map(|n| if *n >= 0 { Ok(n * 2) } else { Err(Unwanted(*n)) }).collect())
        })
    }
}

#[tokio::test]
async fn jobs_of_a_lane_that_meet_are_written_together() {
    let numbers = Numbers::open().await;
    let calls = Arc::new(AtomicU64::new(0));
    let lane = numbers.db.lane(NumberSet { calls: Arc::clone(&calls) });
    let (release, holder) = numbers.hold().await;

    let jobs = join_all([3, -1, 5].map(|n| lane.submit(n)));
    let release = async { release.send(()).expect("the holder waits") };
    let (answers, ()) = tokio::join!(jobs, release);

    holder.await.expect("no panic").expect("the holder's write");
    assert!(
        matches!(answers[..], [Ok(6), Err(WriteError::Refused(Unwanted(-1))), Ok(10)]),
        "{answers:?}"
    );
    assert_eq!(calls.load(Ordering::Relaxed), 1);
    assert_eq!(numbers.all().await, [3, 5]);
}

#[tokio::test]
async fn a_set_with_a_short_count_is_run_again_one_by_one() {
    let numbers = Numbers::open().await;
    numbers.add(5).await.expect("written");
    let calls = Arc::new(AtomicU64::new(0));
    let lane = numbers.db.lane(NumberSet { calls: Arc::clone(&calls) });
    let (release, holder) = numbers.hold().await;

    let jobs = join_all([3, 5, 7].map(|n| lane.submit(n)));
    let release = async { release.send(()).expect("the holder waits") };
    let (answers, ()) = tokio::join!(jobs, release);

    holder.await.expect("no panic").expect("the holder's write");
    assert!(
        matches!(answers[..], [Ok(6), Err(WriteError::Short { expected: 1, written: 0 }), Ok(14)]),
        "{answers:?}"
    );
    assert_eq!(calls.load(Ordering::Relaxed), 4, "together, then one by one");
    assert_eq!(numbers.all().await, [3, 5, 7]);
}
