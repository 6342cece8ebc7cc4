//! Full and read-only disks, locks of other programs, flushes that fail, a clock that is set, a log that nobody reads:
//! the node says what is wrong, leaves nothing half-written, and goes on by itself.

mod clock;
mod database;
mod disk;
mod log;

use std::time::Duration;

use oa_api::{Client, ClientError, NewCluster};
use oa_test_services::eventually::eventually;
use oa_test_services::node::NodeHome;
use sea_orm::sqlx::sqlite::SqliteConnectOptions;
use sea_orm::sqlx::{ConnectOptions, Connection, Row, SqliteConnection};

/// How long something may take on a machine that is busy with other tests.
const SOON: Duration = Duration::from_secs(30);

/// A cluster record, which is one small write.
fn cluster(name: &str) -> NewCluster {
    NewCluster { etcd_token: name.to_owned(), ..NewCluster::default() }
}

/// Status, code, message and hint of a refusal.
fn refusal(error: ClientError) -> (u16, String, String, String) {
    match error {
        ClientError::Refused { status, code, message, hint, .. } => {
            (status, code.into(), message, hint.map(String::from).unwrap_or_default())
        }
        other => panic!("not a refusal: {other}"),
    }
}

async fn becomes_ready(home: &NodeHome, client: &Client) {
    let ready = eventually(SOON, || async { client.ready().await.is_ok() }).await;
    assert!(ready, "{:?}\n{}", client.ready().await, home.log());
}

/// How many lines of the log hold all of `words`.
fn lines(home: &NodeHome, words: &[&str]) -> usize {
    let log = home.log();
    log.lines().filter(|line| words.iter().all(|word| line.contains(word))).count()
}

/// A connection to a database of the node, as another program has it.
async fn connect(home: &NodeHome, file: &str) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(home.data().join(file));
    options.connect().await.expect("the file is a database")
}

/// What SQLite finds wrong in a database of the node.
async fn integrity(home: &NodeHome, file: &str) -> String {
    let mut connection = connect(home, file).await;
    let row = sea_orm::sqlx::query("PRAGMA integrity_check").fetch_one(&mut connection).await;
    let verdict = row.expect("it can be checked").get::<String, _>(0);
    connection.close().await.expect("it closes");
    verdict
}
