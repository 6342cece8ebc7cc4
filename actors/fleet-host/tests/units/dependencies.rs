//! Units that depend on one another.

use oa_fleet::unit::{UnitDesire, UnitOption};
use oa_fleet::{Engine, FleetClient};
use oa_fleet_host::StopUnits;

use super::support::{Stage, name, processes, reaches, service, until};

/// The options of a unit with these dependencies and this `[Service]` section.
fn unit(dependencies: &[(&str, &str)], lines: &[(&str, &str)]) -> Vec<UnitOption> {
    let mut options: Vec<UnitOption> =
        dependencies.iter().map(|(name, value)| UnitOption::new("Unit", *name, *value)).collect();
    options.extend(service(lines));
    options
}

async fn put(client: &FleetClient, unit: &str, options: &[UnitOption], desire: UnitDesire) {
    client.put(&name(unit), options, desire).await.expect("it is made");
}

const NEEDS_DB: [(&str, &str); 2] = [("Requires", "db.service"), ("After", "db.service")];

#[tokio::test]
async fn a_launch_launches_what_it_requires_and_begins_after_it() {
    let stage = Stage::new();
    let host = stage.start().await;
    let client = stage.client();
    let log = stage.file("log", "");
    let say = stage.file("say", "sleep $2\necho $1 >> \"$3\"\n");
    let once = |dependencies: &[(&str, &str)], word: &str, pause: &str| {
        let line = format!("/bin/sh {say} {word} {pause} {log}");
        let lines = [("Type", "oneshot"), ("RemainAfterExit", "yes"), ("ExecStart", line.as_str())];
        unit(dependencies, &lines)
    };
    put(&client, "db.service", &once(&[], "db", "0.2"), UnitDesire::Inactive).await;

    put(&client, "app.service", &once(&NEEDS_DB, "app", "0"), UnitDesire::Launched).await;

    reaches(&client, "app.service", "activating", "waiting").await;
    reaches(&client, "app.service", "active", "exited").await;
    assert_eq!(std::fs::read_to_string(&log).expect("a log"), "db\napp\n");
    let db = client.unit(&name("db.service")).await.expect("it is there").expect("it is there");
    assert_eq!(db.desired_state, Some(UnitDesire::Launched), "it was pulled in");
    stage.end(host).await;
}

#[tokio::test]
async fn a_unit_fails_with_what_it_requires_and_begins_when_that_is_mended() {
    let stage = Stage::new();
    let host = stage.start().await;
    let client = stage.client();
    let app = unit(&NEEDS_DB, &[("ExecStart", "/bin/sleep 820401")]);
    put(&client, "app.service", &app, UnitDesire::Launched).await;
    reaches(&client, "app.service", "failed", "failed").await;
    let why =
        client.condition(&name("app.service")).await.expect("it answers").expect("it is there");
    assert_eq!((why.phase.as_str(), why.result.as_deref()), ("held", Some("dependency")));
    assert!(
        why.note.is_some_and(|note| note.contains("db.service, which is no unit of this host"))
    );

    // One that is up as soon as it is executed would let it begin.
    let broken = service(&[("Type", "oneshot"), ("ExecStart", "/bin/false")]);
    put(&client, "db.service", &broken, UnitDesire::Launched).await;
    reaches(&client, "db.service", "failed", "failed").await;
    reaches(&client, "app.service", "failed", "failed").await;
    assert!(processes("820401").is_empty(), "it never began");

    let mended = service(&[("ExecStart", "/bin/sleep 820402")]);
    put(&client, "db.service", &mended, UnitDesire::Launched).await;
    reaches(&client, "app.service", "active", "running").await;
    stage.end(host).await;
}

