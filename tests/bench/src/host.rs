//! Group `host`: what a node and its keepers cost with many idle units.

use std::fs;
use std::time::{Duration, Instant};

use oa_fleet::unit::{UnitDesire, UnitOption};
use oa_fleet::{Engine, FleetClient, UnitName};
use oa_test_services::node::{NodeHome, TestNode};

use crate::report::Report;

/// Units of the measured node.
const UNITS: usize = 500;
/// Longest wait for all of them.
const LIMIT: Duration = Duration::from_secs(300);
/// How long they idle before memory is read.
const IDLE: Duration = Duration::from_secs(20);

pub(crate) async fn run(report: &mut Report) {
    let home = NodeHome::new();
    let node = home.start().await;
    let client = FleetClient::unix(home.data().join("fleet/fleet.sock")).expect("a client");
    report.figure("host.units0.rss_mb", megabytes(field(node.id(), "status", "VmRSS:")), "MB");

    let started = Instant::now();
    for number in 0..UNITS {
        let sleep = UnitOption::new("Service", "ExecStart", "/bin/sleep 1000000");
        let name = UnitName::new(format!("idle@{number}.service")).expect("a valid name");
        client.put(&name, &[sleep], UnitDesire::Launched).await.expect("it is stored");
    }
    all_run(&client).await;
    report.figure("host.units500.start_s", started.elapsed().as_secs_f64(), "s");

    tokio::time::sleep(IDLE).await;
    measure(report, "", &home, &node);

    node.kill().await;
    let started = Instant::now();
    let node = home.start().await;
    report.figure("host.units500.ready_s", started.elapsed().as_secs_f64(), "s");
    all_run(&client).await;
    report.figure("host.units500.adopt_s", started.elapsed().as_secs_f64(), "s");
    tokio::time::sleep(IDLE).await;
    measure(report, "_adopted", &home, &node);
    let cpu = cpu_ticks(node.id());
    tokio::time::sleep(IDLE).await;
    let ticks = cpu_ticks(node.id()) - cpu;
    // A tick is a hundredth of a second on every Linux that this runs on.
    report.figure("host.units500.idle_cpu_percent", ticks / IDLE.as_secs_f64(), "%");
    node.stop().await;

    let started = Instant::now();
    let home = home.with_argument("--stop-units");
    home.start().await.stop().await;
    report.figure("host.units500.stop_s", started.elapsed().as_secs_f64(), "s");
    assert!(keepers(&home).is_empty(), "nothing is left");
}

/// Waits until every unit runs, or is adopted.
async fn all_run(client: &FleetClient) {
    let all = async {
        loop {
            let states = client.states().await.expect("states are readable");
            let running = states.iter().filter(|state| state.systemd_sub_state == "running");
            if running.count() == UNITS {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(LIMIT, all).await.expect("all units run in time");
}

/// Memory of the node, its threads, and the share of each keeper.
fn measure(report: &mut Report, suffix: &str, home: &NodeHome, node: &TestNode) {
    let name = |figure: &str| format!("host.units500.{figure}{suffix}");
    report.figure(&name("rss_mb"), megabytes(field(node.id(), "status", "VmRSS:")), "MB");
    report.figure(&name("threads"), field(node.id(), "status", "Threads:"), "threads");
    let ids = keepers(home);
    let mut shares: Vec<f64> =
        ids.iter().map(|id| megabytes(field(*id, "smaps_rollup", "Pss:"))).collect();
    shares.sort_by(f64::total_cmp);
    let most = shares.last().copied().unwrap_or(f64::NAN);
    report.figure(&format!("host.keeper.pss_mb{suffix}.p50"), shares[shares.len() / 2], "MB");
    report.figure(&format!("host.keeper.pss_mb{suffix}.max"), most, "MB");
}

/// The keepers of the node in `home`.
fn keepers(home: &NodeHome) -> Vec<u32> {
    let data = home.data().display().to_string();
    let entries = fs::read_dir("/proc").expect("/proc is there").flatten();
    let ids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    ids.filter(|id| {
        let words = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
        let words = String::from_utf8_lossy(&words);
        words.contains("unit-keeper") && words.contains(&data)
    })
    .collect()
}

/// The first number behind `name` in a file of a process.
fn field(id: u32, file: &str, name: &str) -> f64 {
    let text = fs::read_to_string(format!("/proc/{id}/{file}")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(f64::NAN)
}

fn megabytes(kib: f64) -> f64 {
    kib * 1024.0 / 1e6
}

/// What a process used of the processors, in ticks.
fn cpu_ticks(id: u32) -> f64 {
    let text = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    let fields = text.rsplit_once(')').map_or("", |(_, fields)| fields);
    fields.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum()
}
