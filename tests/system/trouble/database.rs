//! Another program locks the database; the disk fails to flush it.

use std::process::Stdio;
use std::time::{Duration, Instant};

use oa_test_services::eventually::eventually;
use oa_test_services::node::NodeHome;
use sea_orm::sqlx::Executor;
use tokio::process::Command;

use super::{SOON, becomes_ready, cluster, connect, integrity, lines, refusal};
use crate::stage::{Hello, client_of, deployed};

/// How long the node waits for a lock.
const BUSY_LIMIT: Duration = Duration::from_secs(5);

#[tokio::test]
async fn a_short_lock_is_waited_for_and_a_long_one_is_named_and_over_when_it_is_released() {
    let home = NodeHome::new();
    let node = home.start().await;
    let client = client_of(&node);
    let mut other = connect(&home, "store.db").await;

    // Shorter than the limit: nobody notices but by the time that it takes.
    other.execute("BEGIN IMMEDIATE").await.expect("it locks the file");
    let (short, soon) = (cluster("short"), cluster("soon"));
    let waits = client.create_cluster(&short);
    let release = async {
        tokio::time::sleep(Duration::from_millis(1500)).await;
        other.execute("ROLLBACK").await.expect("it unlocks the file");
    };
    tokio::join!(waits, release).0.expect("it waited for the lock");
    assert_eq!(lines(&home, &["is locked by"]), 0, "{}", home.log());

    // Longer: each caller hears of it within the limit, with the name of the program.
    other.execute("BEGIN IMMEDIATE").await.expect("it locks the file");
    let began = Instant::now();
    let late = async {
        tokio::time::sleep(BUSY_LIMIT / 2).await;
        client.create_cluster(&soon).await
    };
    let (first, second, reading) =
        tokio::join!(client.create_cluster(&soon), late, client.clusters());
    assert!(began.elapsed() < BUSY_LIMIT + BUSY_LIMIT / 2, "{:?}", began.elapsed());
    assert!(began.elapsed() >= BUSY_LIMIT, "it is not refused before the limit");
    reading.expect("reading goes on");
    let (status, code, message, hint) = refusal(first.expect_err("it is locked"));
    assert_eq!((status, code.as_str()), (503, "database_locked"), "{message}");
    let me = format!("process {}", std::process::id());
    assert!(message.contains(&me) && hint.contains(&me), "{message}; {hint}");
    assert_eq!(refusal(second.expect_err("it is locked")).1, "database_locked");
    assert_eq!(refusal(client.ready().await.expect_err("not ready")).1, "database_locked");
    let why = client.why().await.expect("reading goes on");
    assert!(why.iter().any(|finding| finding.reason_code == "database_locked"), "{why:#?}");

    other.execute("ROLLBACK").await.expect("it unlocks the file");
    becomes_ready(&home, &client).await;
    client.create_cluster(&soon).await.expect("nothing of it was written before");
    assert_eq!(lines(&home, &["store.db is locked by process"]), 1, "{}", home.log());
    assert_eq!(lines(&home, &["it has passed"]), 1, "{}", home.log());
    node.stop().await;
}

#[tokio::test]
async fn a_second_node_in_the_same_directory_is_told_who_is_there() {
    let home = NodeHome::new();
    let node = home.start().await;
    let output = home.command().output().await.expect("oa-node runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let path = home.data().display().to_string();
    assert!(said.contains(&format!("another node uses the data directory {path}")), "{said}");
    assert!(
        said.contains(&format!("process {}", node.id())) && said.contains("try: stop it"),
        "{said}"
    );
    node.stop().await;
}

#[tokio::test]
async fn after_a_flush_that_failed_the_node_ends_at_once_and_the_next_one_goes_on() {
    let home = NodeHome::new().with_argument("--stop-units");
    let mut node = home.start().await;
    let client = client_of(&node);
    let Some(mut tracer) = fail_flushes(&home, node.id()).await else { return };

    // Whoever asks hears that it failed or that the node has gone, never that it is written.
    client.create_cluster(&cluster("in-doubt")).await.expect_err("it cannot be known");
    let status = node.ended().await;
    assert_eq!(status.code(), Some(74), "{}", home.log());
    tracer.wait().await.expect("the tracer ends with the node");
    assert_eq!(
        lines(&home, &["the disk failed to flush a commit", "nobody knows what it holds"]),
        2
    );

    let node = home.start().await;
    let client = client_of(&node);
    let known = client.clusters().await.expect("it answers");
    let copies = known.iter().filter(|known| known.etcd_token == "in-doubt").count();
    assert!(copies <= 1);
    deployed(&home, &client, &Hello::new().workflow()).await;
    assert!(node.stop().await.success());
    assert_eq!(integrity(&home, "store.db").await, "ok");
}

/// From now on the disk fails each flush of the process; `None`, with the reason printed, where nobody may be traced.
async fn fail_flushes(home: &NodeHome, process: u32) -> Option<tokio::process::Child> {
    let said = home.data().with_file_name("strace");
    let output = std::fs::File::create(&said).expect("a writable directory");
    let tracer = Command::new("/usr/bin/strace")
        .args(["-f", "-e", "trace=fsync,fdatasync", "-e", "inject=fsync,fdatasync:error=EIO"])
        .args(["-p", &process.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(output)
        .kill_on_drop(true)
        .spawn()
        .expect("`make test` installs strace");
    let read = || std::fs::read_to_string(&said).unwrap_or_default();
    let decided = || async { read().contains("attached") || read().contains("not permitted") };
    assert!(eventually(SOON, decided).await, "{}", read());
    if read().contains("not permitted") {
        eprintln!("SKIPPED: no process can be traced here, so no flush can fail: {}", read());
        return None;
    }
    Some(tracer)
}
