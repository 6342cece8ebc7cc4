//! What units print: floods, garbage, full disks, and hosts that come and go meanwhile.

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;

use oa_fleet::unit::UnitDesire;
use oa_fleet::{Engine, FleetClient, LogQuery};
use rustix::process::Signal;
use support::{Stage, launch, name, output, processes, reaches, service, signal, until};

/// A program that prints numbered lines for ever, some hundred a second.
const COUNTS: &str = "/usr/bin/perl -e '$| = 1; for (1 .. 1e9) { print \"line $_\\n\"; select undef, undef, undef, 0.002 }'";

/// The numbers that a counting unit printed.
fn numbers(text: &str) -> Vec<u64> {
    let lines = text.lines().filter_map(|line| line.strip_prefix("line "));
    lines.map(|number| number.parse().expect("a whole line")).collect()
}

async fn run_to_end(client: &FleetClient, unit: &str, command: &str) {
    let lines = service(&[("Type", "oneshot"), ("ExecStart", command)]);
    client.put(&name(unit), &lines, UnitDesire::Launched).await.expect("it is made");
    reaches(client, unit, "inactive", "dead").await;
}

fn bytes_in(directory: &Path) -> u64 {
    let entries = std::fs::read_dir(directory).expect("a directory").flatten();
    entries.filter_map(|entry| Some(entry.metadata().ok()?.len())).sum()
}

/// Memory of a process that is its own, in KiB.
fn anonymous_kib(pid: i32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = text.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).expect("a number")
}

#[tokio::test]
async fn output_has_no_gap_and_no_double_while_hosts_come_and_go() {
    let stage = Stage::new();
    let mut host = stage.start().await;
    let client = stage.client();
    launch(&client, "count.service", &[("ExecStart", COUNTS)]).await;
    let keeper = stage.keeper_of("count.service");
    for at_least in [20, 100, 180] {
        until("lines", async || numbers(&output(&client, "count.service").await).len() > at_least)
            .await;
        drop(host);
        host = stage.start().await;
        reaches(&client, "count.service", "active", "running").await;
    }

    let seen = numbers(&output(&client, "count.service").await);

    assert_eq!(seen, (1..=seen.len() as u64).collect::<Vec<_>>());
    assert_eq!(stage.keeper_of("count.service"), keeper);
    stage.end(host).await;
}

#[tokio::test]
async fn a_flood_is_bounded_on_disk_and_in_memory_and_its_rate_is_shown() {
    let stage = Stage::new();
    let host = stage.start().await;
    let client = stage.client();
    launch(&client, "flood.service", &[("ExecStart", "/usr/bin/yes flood")]).await;
    let kept = async || stage.kept("flood.service").await["output"].clone();

    until("too much", async || kept().await["is_suppressed"] == true).await;

    let text = output(&client, "flood.service").await;
    assert!(text.contains("what it prints in the next"), "{text}");
    assert!(kept().await["bytes_per_second"].as_u64() > Some(1 << 20), "{}", kept().await);
    assert!(bytes_in(&stage.output_of("flood.service")) <= 64 * 1024 + 4096);
    let memory = anonymous_kib(stage.keeper_of("flood.service"));
    assert!(memory < 2048, "{memory} KiB");
    client.set_desire(&name("flood.service"), UnitDesire::Loaded).await.expect("it is stopped");
    stage.is_loaded("flood.service").await;
    let text = output(&client, "flood.service").await;
    let last = text.lines().last().expect("a line");
    assert!(last.ends_with("bytes) were not kept: it printed too much"), "{last}");
    stage.end(host).await;
}

#[tokio::test]
async fn garbage_and_lines_without_an_end_are_kept_like_anything_else() {
    let stage = Stage::new();
    let host = stage.start().await;
    let client = stage.client();
    for (unit, command) in [
        ("garbage.service", "/usr/bin/head -c 200000 /dev/urandom"),
        ("endless.service", "/usr/bin/head -c 200000 /dev/zero"),
    ] {
        run_to_end(&client, unit, command).await;
        let query = LogQuery { after: Some(0), ..LogQuery::default() };
        let page = client.logs(&name(unit), query).await.expect("a page");
        // Garbage may end within what could become a character; that is kept for the next page.
        assert!((199_997..=200_000).contains(&page.next), "{unit}: {}", page.next);
        assert!(page.dropped >= 200_000 - 64 * 1024, "{unit}");
        let last = LogQuery { lines: Some(1), ..LogQuery::default() };
        client.logs(&name(unit), last).await.expect("a page");
    }
    stage.end(host).await;
}