#[tokio::test]
async fn a_unit_stops_and_restarts_with_what_it_requires() {
    let stage = Stage::new();
    let host = stage.start().await;
    let client = stage.client();
    let db = service(&[("ExecStart", "/bin/sleep 820403")]);
    put(&client, "db.service", &db, UnitDesire::Launched).await;
    let app = unit(&NEEDS_DB, &[("ExecStart", "/bin/sleep 820404")]);
    put(&client, "app.service", &app, UnitDesire::Launched).await;
    reaches(&client, "app.service", "active", "running").await;
    let before = processes("820404");

    client.restart(&name("db.service")).await.expect("it is restarted");

    until("a new process", async || {
        let now = processes("820404");
        now.len() == 1 && now != before
    })
    .await;
    client.set_desire(&name("db.service"), UnitDesire::Loaded).await.expect("it is stopped");
    reaches(&client, "app.service", "inactive", "dead").await;
    assert!(processes("820404").is_empty());
    client.set_desire(&name("db.service"), UnitDesire::Launched).await.expect("it is launched");
    reaches(&client, "app.service", "active", "running").await;
    stage.end(host).await;
}

#[tokio::test]
async fn a_unit_that_is_only_wanted_or_gone_holds_nobody() {
    let stage = Stage::new();
    let host = stage.start().await;
    let client = stage.client();
    let wants = [("Wants", "db.service nowhere.service"), ("After", "db.service nowhere.service")];
    let db = service(&[("ExecStart", "/bin/false")]);
    put(&client, "db.service", &db, UnitDesire::Inactive).await;
    let app = unit(&wants, &[("ExecStart", "/bin/sleep 820405")]);
    put(&client, "app.service", &app, UnitDesire::Launched).await;
    reaches(&client, "app.service", "active", "running").await;
    reaches(&client, "db.service", "failed", "failed").await;

    let bound = unit(&[("BindsTo", "app.service")], &[("ExecStart", "/bin/sleep 820406")]);
    put(&client, "bound.service", &bound, UnitDesire::Launched).await;
    reaches(&client, "bound.service", "active", "running").await;
    let main = rustix::process::Pid::from_raw(processes("820405")[0]).expect("a number");
    rustix::process::kill_process(main, rustix::process::Signal::KILL).expect("it is there");
    reaches(&client, "bound.service", "inactive", "dead").await;
    stage.end(host).await;
}

#[tokio::test]
async fn a_circle_and_a_name_that_is_none_are_refused() {
    let stage = Stage::new();
    let host = stage.start().await;
    let client = stage.client();
    let run = [("ExecStart", "/bin/sleep 820407")];
    put(&client, "a.service", &unit(&[("After", "b.service")], &run), UnitDesire::Loaded).await;
    for (other, words) in [
        (unit(&[("After", "a.service")], &run), "b.service after a.service after b.service"),
        (unit(&[("Requires", "no-unit")], &run), "Requires=: `no-unit`"),
    ] {
        let why = client.put(&name("b.service"), &other, UnitDesire::Launched).await;
        let why = why.expect_err(words).to_string();
        assert!(why.contains(words), "{why}");
    }
    stage.end(host).await;
}

#[tokio::test]
async fn ordered_units_outlive_a_host_and_stop_last_begun_first() {
    let stage = Stage::new();
    let host = stage.start().await;
    let client = stage.client();
    let log = stage.file("log", "");
    let say = stage.file("say", "sleep $2\necho $1 >> \"$3\"\n");
    let stop = |word: &str, pause: &str| format!("/bin/sh {say} {word} {pause} {log}");
    let db = service(&[("ExecStart", "/bin/sleep 820408"), ("ExecStop", &stop("db", "0"))]);
    put(&client, "db.service", &db, UnitDesire::Launched).await;
    let lines = [("ExecStart", "/bin/sleep 820409"), ("ExecStop", &stop("app", "0.1"))];
    put(&client, "app.service", &unit(&NEEDS_DB, &lines), UnitDesire::Launched).await;
    reaches(&client, "app.service", "active", "running").await;
    let before = (processes("820408"), processes("820409"));

    drop(host);
    let host = stage.start().await;

    reaches(&client, "app.service", "active", "running").await;
    assert_eq!((processes("820408"), processes("820409")), before);
    host.stop(StopUnits::Stop).await;
    assert_eq!(std::fs::read_to_string(&log).expect("a log"), "app\ndb\n");
}
