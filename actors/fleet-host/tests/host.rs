//! What a host survives, and what outlives it.

mod support;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use oa_fleet::unit::{UnitDesire, UnitOption};
use oa_fleet::{Engine, EngineError, LogQuery};
use oa_fleet_host::{FleetHost, FleetHostConfig, FleetHostError, StopUnits};
use rustix::process::Signal;
use support::{Stage, launch, name, output, processes, reaches, service, signal, until};
use tokio::process::Command;
use tokio::time::Instant;

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).expect("it is there").permissions().mode() & 0o777
}

#[tokio::test]
async fn units_outlive_an_orderly_stop_and_are_adopted() {
    let stage = Stage::new();
    let host = stage.start().await;
    launch(&stage.client(), "app@0.service", &[("ExecStart", "/bin/sleep 820001")]).await;
    let before = processes("820001");
    host.stop(StopUnits::Leave).await;
    assert_eq!(processes("820001"), before, "it runs without a host");

    let host = stage.start().await;
    reaches(&stage.client(), "app@0.service", "active", "running").await;
    assert_eq!(processes("820001"), before, "the same process");

    host.stop(StopUnits::Stop).await;
    assert!(processes("820001").is_empty());
}

#[tokio::test]
async fn units_outlive_a_crash_of_the_host_and_are_adopted() {
    let stage = Stage::new();
    let host = stage.start().await;
    launch(&stage.client(), "app.service", &[("ExecStart", "/bin/sleep 820002")]).await;
    let before = processes("820002");

    drop(host);
    let host = stage.start().await;

    reaches(&stage.client(), "app.service", "active", "running").await;
    assert_eq!(processes("820002"), before, "the same process");
    stage.client().remove(&name("app.service")).await.expect("it is removed");
    stage.is_off_the_machine("app.service").await;
    assert!(processes("820002").is_empty(), "an adopted unit can be stopped");
    stage.end(host).await;
}

#[tokio::test]
async fn however_often_the_host_crashes_a_unit_has_one_instance() {
    let stage = Stage::new();
    let unit = name("app.service");
    let options = service(&[("ExecStart", "/bin/sleep 820010")]);
    for round in 0..20_u64 {
        let host = stage.start().await;
        let client = stage.client();
        // Each round asks for a new process, and the host dies at another place on the way to it.
        let asked = match client.unit(&unit).await.expect("an answer") {
            None => client.put(&unit, &options, UnitDesire::Launched).await,
            Some(_) => client.restart(&unit).await,
        };
        asked.expect("it is stored");
        tokio::time::sleep(Duration::from_micros(700 * round)).await;
        drop(host);
        assert!(processes("820010").len() < 2, "two instances in round {round}");
    }

    let host = stage.start().await;
    reaches(&stage.client(), "app.service", "active", "running").await;
    until("one instance", async || processes("820010").len() == 1).await;
    stage.end(host).await;
}

#[tokio::test]
async fn units_that_are_wanted_start_with_the_host() {
    let stage = Stage::new();
    let host = stage.start().await;
    launch(&stage.client(), "app.service", &[("ExecStart", "/bin/sleep 820003")]).await;
    host.stop(StopUnits::Stop).await;
    assert!(processes("820003").is_empty());

    let host = stage.start().await;

    reaches(&stage.client(), "app.service", "active", "running").await;
    stage.end(host).await;
}

#[tokio::test]
async fn a_launch_that_was_stored_and_not_begun_is_begun_by_the_next_host() {
    let stage = Stage::new();
    let host = stage.start().await;
    let client = stage.client();
    let lines = [("Type", "oneshot"), ("ExecStart", "/bin/echo done")];
    client.put(&name("job.service"), &service(&lines), UnitDesire::Launched).await.expect("made");
    reaches(&client, "job.service", "inactive", "dead").await;
    host.stop(StopUnits::Leave).await;
    // What a host leaves that is killed between the storing of a second launch and its beginning.
    let file = stage.definition_of("job.service");
    let text = std::fs::read_to_string(&file).expect("a definition");
    let mut stored: serde_json::Value = serde_json::from_str(&text).expect("a definition");
    stored["launch"] = (stored["launch"].as_u64().expect("a number") + 1).into();
    std::fs::write(&file, stored.to_string()).expect("a definition");

    let host = stage.start().await;

    until("the second run", async || output(&client, "job.service").await == "done\ndone\n").await;
    stage.end(host).await;
}