#[tokio::test]
async fn a_unit_that_closes_its_output_goes_on() {
    let stage = Stage::new();
    let host = stage.start().await;
    let client = stage.client();
    let command = "/usr/bin/perl -e 'print \"bye\\n\"; close STDOUT; close STDERR; exec qw(/bin/sleep 840001)'";
    launch(&client, "mute.service", &[("ExecStart", command)]).await;
    until("its word", async || output(&client, "mute.service").await == "bye\n").await;
    until("no end", async || processes("/bin/sleep\x00840001").len() == 1).await;
    assert_eq!(stage.kept("mute.service").await["phase"], "Running");

    signal(processes("/bin/sleep\x00840001")[0], Signal::TERM);

    reaches(&client, "mute.service", "inactive", "dead").await;
    stage.end(host).await;
}

/// A small disk; it goes with the test.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn at(place: PathBuf) -> Self {
        std::fs::create_dir_all(&place).expect("a directory");
        let mut mount = Command::new("/bin/mount");
        mount.args(["-t", "tmpfs", "-o", "size=512k,mode=700", "oa-test"]).arg(&place);
        assert!(mount.status().expect("mount runs").success(), "{}", place.display());
        Self(place)
    }

    fn fill(&self) -> PathBuf {
        let file = self.0.join("filling");
        let text = vec![7; 600 * 1024];
        std::fs::write(&file, text).expect_err("the disk is full");
        file
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _gone_with_the_machine =
            Command::new("/bin/umount").arg("--lazy").arg(&self.0).status();
    }
}

#[tokio::test]
async fn a_full_disk_costs_output_and_nothing_else_and_is_over_when_there_is_room() {
    if !rustix::process::geteuid().is_root() {
        // Only root may mount; what a writer does is tested in `output` for everybody.
        return;
    }
    let stage = Stage::new();
    let data = stage.config().data_dir;
    let disks = [SmallDisk::at(data.join("output")), SmallDisk::at(data.join("run"))];
    let host = stage.start().await;
    let client = stage.client();
    launch(
        &client,
        "count.service",
        &[("ExecStart", COUNTS), ("Restart", "always"), ("RestartSec", "1ms")],
    )
    .await;
    let keeper = stage.keeper_of("count.service");
    let fillings = disks.each_ref().map(SmallDisk::fill);
    let trouble = async || stage.kept("count.service").await["output"]["trouble"].clone();
    until("the disk is full", async || trouble().await.is_string()).await;

    // The program is started again although nothing can be written down.
    let program = stage.kept("count.service").await["process"].as_i64().expect("it runs");
    signal(i32::try_from(program).expect("a number"), Signal::KILL);
    until("the next start", async || stage.kept("count.service").await["starts"] == 2).await;
    let other = service(&[("ExecStart", "/bin/sleep 840010")]);
    client.put(&name("late.service"), &other, UnitDesire::Launched).await.expect("it is stored");
    reaches(&client, "late.service", "failed", "failed").await;
    fillings.iter().for_each(|file| std::fs::remove_file(file).expect("it goes"));

    until("it is over", async || trouble().await.is_null()).await;
    reaches(&client, "late.service", "active", "running").await;
    until("output", async || output(&client, "count.service").await.ends_with('\n')).await;
    let text = output(&client, "count.service").await;
    assert_eq!(text.matches("bytes) were lost: No space left").count(), 1, "{text}");
    let after = text.rsplit_once("were lost").expect("it is said").1;
    let seen = numbers(after);
    assert!(seen.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{after}");
    assert_eq!(stage.keeper_of("count.service"), keeper);
    stage.end(host).await;
}
