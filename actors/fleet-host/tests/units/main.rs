//! What becomes of a unit: real keepers and programs behind the real socket.

#[path = "../support/mod.rs"]
mod support;

mod dependencies;
mod exec;
mod kill;
mod lasting;
mod limits;
mod output;
mod types;

use oa_fleet::unit::UnitDesire;
use oa_fleet::{Engine, EngineError, FleetClient};
use support::{Stage, launch, name, processes, reaches, service, until};

async fn make(client: &FleetClient, unit: &str, lines: &[(&str, &str)]) {
    client.put(&name(unit), &service(lines), UnitDesire::Launched).await.expect("it is made");
}

#[tokio::test]
async fn a_launched_unit_runs_and_stops_when_it_is_removed() {
    let stage = Stage::new();
    let host = stage.start().await;
    let client = stage.client();
    launch(&client, "app@0.service", &[("ExecStart", "/bin/sleep 810001")]).await;
    assert_eq!(processes("810001").len(), 1);

    assert!(client.remove(&name("app@0.service")).await.expect("it is removed"));

    stage.is_off_the_machine("app@0.service").await;
    assert!(processes("810001").is_empty());
    assert!(!client.remove(&name("app@0.service")).await.expect("nothing is there"));
    stage.end(host).await;
}

#[tokio::test]
async fn a_unit_whose_options_change_is_replaced() {
    let stage = Stage::new();
    let host = stage.start().await;
    let client = stage.client();
    launch(&client, "app.service", &[("ExecStart", "/bin/sleep 810002")]).await;

    let next = service(&[("ExecStart", "/bin/sleep 810003")]);
    client.put(&name("app.service"), &next, UnitDesire::Launched).await.expect("it is replaced");

    stage.runs_hash("app.service", &oa_fleet::unit_file::hash(&next)).await;
    assert_eq!((processes("810002").len(), processes("810003").len()), (0, 1));
    stage.end(host).await;
}

#[tokio::test]
async fn a_unit_that_is_put_again_unchanged_goes_on_untouched() {
    let stage = Stage::new();
    let host = stage.start().await;
    let client = stage.client();
    let lines = [("ExecStart", "/bin/sleep 810004")];
    launch(&client, "app.service", &lines).await;
    let before = processes("810004");

    make(&client, "app.service", &lines).await;
    client.set_desire(&name("app.service"), UnitDesire::Launched).await.expect("it is asked for");

    reaches(&client, "app.service", "active", "running").await;
    assert_eq!(processes("810004"), before);
    stage.end(host).await;
}

#[tokio::test]
async fn a_restart_makes_a_new_process_of_the_same_unit() {
    let stage = Stage::new();
    let host = stage.start().await;
    let client = stage.client();
    launch(&client, "app.service", &[("ExecStart", "/bin/sleep 810005")]).await;
    let before = processes("810005");

    client.restart(&name("app.service")).await.expect("it is restarted");

    until("a new process", async || {
        let now = processes("810005");
        now.len() == 1 && now != before
    })
    .await;
    client.set_desire(&name("app.service"), UnitDesire::Loaded).await.expect("it is stopped");
    let why = client.restart(&name("app.service")).await.expect_err("it is not launched");
    assert!(matches!(why, EngineError::Refused { status: 409, .. }), "{why}");
    stage.end(host).await;
}

#[tokio::test]
async fn the_longest_name_that_a_unit_may_have_is_no_trouble() {
    let stage = Stage::new();
    let host = stage.start().await;
    let client = stage.client();
    let long = "a".repeat(256 - ".service".len()) + ".service";

    launch(&client, &long, &[("ExecStart", "/bin/sleep 810009")]).await;

    assert_eq!(
        client.unit(&name(&long)).await.expect("it is there").expect("it is there").name,
        long
    );
    client.remove(&name(&long)).await.expect("it is removed");
    stage.is_off_the_machine(&long).await;
    stage.end(host).await;
}

#[tokio::test]
async fn what_cannot_run_is_refused_with_the_option_and_nothing_is_stored() {
    let stage = Stage::new();
    let host = stage.start().await;
    let client = stage.client();
    for (lines, option) in [
        (vec![("Description", "x")], "Description="),
        (vec![("ExecStart", "./sleep 1")], "ExecStart="),
        (vec![("ExecStart", "/bin/true"), ("Type", "notify")], "Type="),
        (vec![("ExecStart", "/bin/true"), ("User", "nobody-such")], "User="),
        (vec![("ExecStart", "/bin/true"), ("ProtectHome", "yes")], "ProtectHome="),
        (vec![("ExecStart", "/bin/true"), ("RestartSecs", "1")], "`RestartSec`"),
    ] {
        let unit = name("bad.service");
        let why = client.put(&unit, &service(&lines), UnitDesire::Launched).await;
        let why = why.expect_err(option);
        assert!(why.to_string().contains(option) && !why.is_retryable(), "{why}");
    }
    assert!(client.units().await.expect("a list").is_empty());
    stage.end(host).await;
}

#[tokio::test]
async fn units_that_conflict_take_turns_on_the_one_machine() {
    let stage = Stage::new();
    let host = stage.start().await;
    let client = stage.client();
    let options = |number: &str| {
        let mut options = service(&[("ExecStart", &format!("/bin/sleep {number}"))]);
        options.push(oa_fleet::unit::UnitOption::new("X-Fleet", "Conflicts", "app@*.service"));
        options
    };
    let (one, two) = (name("app@1.service"), name("app@2.service"));
    client.put(&one, &options("810010"), UnitDesire::Launched).await.expect("it is made");
    client.put(&two, &options("810011"), UnitDesire::Launched).await.expect("it is made");
    reaches(&client, one.as_str(), "active", "running").await;

    let waiting = client.unit(&two).await.expect("it is there").expect("it is there");
    assert_eq!((waiting.current_state, waiting.machine_id), (Some(UnitDesire::Inactive), None));

    client.set_desire(&one, UnitDesire::Inactive).await.expect("it goes");
    reaches(&client, two.as_str(), "active", "running").await;
    stage.end(host).await;
}