#[tokio::test]
async fn a_job_that_is_done_is_not_done_again_by_the_next_host() {
    let stage = Stage::new();
    let host = stage.start().await;
    let client = stage.client();
    let lines = [("Type", "oneshot"), ("ExecStart", "/bin/echo done")];
    client.put(&name("job.service"), &service(&lines), UnitDesire::Launched).await.expect("made");
    reaches(&client, "job.service", "inactive", "dead").await;
    host.stop(StopUnits::Leave).await;

    let host = stage.start().await;

    reaches(&client, "job.service", "inactive", "dead").await;
    assert_eq!(output(&client, "job.service").await, "done\n");
    stage.end(host).await;
}

#[tokio::test]
async fn a_unit_that_a_host_was_stopping_when_it_died_is_started_by_the_next_host() {
    let stage = Stage::new();
    let host = stage.start().await;
    let lines = [("ExecStart", "/bin/sleep 820020"), ("ExecStop", "/bin/sleep 0.5")];
    launch(&stage.client(), "app.service", &lines).await;
    let before = processes("820020");
    let status = stage.run_of("app.service").join("status.json");
    let is_stopping =
        async || std::fs::read_to_string(&status).expect("it is").contains("StopCommands");
    tokio::select! {
        () = host.stop(StopUnits::Stop) => panic!("it is not stopped within half a second"),
        () = until("the unit stops", is_stopping) => {}
    }

    let host = stage.start().await;

    until("another process", async || {
        let now = processes("820020");
        now.len() == 1 && now != before
    })
    .await;
    reaches(&stage.client(), "app.service", "active", "running").await;
    stage.end(host).await;
}

#[tokio::test]
async fn what_a_keeper_left_that_died_before_it_was_reached_keeps_no_new_one_away() {
    let stage = Stage::new();
    let host = stage.start().await;
    let directory = stage.run_of("app.service");
    std::fs::create_dir_all(&directory).expect("a directory");
    let lock = std::fs::File::create(directory.join("lock")).expect("a lock file");
    lock.lock().expect("it is free");
    // As its program does, it holds the lock open; the keeper itself is gone.
    let mut left = Command::new("/bin/sleep").arg("820021").stdin(lock).spawn().expect("it runs");

    launch(&stage.client(), "app.service", &[("ExecStart", "/bin/sleep 820022")]).await;

    assert!(!left.wait().await.expect("its end").success(), "it was killed");
    stage.end(host).await;
}

#[tokio::test]
async fn a_unit_has_failed_only_after_several_keepers_did_not_start() {
    let stage = Stage::new();
    let mut config = stage.config();
    config.keeper.program = "/bin/false".into();
    let host = FleetHost::start(config).await.expect("the host starts");
    let client = stage.client();
    let options = service(&[("ExecStart", "/bin/true")]);

    client.put(&name("app.service"), &options, UnitDesire::Launched).await.expect("it is made");

    reaches(&client, "app.service", "activating", "auto-restart").await;
    reaches(&client, "app.service", "failed", "failed").await;
    stage.end(host).await;
}

#[tokio::test]
async fn a_second_keeper_of_a_unit_ends_at_once() {
    let stage = Stage::new();
    let host = stage.start().await;
    launch(&stage.client(), "app.service", &[("ExecStart", "/bin/sleep 820004")]).await;

    let second = Command::new(env!("CARGO_BIN_EXE_oa-unit-keeper"))
        .arg(stage.output_of("app.service"))
        .arg(stage.metering())
        .arg(stage.run_of("app.service"))
        .status()
        .await
        .expect("the keeper runs");

    assert_eq!(second.code(), Some(75));
    assert_eq!(processes("820004").len(), 1);
    stage.end(host).await;
}

