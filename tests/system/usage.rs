//! `oa usage` says what ran, whatever happened meanwhile.

use std::process::Stdio;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use oa_api::{Client, Usage, UsageFilter};
use oa_test_services::clock::TestClock;
use oa_test_services::eventually::eventually;
use oa_test_services::node::{NodeHome, TestNode, binaries};
use rustix::process::{Pid, Signal, kill_process};

use crate::stage::{Hello, client_of, deployed, keepers, programs};

const HOURS_2: i64 = 2 * 3600;
const SOON: Duration = Duration::from_secs(20);

/// Everything that ran, whatever the node takes for today.
fn always() -> UsageFilter {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    let year = 1970 + now.as_secs() / 31_556_952;
    let (from, to) = (format!("{}-12-01", year - 1), format!("{year}-12-31"));
    UsageFilter { from: Some(from), to: Some(to), ..UsageFilter::default() }
}

async fn usage(client: &Client) -> Usage {
    client.usage(&always()).await.expect("the usage is readable")
}

/// Seconds, runs and unknown ends of the sample application.
async fn sums(client: &Client) -> (f64, u64, u64) {
    let rows = usage(client).await.rows;
    assert!(rows.iter().all(|row| row.product == "bare" && row.cluster == "local"), "{rows:?}");
    rows.iter().fold((0.0, 0, 0), |(seconds, runs, unknown), row| {
        (seconds + row.unit_seconds, runs + row.intervals, unknown + row.unknown_intervals)
    })
}

async fn until(client: &Client, what: &str, holds: impl Fn((f64, u64, u64)) -> bool) {
    let held = eventually(SOON, || async { holds(sums(client).await) }).await;
    assert!(held, "{what}: {:?}", usage(client).await);
}

fn kill(id: u32) {
    let pid = i32::try_from(id).ok().and_then(Pid::from_raw).expect("a process id");
    kill_process(pid, Signal::KILL).expect("the process is there");
}

async fn oa_usage(node: &TestNode, arguments: &[&str]) -> String {
    let output = tokio::process::Command::new(binaries().join("oa"))
        .arg("usage")
        .args(arguments)
        .env("OA_URL", node.url())
        .env("OA_TOKEN", node.token())
        .stdin(Stdio::null())
        .output()
        .await
        .expect("oa runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let both = [output.stdout, output.stderr].concat();
    String::from_utf8(both).expect("oa prints UTF-8")
}

/// Seconds since the boot, by the clock that nobody sets.
fn uptime() -> f64 {
    let text = std::fs::read_to_string("/proc/uptime").expect("/proc is there");
    text.split(' ').next().and_then(|seconds| seconds.parse().ok()).expect("a number")
}

/// When a process began, in the same seconds: field 22 of its `stat`, in hundredths.
fn began(id: u32) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{id}/stat")).expect("the process is there");
    let fields = text.rsplit_once(')').expect("a name").1.split_whitespace();
    let ticks: f64 = fields.skip(19).find_map(|field| field.parse().ok()).expect("a number");
    ticks / 100.0
}

/// What the programs of units ran, as the test saw it.
#[derive(Debug, Default)]
struct Measured {
    least: f64,
    most: f64,
}

impl Measured {
    fn run(&mut self, began: f64, ended_after: f64, ended_before: f64) {
        self.least += ended_after - began;
        self.most += ended_before - began;
    }

    /// Within half a second of what was measured, on a machine that may be busy.
    fn has(&self, seconds: f64) -> bool {
        self.least - 0.5 <= seconds && seconds <= self.most + 0.5
    }
}

#[tokio::test]
async fn what_ran_is_summed_to_the_second_across_crashes_and_clock_steps() {
    let clock = TestClock::new();
    let home = NodeHome::new().with_argument("--stop-units").with_clock(&clock);
    let hello = Hello::new();
    let mut measured = Measured::default();

    // Two units run; the node is killed and its clock is set, while it is away and again while it runs.
    let node = home.start().await;
    deployed(&home, &client_of(&node), &hello.workflow()).await;
    until(&client_of(&node), "both runs are known", |(_, runs, _)| runs == 2).await;
    node.kill().await;
    clock.set(HOURS_2);
    let node = home.start().await;
    let client = client_of(&node);
    clock.set(-HOURS_2);

    // A unit's program dies, and is started again.
    let dying = programs(&home)[0];
    let its_begin = began(dying);
    kill(dying);
    measured.run(its_begin, uptime(), uptime());
    until(&client, "a third run", |(_, runs, _)| runs == 3).await;

    // An orderly stop ends them both; the next node starts them again and knows everything.
    let begins: Vec<f64> = programs(&home).into_iter().map(began).collect();
    let ended_after = uptime();
    assert!(node.stop().await.success());
    begins.iter().for_each(|begin| measured.run(*begin, ended_after, uptime()));
    assert_eq!((begins.len(), programs(&home).len()), (2, 0));
    let node = home.start().await;
    let client = client_of(&node);
    until(&client, "the runs have ended", |(seconds, runs, _)| runs == 5 && measured.has(seconds))
        .await;

    // Killed keepers leave two runs whose end is unknown; the units run again.
    keepers(&home).into_iter().for_each(kill);
    until(&client, "the end is unknown", |(_, runs, unknown)| (runs, unknown) == (7, 2)).await;
    let (seconds, ..) = sums(&client).await;
    assert!(measured.has(seconds), "{measured:?}: {seconds}");

    let UsageFilter { from, to, .. } = always();
    let (from, to) = (from.expect("a day"), to.expect("a day"));
    let days = ["--from", &from, "--to", &to];
    let text = oa_usage(&node, &days).await;
    assert!(text.contains("bare") && text.contains("whose end nobody saw"), "{text}");
    let json = [&days[..], &["--output", "json", "--product", "bare"]].concat();
    let shown: Usage = serde_json::from_str(&oa_usage(&node, &json).await).expect("the object");
    let shown: f64 = shown.rows.iter().map(|row| row.unit_seconds).sum();
    assert!(measured.has(shown), "{measured:?}: {shown}");
    node.stop().await;
}
