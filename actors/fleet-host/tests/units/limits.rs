//! What a unit may use, and how it is given.

use oa_fleet::Engine;
use oa_fleet::unit::UnitDesire;

use super::make;
use super::support::{Stage, launch, name, output, reaches, until};

/// The control groups of a unit; none where this machine lets nobody make any.
fn groups_of(stage: &Stage, unit: &str) -> Vec<String> {
    let text = std::fs::read(stage.run_of(unit).join("cgroups.json")).expect("a list");
    serde_json::from_slice(&text).expect("JSON")
}

#[tokio::test]
async fn a_process_has_the_limits_and_manners_of_its_unit() {
    let stage = Stage::new();
    let host = stage.start().await;
    let client = stage.client();
    let text = "umask\nnice\ncat /proc/self/oom_score_adj\ngrep -E 'open files|core file|locked' /proc/self/limits\ngrep SigIgn /proc/self/status\n";
    let start = format!("/bin/sh {}", stage.file("show", text));
    let lines = [
        ("Type", "oneshot"),
        ("UMask", "0077"),
        ("Nice", "7"),
        ("OOMScoreAdjust", "300"),
        ("LimitNOFILE", "100:200"),
        ("LimitCORE", "0"),
        ("LimitMEMLOCK", "32K"),
        ("ExecStart", start.as_str()),
    ];
    make(&client, "show.service", &lines).await;
    reaches(&client, "show.service", "inactive", "dead").await;
    let said = output(&client, "show.service").await;
    let words: Vec<&str> = said.split_whitespace().collect();
    assert_eq!(words[..3], ["0077", "7", "300"], "{said}");
    let limit = |name: &str| {
        let line = said.lines().find(|line| line.contains(name)).unwrap_or_default();
        line.split_whitespace()
            .filter(|word| word.parse::<u64>().is_ok())
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(limit("open files"), "100 200");
    assert_eq!(limit("core file"), "0 0");
    assert_eq!(limit("locked"), "32768 32768");
    // Bit 12 is SIGPIPE; others come from whoever runs the test.
    let ignores_sigpipe = |said: &str| {
        let mask = said.lines().find_map(|line| line.strip_prefix("SigIgn:")).expect("a mask");
        u64::from_str_radix(mask.trim(), 16).expect("a mask") & (1 << 12) != 0
    };
    assert!(ignores_sigpipe(&said), "{said}");

    let start = [("Type", "oneshot"), ("IgnoreSIGPIPE", "no"), ("ExecStart", start.as_str())];
    make(&client, "pipe.service", &start).await;
    reaches(&client, "pipe.service", "inactive", "dead").await;
    assert!(!ignores_sigpipe(&output(&client, "pipe.service").await));
    stage.end(host).await;
}

#[tokio::test]
async fn a_limit_of_file_sizes_does_not_stop_the_log() {
    let stage = Stage::new();
    let host = stage.start().await;
    let client = stage.client();
    let lines = [
        ("Type", "oneshot"),
        ("LimitFSIZE", "1"),
        ("LimitNPROC", "1"),
        ("ExecStart", "/usr/bin/seq 1 1000"),
    ];
    make(&client, "long.service", &lines).await;
    reaches(&client, "long.service", "inactive", "dead").await;
    assert!(output(&client, "long.service").await.ends_with("\n1000\n"));
    stage.end(host).await;
}

#[tokio::test]
async fn all_processes_of_a_unit_share_its_groups_which_go_with_it() {
    let stage = Stage::new();
    let host = stage.start().await;
    let client = stage.client();
    let lines = [
        ("ExecStart", "/bin/sleep 820301"),
        ("MemoryMax", "64M"),
        ("CPUQuota", "20%"),
        ("TasksMax", "10"),
    ];
    launch(&client, "app.service", &lines).await;
    let groups = groups_of(&stage, "app.service");
    let said = output(&client, "app.service").await;
    let read = |file: &str| {
        groups.iter().find_map(|group| std::fs::read_to_string(format!("{group}/{file}")).ok())
    };
    for (option, one, two, value) in [
        ("MemoryMax=", "memory.limit_in_bytes", "memory.max", "67108864"),
        ("CPUQuota=", "cpu.cfs_quota_us", "cpu.max", "20000"),
        ("TasksMax=", "pids.max", "pids.max", "10"),
    ] {
        let is_set = read(one).or_else(|| read(two)).is_some_and(|text| text.starts_with(value));
        // Never silently: it is enforced, or the log says that it is not.
        assert_ne!(is_set, said.contains(&format!("{option} is not enforced")), "{option}: {said}");
    }
    let main = stage.status_of("app.service")["process"]["pid"].to_string();
    for group in &groups {
        let processes = std::fs::read_to_string(format!("{group}/cgroup.procs")).expect("a group");
        assert!(processes.lines().any(|pid| pid == main), "{group}: {processes}");
    }

    client.set_desire(&name("app.service"), UnitDesire::Loaded).await.expect("it is stopped");

    reaches(&client, "app.service", "inactive", "dead").await;
    assert!(groups.iter().all(|group| !std::path::Path::new(group).exists()), "{groups:?}");
    stage.end(host).await;
}

#[tokio::test]
async fn a_unit_that_wants_too_much_memory_is_killed_and_says_so() {
    let stage = Stage::new();
    let host = stage.start().await;
    let client = stage.client();
    // What `tail` reads has no line, so that it keeps all of it.
    let lines =
        [("ExecStart", "/usr/bin/tail /dev/zero"), ("MemoryMax", "16M"), ("LimitAS", "256M")];
    make(&client, "greedy.service", &lines).await;
    reaches(&client, "greedy.service", "failed", "failed").await;
    let said = output(&client, "greedy.service").await;
    let result = stage.result_of("greedy.service");
    // Without a group the other limit stops it.
    let expected =
        if said.contains("MemoryMax= is not enforced") { "exit-code" } else { "oom-kill" };
    assert_eq!(result, expected, "{said}");
    stage.end(host).await;
}

#[tokio::test]
async fn the_groups_of_a_keeper_that_was_killed_are_removed_by_the_next_one() {
    let stage = Stage::new();
    let host = stage.start().await;
    let client = stage.client();
    launch(&client, "app.service", &[("ExecStart", "/bin/sleep 820302")]).await;
    let groups = groups_of(&stage, "app.service");
    let keeper = super::support::processes(&stage.run_of("app.service").display().to_string())[0];
    let keeper = rustix::process::Pid::from_raw(keeper).expect("a number");
    rustix::process::kill_process(keeper, rustix::process::Signal::KILL).expect("it is there");

    until("other groups", async || {
        let text = std::fs::read(stage.run_of("app.service").join("cgroups.json"));
        let now: Vec<String> =
            text.ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default();
        groups.is_empty() || !now.is_empty() && now != groups
    })
    .await;

    reaches(&client, "app.service", "active", "running").await;
    assert!(groups.iter().all(|group| !std::path::Path::new(group).exists()), "{groups:?}");
    stage.end(host).await;
}
