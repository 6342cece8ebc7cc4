//! What happens when the disk is full, another program locks the file, or the file is damaged.

use std::time::Duration;

use oa_durable::{Database, DatabaseConfig, OpenError, WriteError};
use sea_orm::sqlx::sqlite::SqliteConnectOptions;
use sea_orm::sqlx::{ConnectOptions, Connection, Executor};
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbErr};
use tempfile::TempDir;

async fn open(directory: &TempDir) -> Database {
    let db = Database::open(DatabaseConfig::new(directory.path().join("trouble.db")))
        .await
        .expect("a database");
    run(&db, "CREATE TABLE IF NOT EXISTS text (t TEXT NOT NULL)").await.expect("a table");
    db
}

async fn run(db: &Database, sql: &'static str) -> Result<(), WriteError> {
    db.write(move |tx| Box::pin(async move { Ok(execute(tx, sql).await?) })).await
}

async fn execute(tx: &DatabaseTransaction, sql: &str) -> Result<(), DbErr> {
    tx.execute_unprepared(sql).await.map(drop)
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
    assert!(matches!(full, WriteError::DiskFull(_)) && full.is_retryable(), "{full:?}");
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
async fn the_lock_of_another_program_is_waited_for_and_then_named() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let db = open(&directory).await;
    let mut other =
        SqliteConnectOptions::new().filename(db.path()).connect().await.expect("another program");
    other.execute("BEGIN IMMEDIATE").await.expect("it locks the file");

    let locked = run(&db, "INSERT INTO text VALUES ('late')").await.expect_err("the limit passes");
    assert!(matches!(locked, WriteError::Busy(_)) && locked.is_retryable(), "{locked:?}");

    let waiting = run(&db, "INSERT INTO text VALUES ('in time')");
    let release = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        other.execute("ROLLBACK").await.expect("it unlocks the file");
    };
    let (written, ()) = tokio::join!(waiting, release);
    written.expect("the lock was released in time");
    other.close().await.expect("closed");
    assert_eq!(rows(&db).await, 1);
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
