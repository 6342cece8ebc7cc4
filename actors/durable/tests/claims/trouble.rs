//! What happens when the disk is full, another program locks the file, or the file is damaged.

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::{Duration, Instant};

use oa_durable::{Database, DatabaseConfig, OpenError, StorageError, StorageKind, WriteError};
use oa_test_services::disk::SmallDisk;
use sea_orm::sqlx::sqlite::SqliteConnectOptions;
use sea_orm::sqlx::{ConnectOptions, Connection, Executor};
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbErr};
use tempfile::TempDir;

/// How long something may take that is awaited.
const LIMIT: Duration = Duration::from_secs(20);

async fn open(directory: &TempDir) -> Database {
    open_with_busy_limit(directory, Duration::from_secs(5)).await
}

async fn open_with_busy_limit(directory: &TempDir, busy_limit: Duration) -> Database {
    let config = DatabaseConfig::new(directory.path().join("trouble.db"));
    let db = Database::open(DatabaseConfig { busy_limit, ..config }).await.expect("a database");
    run(&db, "CREATE TABLE IF NOT EXISTS text (t TEXT NOT NULL)").await.expect("a table");
    db
}

async fn run(db: &Database, sql: &'static str) -> Result<(), WriteError> {
    db.write(move |tx| Box::pin(async move { Ok(execute(tx, sql).await?) })).await
}

async fn execute(tx: &DatabaseTransaction, sql: &str) -> Result<(), DbErr> {
    tx.execute_unprepared(sql).await.map(drop)
}

fn kind(error: &WriteError) -> Option<StorageKind> {
    error.storage().map(StorageError::kind)
}

async fn rows(db: &Database) -> usize {
    let select = sea_orm::Statement::from_string(sea_orm::DbBackend::Sqlite, "SELECT t FROM text");
    db.reader().query_all_raw(select).await.expect("read").len()
}

/// A small limit of the writer's connection stands for a full disk.
async fn fill_disk(db: &Database) {
    run(db, "PRAGMA max_page_count = 100").await.expect("set");
}

/// Ten megabytes, which a database of a few pages has no room for.
const TOO_MUCH: &str = "INSERT INTO text VALUES (hex(zeroblob(5000000)))";

#[tokio::test]
async fn a_full_disk_is_a_retryable_error_and_writing_goes_on_when_there_is_room() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let db = open(&directory).await;
    fill_disk(&db).await;
    let full = run(&db, TOO_MUCH).await.expect_err("no room");
    assert!(kind(&full) == Some(StorageKind::Full) && full.is_retryable(), "{full:?}");
    run(&db, "INSERT INTO text VALUES ('small')").await.expect("there is room for little");

    // SQLite ended the transaction, and the writer has opened a new connection, which does not know the limit.
    fill_disk(&db).await;
    // In one batch: whoever does not get in gets a retryable error, and whoever is told so is in.
    let (big, small) =
        tokio::join!(run(&db, TOO_MUCH), run(&db, "INSERT INTO text VALUES ('small')"));
    let full = big.expect_err("no room");
    assert!(full.is_retryable(), "{full:?}");
    let expected = if small.is_ok() { 2 } else { 1 };
    assert_eq!(rows(&db).await, expected);
    run(&db, "INSERT INTO text VALUES ('small')").await.expect("writing goes on");
}

#[tokio::test]
async fn a_disk_that_is_full_is_said_with_path_and_figures_and_ends_by_itself() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let Some(disk) = SmallDisk::mount(&directory.path().join("disk"), 4096) else { return };
    let db = Database::open(DatabaseConfig::new(disk.path().join("trouble.db")))
        .await
        .expect("a database");
    run(&db, "CREATE TABLE text (t TEXT NOT NULL)").await.expect("a table");
    run(&db, "INSERT INTO text VALUES ('before')").await.expect("there is room");
    let mut trouble = db.trouble();

    disk.fill();
    let full = refused(&db).await;
    assert_eq!(kind(&full), Some(StorageKind::Full), "{full:?}");
    let text = full.to_string();
    assert!(
        text.contains(&db.path().display().to_string()) && text.contains("bytes free"),
        "{text}"
    );
    let storage = full.storage().expect("a storage error");
    assert!(storage.hint().contains("free some space"), "{}", storage.hint());
    assert!(rows(&db).await >= 1, "reading goes on");
    assert_eq!(trouble.borrow().as_ref().map(|now| now.kind()), Some(StorageKind::Full));

    disk.free();
    let passed = tokio::time::timeout(LIMIT, trouble.wait_for(Option::is_none));
    passed.await.expect("it ends without any write").expect("the database is open");
    run(&db, "INSERT INTO text VALUES ('after')").await.expect("there is room again");
    let check =
        sea_orm::Statement::from_string(sea_orm::DbBackend::Sqlite, "PRAGMA integrity_check");
    let verdict = db.reader().query_one_raw(check).await.expect("read").expect("a row");
    assert_eq!(verdict.try_get::<String>("", "integrity_check").as_deref(), Ok("ok"));
    db.close().await;
}

