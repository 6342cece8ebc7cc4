//! The process is killed while it writes.
//!
//! The test starts itself again as the victim, which says on its output what the journal has answered. Whatever it
//! said must be there afterwards, and everything that is there must be whole.

use std::collections::BTreeMap;
use std::env;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use oa_protocol::WorkflowId;
use oa_store::Applied;

use crate::support::{NOON, Site, configured, deployed, execute, open, report};

const PLACE: &str = "OA_STORE_CRASH_TEST_DIR";
const VICTIM: &str = "crash::the_victim_writes_until_it_is_killed";
/// Answers after which the victim is killed.
const ENOUGH: usize = 150;

/// Does nothing unless the test below starts it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_victim_writes_until_it_is_killed() {
    let Ok(dir) = env::var(PLACE) else { return };
    let now = Arc::new(AtomicI64::new(NOON));
    let store = open(dir.as_ref(), &now).await;
    let site =
        Arc::new(Site { store, now, dir: tempfile::tempdir().expect("a temporary directory") });
    let lives = (0..8).map(|lane| {
        let site = Arc::clone(&site);
        tokio::spawn(async move {
            loop {
                let id = site.workflow(&["config", "deploy"]).await;
                said(id, site.apply(id, execute()).await);
                said(
                    id,
                    site.apply(
                        id,
                        report(site.live_key(id).await, configured(&format!("app{lane}"))),
                    )
                    .await,
                );
                said(id, site.apply(id, report(site.live_key(id).await, deployed())).await);
            }
        })
    });
    futures_util::future::join_all(lives).await;
}

fn said(id: WorkflowId, applied: Applied) {
    let Applied::Changed { version, .. } = applied else { panic!("every event changes something") };
    let mut out = std::io::stdout().lock();
    writeln!(out, "answered {id} {version}").expect("somebody reads");
    out.flush().expect("somebody reads");
}

#[tokio::test]
async fn what_was_answered_survives_a_kill_and_nothing_is_half_written() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut victim = Command::new(env::current_exe().expect("this test"))
        .args(["--exact", VICTIM, "--nocapture"])
        .env(PLACE, dir.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    let lines = BufReader::new(victim.stdout.take().expect("it is piped")).lines();
    let mut answered: BTreeMap<WorkflowId, u64> = BTreeMap::new();
    let mut count = 0;
    for line in lines.map_while(Result::ok) {
        // The harness may print its own words before the first line.
        let Some((_, words)) = line.split_once("answered ") else { continue };
        let (id, version) = words.split_once(' ').expect("two words");
        answered.insert(id.parse().expect("an id"), version.parse().expect("a number"));
        count += 1;
        if count == ENOUGH {
            victim.kill().expect("it runs");
        }
    }
    victim.wait().expect("it is gone");
    assert!(count >= ENOUGH, "the victim ended by itself after {count} answers");

    let now = Arc::new(AtomicI64::new(NOON));
    let store = open(dir.path(), &now).await;
    let site = Site { store, now, dir };
    for (id, version) in answered {
        assert!(site.get(id).await.version >= version, "{id} was answered with {version}");
        site.check_journal(id).await;
    }
    assert_eq!(site.offenders().await, 0);
    assert!(site.live_attempts().await.values().all(|live| *live == 1));
    let queued = site
        .rows("SELECT count(*) AS n FROM step_attempts", |row| row.try_get::<i64>("", "n"))
        .await;
    let commands = site.sent().await.len();
    assert_eq!(
        queued[0].as_ref().expect("a number"),
        &(commands as i64),
        "one command for each attempt"
    );
    for id in site.store.journal().open_workflows().await.expect("an answer") {
        let record = site.get(id).await;
        let news = if record.current_seq == Some(0) { configured("late") } else { deployed() };
        site.apply(id, report(site.live_key(id).await, news)).await;
    }
}
