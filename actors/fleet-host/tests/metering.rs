//! When units ran, as the host tells it: real keepers, real programs, real clocks.

mod support;

use std::time::{Duration, Instant};

use oa_fleet::metering::{IntervalEnd, IntervalPage, UnitInterval};
use oa_fleet::unit::{UnitDesire, UnitOption};
use oa_fleet::{Engine, FleetClient};
use oa_fleet_host::{FleetHostConfig, KeeperProgram, StopUnits};
use oa_test_services::clock::TestClock;
use rustix::process::{Pid, Signal, kill_process};
use support::{Stage, launch, name, processes, reaches, service, until};

const HOURS_2: i64 = 2 * 3600;

async fn page(client: &FleetClient, after: Option<&str>, wait: Duration) -> IntervalPage {
    let page = client.intervals(after, 1000, wait).await.expect("an answer");
    page.expect("this host keeps records")
}

async fn runs(client: &FleetClient, unit: &str) -> Vec<UnitInterval> {
    let mut runs = page(client, None, Duration::ZERO).await.intervals;
    runs.retain(|run| run.unit.as_str() == unit);
    runs
}

/// Waits until `holds` is true of the runs of a unit.
async fn runs_until(
    client: &FleetClient,
    unit: &str,
    holds: impl Fn(&[UnitInterval]) -> bool,
) -> Vec<UnitInterval> {
    until("records of runs", async || holds(&runs(client, unit).await)).await;
    runs(client, unit).await
}

fn has_ended(run: &UnitInterval) -> bool {
    matches!(run.end, IntervalEnd::Known { .. })
}

