//! Nodes crash, stop and are upgraded; the units do not notice.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use oa_test_services::eventually::eventually;
use oa_test_services::node::{NodeHome, binaries};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use crate::stage::{Hello, answer, client_of, deployed, keepers, programs};

/// Longest time that anything awaited here may take; it never does.
const PATIENCE: Duration = Duration::from_secs(20);

/// The node's program under another name, as another release.
fn release(directory: &TempDir, name: &str) -> PathBuf {
    let (program, release) = (binaries().join("oa-node"), directory.path().join(name));
    if std::fs::hard_link(&program, &release).is_err() {
        std::fs::copy(&program, &release).expect("the program can be copied");
    }
    release
}

/// Puts something else where a program lies, as a package manager does.
fn replace(program: &Path) {
    let other = program.with_extension("new");
    std::fs::write(&other, "not a program").expect("a file");
    std::fs::rename(other, program).expect("it is replaced");
}

/// Where the programs of the keepers lie, one for each keeper.
fn releases(home: &NodeHome) -> Vec<String> {
    let link = |id| std::fs::read_link(format!("/proc/{id}/exe"));
    let mut links: Vec<String> = keepers(home)
        .into_iter()
        .filter_map(|id| Some(link(id).ok()?.display().to_string()))
        .collect();
    links.sort();
    links
}

/// Asks an address again and again, each time over a new connection.
struct Visitor {
    task: JoinHandle<()>,
    is_over: Arc<AtomicBool>,
    served: Arc<AtomicUsize>,
    refused: Arc<AtomicUsize>,
}

impl Visitor {
    fn of(address: &str) -> Self {
        let _already_installed = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().pool_max_idle_per_host(0).build();
        let (client, url) = (client.expect("a client"), format!("http://{address}/"));
        let is_over = Arc::new(AtomicBool::new(false));
        let (served, refused) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let (over, good, bad) = (is_over.clone(), served.clone(), refused.clone());
        let task = tokio::spawn(async move {
            while !over.load(Ordering::Relaxed) {
                let is_served =
                    client.get(&url).send().await.is_ok_and(|r| r.status().is_success());
                let count = if is_served { &good } else { &bad };
                count.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        Self { task, is_over, served, refused }
    }

    /// How often it was served, and how often not.
    async fn end(self) -> (usize, usize) {
        self.is_over.store(true, Ordering::Relaxed);
        self.task.await.expect("no panic");
        (self.served.load(Ordering::Relaxed), self.refused.load(Ordering::Relaxed))
    }
}

#[tokio::test]
async fn units_serve_without_a_gap_while_their_node_crashes_stops_and_is_upgraded() {
    let directory = TempDir::new().expect("a temporary directory");
    let (first, second) = (release(&directory, "first"), release(&directory, "second"));
    let (home, hello) = (NodeHome::new().with_program(first.clone()), Hello::new());
    let node = home.start().await;
    let done = deployed(&home, &client_of(&node), &hello.workflow()).await;
    let addresses = done.deployed_units().into_iter().filter_map(|unit| unit.address.clone());
    let addresses: Vec<String> = addresses.collect();
    let before = (keepers(&home), programs(&home));
    assert_eq!((before.0.len(), before.1.len()), (2, 2));
    let visitors: Vec<Visitor> = addresses.iter().map(|address| Visitor::of(address)).collect();

    node.kill().await;
    replace(&first);
    let home = home.with_program(second.clone());
    let node = home.start().await;
    assert_eq!((keepers(&home), programs(&home)), before, "after a crash, by the next release");
    assert!(node.stop().await.success());
    assert_eq!((keepers(&home), programs(&home)), before, "after an orderly stop");
    let home = home.with_argument("--stop-units");
    let node = home.start().await;
    assert_eq!((keepers(&home), programs(&home)), before, "adopted by the third node");

    for visitor in visitors {
        let (served, refused) = visitor.end().await;
        assert!(served > 10 && refused == 0, "served {served} times, refused {refused} times");
    }
    let gone = |program: &Path| format!("{} (deleted)", program.display());
    assert_eq!(releases(&home), [gone(&first), gone(&first)], "old keepers are of the old release");

    // What is at the path of a running node is no longer its program; its next keeper is of its own release.
    replace(&second);
    let keeper = i32::try_from(before.0[0]).ok().and_then(Pid::from_raw).expect("a process");
    kill_process(keeper, Signal::KILL).expect("it is there");
    let one_of_each = || async { releases(&home) == [gone(&first), gone(&second)] };
    assert!(eventually(PATIENCE, one_of_each).await, "{:?}\n{}", releases(&home), home.log());
    for address in &addresses {
        let serves = || async { TcpStream::connect(address.as_str()).await.is_ok() };
        assert!(eventually(PATIENCE, serves).await, "{}", home.log());
        answer(address).await;
    }
    assert_eq!(programs(&home).len(), 2, "what the dead keeper left is gone");
    assert!(node.stop().await.success());
    assert!(keepers(&home).is_empty() && programs(&home).is_empty(), "{}", home.log());
}
