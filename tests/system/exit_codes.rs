//! What `oa` says to scripts: each exit code, from the real binary and a real node.

use std::process::Stdio;
use std::time::Duration;

use oa_test_services::eventually::eventually;
use oa_test_services::node::{NodeHome, TestNode, binaries};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::Command;

use crate::stage::{Hello, client_of};

/// A unit that runs and is never healthy: nothing listens on its port.
const NEVER_HEALTHY: &str =
    "[Service]\nExecStart=/bin/sleep 86400\nEnvironment=PORT=<%= dst_port %>\n";
const SOON: Duration = Duration::from_secs(20);

/// How a command ended.
struct Ran {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

/// `oa` for `node`, with nothing of the tester's environment that could matter.
fn oa(node: &TestNode, arguments: &[&str]) -> Command {
    let mut command = Command::new(binaries().join("oa"));
    command.args(arguments).stdin(Stdio::null());
    command.env_remove("OA_DATA_DIR").env("OA_URL", node.url()).env("OA_TOKEN", node.token());
    command
}

async fn ran(mut command: Command) -> Ran {
    let output = command.output().await.expect("oa runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ran { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
}

async fn expect(node: &TestNode, code: i32, arguments: &[&str], words: &[&str]) -> Ran {
    let ran = ran(oa(node, arguments)).await;
    assert_eq!(ran.code, Some(code), "oa {arguments:?}\n{}{}", ran.stdout, ran.stderr);
    for word in words {
        assert!(ran.stderr.contains(word), "oa {arguments:?}: no `{word}` in\n{}", ran.stderr);
    }
    ran
}

#[tokio::test]
async fn a_deployment_that_runs_exits_0_and_ends_with_the_addresses() {
    let (home, hello) = (NodeHome::new().with_argument("--stop-units"), Hello::new());
    let node = home.start().await;
    let repo = hello.deployment.path().display().to_string();
    let ran =
        expect(&node, 0, &["deploy", "--repo", &repo, "--ref", "main"], &["deployed in"]).await;
    let url = format!("  http://127.0.0.1:{}  ", home.first_port());
    assert!(ran.stdout.contains("hello@0.service") && ran.stdout.contains(&url), "{}", ran.stdout);
    expect(&node, 0, &["status"], &[]).await;
    expect(&node, 0, &["why"], &["nothing waits, failed or is refused"]).await;
    expect(&node, 0, &["why", "hello@0"], &["hello@0.service on local runs"]).await;

    // A reader that has seen enough.
    let mut command = oa(&node, &["workflow", "list"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("oa runs");
    drop(child.stdout.take());
    let output = child.wait_with_output().await.expect("oa ends");
    assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0));
    node.stop().await;
}

#[tokio::test]
async fn what_fails_is_refused_is_wrong_or_missing_has_a_code_of_its_own_and_says_what_to_do() {
    let (home, hello) = (NodeHome::new(), Hello::new());
    let node = home.start().await;
    let repo = hello.deployment.path().display().to_string();
    let broken = ["deploy", "--repo", &repo, "--ref", "mian"];
    expect(&node, 1, &broken, &["failed at `config`", "why: ", "mian", "; oa why 0"]).await;
    let why = expect(&node, 0, &["why", "last"], &[]).await;
    assert!(why.stdout.contains("[revision_not_found]"), "{}", why.stdout);
    let status = expect(&node, 0, &["status"], &[]).await;
    assert!(
        status.stdout.contains("1 thing needs a look; `oa why` says more"),
        "{}",
        status.stdout
    );

    expect(&node, 2, &["deploy"], &["--repo"]).await;
    expect(&node, 2, &["deploi"], &["deploy"]).await;
    expect(&node, 2, &["status", "--output", "jsn"], &["json"]).await;

    let dance = ["deploy", "--repo", &repo, "--milestones", "config,deplyo"];
    expect(&node, 3, &dance, &["did you mean `deploy`"]).await;
    let mut stranger = oa(&node, &["status"]);
    stranger.env("OA_TOKEN", "wrong");
    assert_eq!(ran(stranger).await.code, Some(3));
    expect(&node, 3, &["workflow", "cancel", "last"], &["already completed"]).await;

    expect(&node, 4, &["workflow", "show", "7777"], &["no id begins like that"]).await;
    expect(&node, 4, &["logs", "hello@7"], &["cannot be found"]).await;
    expect(&node, 4, &["why", "lcoal"], &["oa why local"]).await;
    let url = node.url().to_owned();
    let (mut down, mut tls) = (oa(&node, &["status"]), oa(&node, &["status"]));
    tls.env("OA_URL", url.replace("http://", "https://"));
    let tls = ran(tls).await;
    assert!(tls.code == Some(1) && tls.stderr.contains("set OA_URL to http://"), "{}", tls.stderr);
    node.stop().await;
    let down = ran({
        down.env("OA_URL", url);
        down
    })
    .await;
    assert!(down.code == Some(1) && down.stderr.contains("oa-node"), "{}", down.stderr);
}

#[tokio::test]
async fn too_late_cancelled_from_elsewhere_and_interrupted_are_told_apart() {
    let hello = Hello::with_unit(NEVER_HEALTHY);
    let home = NodeHome::new().with_argument("--stop-units");
    let node = home.start().await;
    let repo = hello.deployment.path().display().to_string();
    let deploy = ["deploy", "--repo", &repo, "--ref", "main"];

    let hurried = [&deploy[..], &["--timeout", "300ms"]].concat();
    let late = expect(&node, 5, &hurried, &["has not ended"]).await;
    assert!(late.stderr.contains("oa why "), "{}", late.stderr);
    let client = client_of(&node);
    let told = eventually(SOON, || async {
        let id = client
            .workflows(&oa_api::WorkflowFilter::default())
            .await
            .expect("a list")
            .remove(0)
            .id;
        let found = client.why_workflow(&id).await.expect("an answer");
        found.iter().any(|finding| finding.reason_code == "step_waits")
    });
    assert!(told.await, "a deployment that waits for health says so");
    expect(&node, 0, &["workflow", "cancel", "last"], &["is cancelled"]).await;

    // Somebody else cancels what is watched here; Ctrl-C, twice, ends the watching alone.
    for interrupted in [false, true] {
        let child = oa(&node, &deploy).stderr(Stdio::piped()).spawn().expect("oa runs");
        let is_new = eventually(SOON, || async {
            let known = client.workflows(&oa_api::WorkflowFilter::default()).await.expect("a list");
            known.iter().any(|workflow| !workflow.workflow_completed && workflow.steps.len() == 2)
        });
        assert!(is_new.await);
        if interrupted {
            let id = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
            for _ in 0..2 {
                kill_process(id.expect("it runs"), Signal::INT).expect("it is there");
            }
        } else {
            expect(&node, 0, &["workflow", "cancel", "last", "--detach"], &[]).await;
        }
        let output = child.wait_with_output().await.expect("oa ends");
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(6), "{text}");
        let word = if interrupted { "goes on by itself" } else { "was cancelled" };
        assert!(text.contains(word), "{text}");
    }
    expect(&node, 0, &["workflow", "cancel", "last"], &[]).await;
    node.stop().await;
}