/// Writes until there is no room; a log that is being used again may take a few more.
async fn refused(db: &Database) -> WriteError {
    for _ in 0..100 {
        if let Err(error) = run(db, "INSERT INTO text VALUES (hex(zeroblob(10000)))").await {
            return error;
        }
    }
    panic!("a full disk takes everything")
}

#[tokio::test]
async fn a_database_that_may_only_be_read_is_said_to_be_so_and_tried_again() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let db = open(&directory).await;
    let trouble = db.trouble();
    // SQLite's own word for it, as it also gives it for a file system that became read-only.
    run(&db, "PRAGMA query_only = ON").await.expect("set");
    let refused = run(&db, "INSERT INTO text VALUES ('x')").await.expect_err("it is read-only");
    assert_eq!(kind(&refused), Some(StorageKind::ReadOnly), "{refused:?}");
    assert!(refused.is_retryable() && trouble.borrow().is_some());
    // The writer opened a new connection, and that one may write.
    run(&db, "INSERT INTO text VALUES ('x')").await.expect("it passed");
    assert!(trouble.borrow().is_none());
}

#[tokio::test]
async fn the_lock_of_another_program_is_waited_for_and_then_named() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let db = open_with_busy_limit(&directory, Duration::from_millis(400)).await;
    let mut trouble = db.trouble();
    let mut other =
        SqliteConnectOptions::new().filename(db.path()).connect().await.expect("another program");
    other.execute("BEGIN IMMEDIATE").await.expect("it locks the file");

    let began = Instant::now();
    let locked = run(&db, "INSERT INTO text VALUES ('late')").await.expect_err("the limit passes");
    assert_eq!(kind(&locked), Some(StorageKind::Locked), "{locked:?}");
    assert!(locked.is_retryable() && began.elapsed() >= Duration::from_millis(400));
    assert!(locked.to_string().contains("locked by another program"), "{locked}");

    // While it goes on, many that come together wait for one limit and not for one each.
    let began = Instant::now();
    let many = (0..200).map(|_| run(&db, "INSERT INTO text VALUES ('late')"));
    let answers = futures_util::future::join_all(many).await;
    assert!(answers.iter().all(Result::is_err));
    assert!(began.elapsed() < Duration::from_millis(1500), "{:?}", began.elapsed());

    let waiting = run(&db, "INSERT INTO text VALUES ('in time')");
    let release = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        other.execute("ROLLBACK").await.expect("it unlocks the file");
    };
    let (written, ()) = tokio::join!(waiting, release);
    if written.is_err() {
        // It met the end of a wait that had begun before; the next one is in time.
        let passed = tokio::time::timeout(LIMIT, trouble.wait_for(Option::is_none));
        passed.await.expect("it ends without any write").expect("the database is open");
        run(&db, "INSERT INTO text VALUES ('in time')").await.expect("nobody holds the lock");
    }
    other.close().await.expect("closed");
    assert_eq!(rows(&db).await, 1);
}

/// Not a test: what the process of the next test runs. It says when it has the lock, and ends with its input.
#[tokio::test]
async fn holds_the_lock() {
    let Some(path) = std::env::var_os("OA_TEST_LOCK_THIS") else { return };
    let mut locker = SqliteConnectOptions::new().filename(path).connect().await.expect("opened");
    locker.execute("BEGIN IMMEDIATE").await.expect("it locks the file");
    eprintln!("locked");
    let _end_of_input = std::io::stdin().read_line(&mut String::new());
}

#[tokio::test]
async fn the_process_that_holds_the_lock_is_named() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let db = open_with_busy_limit(&directory, Duration::from_millis(100)).await;
    let mut holder = std::process::Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "trouble::holds_the_lock", "--nocapture"])
        .env("OA_TEST_LOCK_THIS", db.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let said = BufReader::new(holder.stderr.take().expect("piped")).lines();
    assert!(said.map_while(Result::ok).any(|line| line.contains("locked")));

    let locked = run(&db, "INSERT INTO text VALUES ('late')").await.expect_err("it is locked");
    let text = locked.to_string();
    assert!(text.contains(&format!("is locked by process {} (", holder.id())), "{text}");
    let mut trouble = db.trouble();
    drop(holder.stdin.take());
    holder.wait().expect("it ends");
    let passed = tokio::time::timeout(LIMIT, trouble.wait_for(Option::is_none));
    passed.await.expect("it ends without any write").expect("the database is open");
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused_and_left_as_it_is() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("trouble.db");
    let text = "this is a letter, and it is longer than the header of a database: ".repeat(10);
    std::fs::write(&path, &text).expect("written");
    let refused = Database::open(DatabaseConfig::new(&path)).await.expect_err("no database");
    assert!(matches!(refused, OpenError::Database { .. }), "{refused:?}");
    assert_eq!(std::fs::read_to_string(&path).expect("read"), text);
}

#[tokio::test]
async fn a_directory_that_is_missing_is_named() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("missing").join("trouble.db");
    let refused = Database::open(DatabaseConfig::new(&path)).await.expect_err("no directory");
    assert!(refused.to_string().contains("missing"), "{refused}");
}