#[tokio::test]
async fn a_keeper_that_is_killed_is_replaced_and_so_is_its_unit() {
    let stage = Stage::new();
    let host = stage.start().await;
    launch(&stage.client(), "app.service", &[("ExecStart", "/bin/sleep 820005")]).await;
    let before = processes("820005");

    signal(stage.keeper_of("app.service"), Signal::KILL);

    until("a new process", async || {
        let now = processes("820005");
        now.len() == 1 && now != before
    })
    .await;
    stage.end(host).await;
}

#[tokio::test]
async fn what_a_dead_keeper_left_is_ended_before_the_unit_starts_again() {
    let stage = Stage::new();
    let host = stage.start().await;
    launch(&stage.client(), "app.service", &[("ExecStart", "/bin/sleep 820006")]).await;
    let before = processes("820006");
    host.stop(StopUnits::Leave).await;
    signal(stage.keeper_of("app.service"), Signal::KILL);
    // As if it had been killed before it could note its program.
    std::fs::remove_file(stage.run_of("app.service").join("status.json")).expect("a status");
    assert_eq!(processes("820006"), before, "the unit is an orphan now");

    let host = stage.start().await;

    until("a new process", async || {
        let now = processes("820006");
        assert!(now.len() < 2, "two instances");
        now.len() == 1 && now != before
    })
    .await;
    reaches(&stage.client(), "app.service", "active", "running").await;
    stage.end(host).await;
}

#[tokio::test]
async fn a_unit_that_was_forgotten_just_before_a_crash_is_ended_by_the_next_host() {
    let stage = Stage::new();
    let host = stage.start().await;
    launch(&stage.client(), "app.service", &[("ExecStart", "/bin/sleep 820007")]).await;
    host.stop(StopUnits::Leave).await;
    std::fs::remove_file(stage.definition_of("app.service")).expect("a definition");

    let host = stage.start().await;

    until("its end", async || processes("820007").is_empty()).await;
    until("no trace", async || !stage.run_of("app.service").exists()).await;
    stage.end(host).await;
}

#[tokio::test]
async fn a_directory_has_one_host() {
    let stage = Stage::new();
    let host = stage.start().await;

    let second = FleetHost::start(stage.config()).await;

    assert!(matches!(second, Err(FleetHostError::InUse { .. })));
    stage.client().machines().await.expect("the first one still serves");
    stage.end(host).await;
}

#[tokio::test]
async fn only_this_user_can_reach_the_socket_and_the_files() {
    let stage = Stage::new();
    let host = stage.start().await;

    assert_eq!(mode(host.socket()), 0o600);
    let data = stage.config().data_dir;
    for path in [&data, &data.join("units"), &data.join("run"), &data.join("output")] {
        assert_eq!(mode(path), 0o700, "{}", path.display());
    }
    stage.end(host).await;
}

#[tokio::test]
async fn a_host_of_root_refuses_units_of_root_unless_it_is_told_otherwise() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let stage = Stage::new();
    let config = FleetHostConfig { allow_root_units: false, ..stage.config() };
    let host = FleetHost::start(config).await.expect("the host starts");
    let client = stage.client();
    for lines in [vec![], vec![("User", "root")], vec![("User", "0")]] {
        let options = service(&[&[("ExecStart", "/bin/true")], lines.as_slice()].concat());

        let why = client.put(&name("x.service"), &options, UnitDesire::Launched).await;

        let why = why.expect_err("root");
        assert!(why.to_string().contains("User="), "{why}");
    }
    stage.end(host).await;
}