fn kill_keeper_of(stage: &Stage, unit: &str) {
    let lock = std::fs::read_to_string(stage.run_of(unit).join("lock")).expect("a keeper");
    let keeper: serde_json::Value = serde_json::from_str(&lock).expect("its identity");
    let pid =
        keeper["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
    kill_process(pid.expect("a process"), Signal::KILL).expect("the keeper is there");
}

#[tokio::test]
async fn a_run_is_recorded_from_its_beginning_to_its_end() {
    let stage = Stage::new();
    let host = stage.start().await;
    let client = stage.client();
    let label = |name, value| UnitOption::new("X-OpenAperture", name, value);
    let mut options = service(&[("ExecStart", "/bin/sleep 860001")]);
    options.extend([label("Product", "shop"), label("Generation", "7")]);
    let began = Instant::now();
    client.put(&name("app.service"), &options, UnitDesire::Launched).await.expect("it is made");
    reaches(&client, "app.service", "active", "running").await;
    let started = Instant::now();
    let open = runs(&client, "app.service").await;
    assert_eq!((open.len(), &open[0].end), (1, &IntervalEnd::Running));
    assert_eq!((open[0].product.as_deref(), open[0].generation), (Some("shop"), Some(7)));
    assert_eq!(open[0].machine_id, stage.machine_id().await);

    let place = page(&client, None, Duration::ZERO).await.next;
    let waiting =
        tokio::spawn(async move { page(&client, Some(&place), Duration::from_secs(20)).await });
    let least = started.elapsed();
    let client = stage.client();
    client.remove(&name("app.service")).await.expect("it is removed");
    stage.is_off_the_machine("app.service").await;
    let most = began.elapsed();

    let news = waiting.await.expect("no panic").intervals;
    assert_eq!(news.len(), 1, "who waits hears of the end: {news:?}");
    let run = &news[0];
    assert_eq!((run.id, has_ended(run)), (open[0].id, true), "{run:?}");
    let ran = Duration::from_millis(run.ran_ms);
    assert!(least <= ran + Duration::from_millis(1) && ran <= most, "{least:?} {ran:?} {most:?}");
    stage.end(host).await;
}

#[tokio::test]
async fn what_a_run_used_is_recorded() {
    let stage = Stage::new();
    let host = stage.start().await;
    let client = stage.client();
    let lines = [("ExecStart", "/bin/dd if=/dev/zero of=/dev/null bs=64M count=4")];
    client.put(&name("app.service"), &service(&lines), UnitDesire::Launched).await.expect("made");

    let runs = runs_until(&client, "app.service", |runs| runs.iter().any(has_ended)).await;

    assert!(runs[0].cpu_ms > Some(0), "{runs:?}");
    assert!(runs[0].memory_peak_bytes > Some(64 << 20), "{runs:?}");
    assert!(runs[0].memory_peak_bytes < Some(80 << 20), "{runs:?}");
    stage.end(host).await;
}

#[tokio::test]
async fn the_end_of_a_run_whose_keeper_was_killed_is_unknown() {
    let stage = Stage::new();
    let host = stage.start().await;
    let client = stage.client();
    launch(&client, "app.service", &[("ExecStart", "/bin/sleep 860002")]).await;

    kill_keeper_of(&stage, "app.service");

    let seen = runs_until(&client, "app.service", |runs| {
        runs.len() == 2 && runs[0].end == IntervalEnd::Unknown
    })
    .await;
    assert_eq!(seen[1].end, IntervalEnd::Running, "it was started again");
    // The same while the host is away.
    host.stop(StopUnits::Leave).await;
    kill_keeper_of(&stage, "app.service");
    let host = stage.start().await;
    let seen = runs_until(&client, "app.service", |runs| {
        runs.len() == 3 && runs[1].end == IntervalEnd::Unknown
    })
    .await;
    assert_eq!(seen[2].end, IntervalEnd::Running);
    stage.end(host).await;
}

#[tokio::test]
async fn what_runs_while_the_host_is_away_is_recorded() {
    let stage = Stage::new();
    let host = stage.start().await;
    let lines = [
        ("ExecStart", "/bin/sleep 0.2"),
        ("Restart", "always"),
        ("RestartSec", "50ms"),
        ("StartLimitBurst", "0"),
    ];
    let client = stage.client();
    client
        .put(&name("app.service"), &service(&lines), UnitDesire::Launched)
        .await
        .expect("it is made");
    let before = runs_until(&client, "app.service", |runs| runs.iter().any(has_ended)).await.len();
    drop(host);
    let records = stage.metering().join("records");
    let lines_now = || {
        let text = std::fs::read_to_string(&records).expect("the records");
        text.lines().filter(|line| !line.is_empty()).count()
    };
    let then = lines_now();
    until("some runs", async || lines_now() >= then + 6).await;

    let host = stage.start().await;

    let all = runs(&client, "app.service").await;
    assert!(all.len() >= before + 2, "{all:?}");
    let (last, whole) = all.split_last().expect("runs");
    assert!(whole.iter().all(has_ended), "{all:?}");
    for run in whole {
        assert!((200..2_000).contains(&run.ran_ms), "{run:?}");
    }
    assert!(last.end != IntervalEnd::Unknown, "its keeper lives");
    stage.end(host).await;
}

#[tokio::test]
async fn a_clock_that_is_set_changes_no_duration() {
    let stage = Stage::new();
    let clock = TestClock::new();
    let mut arguments: Vec<_> =
        clock.environment().iter().map(|(name, value)| format!("{name}={value}").into()).collect();
    arguments.push(env!("CARGO_BIN_EXE_oa-unit-keeper").into());
    let keeper = KeeperProgram { program: "/usr/bin/env".into(), arguments };
    let config = FleetHostConfig { keeper, ..stage.config() };
    let host = oa_fleet_host::FleetHost::start(config).await.expect("the host starts");
    let client = stage.client();
    let began = Instant::now();
    launch(&client, "app.service", &[("ExecStart", "/bin/sleep 860003")]).await;
    for (offset, count) in [(HOURS_2, 2), (-HOURS_2, 3)] {
        clock.set(offset);
        client.restart(&name("app.service")).await.expect("it is restarted");
        runs_until(&client, "app.service", |runs| runs.len() == count).await;
    }
    client.remove(&name("app.service")).await.expect("it is removed");
    stage.is_off_the_machine("app.service").await;
    let most = began.elapsed();

    let runs = runs_until(&client, "app.service", |runs| runs.len() == 3).await;
    assert!(processes("860003").is_empty());
    let ran: u64 = runs.iter().map(|run| run.ran_ms).sum();
    assert!(Duration::from_millis(ran) <= most, "{ran} ms of {most:?}: {runs:?}");
    let mut starts: Vec<i64> = runs.iter().map(|run| run.started_at_ms / 1000).collect();
    starts.sort_unstable();
    assert!((starts[1] - starts[0] - HOURS_2).abs() < 20, "the clock was set: {starts:?}");
    assert!((starts[2] - starts[1] - HOURS_2).abs() < 20, "the clock was set: {starts:?}");
    stage.end(host).await;
}
