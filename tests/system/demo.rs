//! The demo, as a newcomer runs it.

use std::process::Stdio;
use std::time::Duration;

use oa_test_services::node::binaries;
use tokio::process::Command;

use crate::stage::processes;

/// The demo waits for the default settling time of two seconds; the rest is room for a busy machine.
const DONE_WITHIN: Duration = Duration::from_secs(60);

#[tokio::test]
async fn the_demo_ends_with_demo_ok_and_leaves_nothing_running() {
    let demo = Command::new(binaries().join("oa"))
        .arg("demo")
        .env("DEMO_ONCE", "1")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();

    let output =
        tokio::time::timeout(DONE_WITHIN, demo).await.expect("it ends in time").expect("oa runs");

    let (said, chatter) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}\n{chatter}");
    assert_eq!(said.lines().last(), Some("demo ok"), "{said}\n{chatter}");
    for instance in ["hello@0.service", "hello@1.service"] {
        assert!(said.contains(&format!("hello from {instance}")), "{instance} answered: {said}");
    }
    let directory = chatter
        .split_whitespace()
        .find(|word| word.contains("oa-demo-"))
        .unwrap_or_default()
        .to_owned();
    assert!(!directory.is_empty(), "the demo names its directory: {chatter}");
    let root = directory.trim_end_matches("/node").to_owned();
    assert_eq!(processes("cmdline", |line| line.contains(&root)), Vec::<u32>::new());
}