#[tokio::test]
async fn a_state_that_does_not_exist_is_refused_and_the_unit_is_sound() {
    let stage = Stage::new();
    let host = stage.start().await;
    let client = stage.client();
    let options = service(&[("ExecStart", "/bin/true")]);
    client.put(&name("x.service"), &options, UnitDesire::Inactive).await.expect("it is made");

    let answer = support::raw::send(
        &stage.socket(),
        &support::raw::request(
            "PUT",
            "/fleet/v1/units/x.service",
            "{\"desiredState\":\"running\"}",
        ),
    )
    .await;

    assert_eq!(answer.status, 400);
    assert!(answer.body.contains("launched"), "{}", answer.body);
    let unit = client.unit(&name("x.service")).await.expect("it is there").expect("it is there");
    assert_eq!(unit.desired_state, Some(UnitDesire::Inactive));
    stage.end(host).await;
}

#[tokio::test]
async fn labels_of_the_machine_outlive_the_host_and_decide_what_it_runs() {
    let stage = Stage::new();
    let host = stage.start().await;
    let client = stage.client();
    let mut options = service(&[("ExecStart", "/bin/sleep 820008")]);
    options.push(UnitOption::new("X-Fleet", "MachineMetadata", "disk=ssd"));
    client.put(&name("fast.service"), &options, UnitDesire::Launched).await.expect("it is made");
    assert!(client.state(&name("fast.service")).await.expect("states").is_empty());
    let id = stage.machine_id().await;
    let change = format!(
        "[{{\"op\":\"add\",\"path\":\"/{id}/metadata/disk\",\"value\":{{\"value\":\"ssd\"}}}}]"
    );

    let request = support::raw::request("PATCH", "/fleet/v1/machines", &change);
    assert_eq!(support::raw::send(&stage.socket(), &request).await.status, 204);

    reaches(&client, "fast.service", "active", "running").await;
    host.stop(StopUnits::Stop).await;
    let host = stage.start().await;
    assert_eq!(client.machines().await.expect("the machine")[0].metadata["disk"], "ssd");
    reaches(&client, "fast.service", "active", "running").await;
    stage.end(host).await;
}

#[tokio::test]
async fn a_host_stops_although_somebody_follows_an_output() {
    let stage = Stage::new();
    let host = stage.start().await;
    let client = stage.client();
    launch(&client, "app.service", &[("ExecStart", "/bin/sleep 820009")]).await;
    let follow = LogQuery { after: Some(0), lines: None, wait: Duration::from_secs(60) };
    let follower = tokio::spawn(async move { client.logs(&name("app.service"), follow).await });

    let started = Instant::now();
    stage.end(host).await;

    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    let _page_or_refusal: Result<_, EngineError> = follower.await.expect("no panic");
}

#[tokio::test]
async fn two_hundred_and_fifty_units_are_listed_over_three_pages() {
    let stage = Stage::new();
    let host = stage.start().await;
    let client = stage.client();
    for number in 0..250 {
        let unit = name(&format!("u@{number}.service"));
        let options = service(&[("ExecStart", "/bin/true")]);
        client.put(&unit, &options, UnitDesire::Inactive).await.expect("it is made");
    }

    assert_eq!(client.units().await.expect("a list").len(), 250);
    stage.end(host).await;
}

#[tokio::test]
async fn a_host_takes_no_thread_for_each_unit() {
    let stage = Stage::new();
    let host = stage.start().await;
    let client = stage.client();
    let threads = || std::fs::read_dir("/proc/self/task").expect("/proc is there").count();
    let before = threads();
    let options = service(&[("ExecStart", "/bin/sleep 820030")]);
    for number in 0..40 {
        let unit = name(&format!("idle@{number}.service"));
        client.put(&unit, &options, UnitDesire::Launched).await.expect("it is made");
    }
    until("all run", async || {
        let states = client.states().await.expect("states are readable");
        states.iter().filter(|state| state.systemd_sub_state == "running").count() == 40
    })
    .await;

    // Searches for what earlier keepers left may have begun a few that serve everybody.
    assert!(threads() <= before + 4, "{} threads, {before} before", threads());
    stage.end(host).await;
}
