//! The commands of a unit: in which order, with which environment, as whom.

use std::collections::BTreeSet;

use oa_fleet::unit::UnitDesire;
use oa_fleet::{Engine, FleetClient};

use super::make;
use super::support::{Stage, launch, name, output, processes, raw, reaches, service, until};

#[tokio::test]
async fn a_program_that_is_not_there_is_named_in_the_output() {
    let stage = Stage::new();
    let host = stage.start().await;
    let client = stage.client();

    make(&client, "none.service", &[("ExecStart", "/no/such/program")]).await;

    reaches(&client, "none.service", "failed", "failed").await;
    assert!(output(&client, "none.service").await.contains("/no/such/program"));
    stage.end(host).await;
}

#[tokio::test]
async fn commands_before_and_for_the_stop_are_run() {
    let stage = Stage::new();
    let host = stage.start().await;
    let client = stage.client();
    launch(
        &client,
        "app.service",
        &[
            ("ExecStartPre", "-/bin/false"),
            ("ExecStartPre", "/bin/echo before"),
            ("ExecStart", "/bin/sleep 810006"),
            ("ExecStop", "/bin/echo stopping ${MAINPID}"),
        ],
    )
    .await;
    let main = processes("810006")[0];

    client.set_desire(&name("app.service"), UnitDesire::Loaded).await.expect("it is stopped");

    reaches(&client, "app.service", "inactive", "dead").await;
    assert_eq!(output(&client, "app.service").await, format!("before\nstopping {main}\n"));
    stage.end(host).await;
}

#[tokio::test]
async fn a_unit_sees_its_own_environment_and_nothing_of_the_node() {
    let stage = Stage::new();
    let host = stage.start().await;
    let client = stage.client();

    make(
        &client,
        "env@7.service",
        &[
            ("Type", "oneshot"),
            ("Environment", "\"GREETING=hello world\" INSTANCE=%i"),
            ("ExecStart", "/usr/bin/env"),
            ("ExecStart", "/bin/echo ${GREETING} $INSTANCE $$HOME $(id); true"),
        ],
    )
    .await;

    reaches(&client, "env@7.service", "inactive", "dead").await;
    let text = output(&client, "env@7.service").await;
    let names = text.lines().filter_map(|line| Some(line.split_once('=')?.0));
    let names: BTreeSet<&str> = names.collect();
    let expected =
        ["GREETING", "HOME", "INSTANCE", "INVOCATION_ID", "LANG", "LOGNAME", "PATH", "USER"];
    assert_eq!(names, expected.into(), "{text}");
    assert!(text.ends_with("hello world 7 $HOME $(id); true\n"), "no shell saw the line: {text}");
    stage.end(host).await;
}

#[tokio::test]
async fn a_unit_runs_as_its_user_and_in_its_directory() {
    let stage = Stage::new();
    let host = stage.start().await;
    let client = stage.client();
    let lines = [
        ("Type", "oneshot"),
        ("User", "nobody"),
        ("WorkingDirectory", "/usr"),
        ("ExecStart", "/usr/bin/id -u"),
        ("ExecStart", "/bin/pwd"),
    ];
    let put = client.put(&name("who.service"), &service(&lines), UnitDesire::Launched).await;
    if rustix::process::geteuid().is_root() {
        put.expect("it is made");
        reaches(&client, "who.service", "inactive", "dead").await;
        assert_eq!(output(&client, "who.service").await, "65534\n/usr\n");
    } else {
        let why = put.expect_err("only root may become somebody else");
        assert!(why.to_string().contains("User="), "{why}");
    }
    stage.end(host).await;
}

#[tokio::test]
async fn every_command_of_a_life_is_run_in_its_place() {
    let stage = Stage::new();
    let host = stage.start().await;
    let client = stage.client();
    launch(
        &client,
        "app@1.service",
        &[
            ("ExecStartPre", "/bin/echo pre %i ; echo and"),
            ("ExecStart", "/bin/sleep 810020"),
            ("ExecStartPost", "/bin/echo post ${MAINPID}"),
            ("ExecStop", "/bin/echo stop ${MAINPID}"),
            (
                "ExecStopPost",
                "/bin/echo after [${MAINPID}] ${SERVICE_RESULT} ${EXIT_CODE} ${EXIT_STATUS}",
            ),
        ],
    )
    .await;
    let main = processes("810020")[0];

    client.set_desire(&name("app@1.service"), UnitDesire::Loaded).await.expect("it is stopped");

    reaches(&client, "app@1.service", "inactive", "dead").await;
    let expected = format!("pre 1\nand\npost {main}\nstop {main}\nafter [] success killed TERM\n");
    assert_eq!(output(&client, "app@1.service").await, expected);
    stage.end(host).await;
}

/// Makes a unit that fails like this; its result, and what `ExecStopPost=` was told.
async fn failure(client: &FleetClient, stage: &Stage, at: usize, lines: &[(&str, &str)]) -> String {
    let unit = format!("fail{at}.service");
    let told = ("ExecStopPost", "/bin/echo told ${SERVICE_RESULT} ${EXIT_CODE} ${EXIT_STATUS}.");
    let no_stop = ("ExecStop", "/bin/echo this is not run");
    make(client, &unit, &[lines, &[told, no_stop]].concat()).await;
    reaches(client, &unit, "failed", "failed").await;
    let text = output(client, &unit).await;
    assert!(!text.contains("not run"), "{lines:?}: {text}");
    let told = text.lines().find_map(|line| line.strip_prefix("told ")).unwrap_or_default();
    format!("{}: {told}", stage.result_of(&unit))
}

#[tokio::test]
async fn the_last_command_is_run_after_every_failure_and_told_which() {
    let stage = Stage::new();
    let host = stage.start().await;
    let client = stage.client();
    let killed = stage.file("killed", "kill -9 $$\n");
    let killed = format!("/bin/sh {killed}");
    let missing = "/no/such/file";
    let cases: &[(&[(&str, &str)], &str)] = &[
        (&[("ExecStart", "/bin/false")], "exit-code: exit-code exited 1."),
        (&[("ExecStart", "/no/such/program")], "exit-code: exit-code exited 203."),
        (&[("ExecStart", &killed)], "signal: signal killed KILL."),
        (&[("ExecStartPre", "/bin/false"), ("ExecStart", "/bin/true")], "exit-code: exit-code  ."),
        (
            &[("ExecStart", "/bin/sleep 810021"), ("ExecStartPost", "/bin/false")],
            "exit-code: exit-code killed TERM.",
        ),
        (
            &[("Type", "oneshot"), ("ExecStart", "/bin/sleep 810022"), ("TimeoutStartSec", "50ms")],
            "timeout: timeout killed TERM.",
        ),
        (
            &[("ExecStart", "/bin/sleep 810023"), ("RuntimeMaxSec", "50ms"), ("ExecStop", "")],
            "timeout: timeout killed TERM.",
        ),
        (
            &[("ExecStart", "/bin/true"), ("WorkingDirectory", "/no/such/directory")],
            // What is missing for the unit is missing for its last command, too.
            "exit-code: ",
        ),
        (&[("ExecStart", "/bin/true"), ("EnvironmentFile", missing)], "resources: "),
    ];
    for (at, (lines, expected)) in cases.iter().enumerate() {
        if lines.iter().any(|(option, _)| *option == "RuntimeMaxSec") {
            // The one failure that comes after a good start: an orderly stop.
            make(&client, "max.service", &lines[..2]).await;
            reaches(&client, "max.service", "failed", "failed").await;
            assert_eq!(stage.result_of("max.service"), "timeout");
            continue;
        }
        assert_eq!(failure(&client, &stage, at, lines).await, *expected, "{lines:?}");
    }
    stage.end(host).await;
}

#[tokio::test]
async fn files_of_variables_are_read_at_each_start_and_win() {
    let stage = Stage::new();
    let host = stage.start().await;
    let client = stage.client();
    let first = stage.file("first.env", "A=file\nB=\"first 1\"\n");
    let second = stage.file("second.env", "# more\nB='second  2'\nC=a \\\nb\n");
    let lines = [
        ("Type", "oneshot"),
        ("Environment", "A=unit D=unit"),
        ("EnvironmentFile", first.as_str()),
        ("EnvironmentFile", second.as_str()),
        ("EnvironmentFile", "-/no/such/file"),
        ("ExecStart", "/bin/echo ${A} ${B} ${C} ${D}"),
    ];
    make(&client, "env.service", &lines).await;
    reaches(&client, "env.service", "inactive", "dead").await;
    assert_eq!(output(&client, "env.service").await, "file second  2 a b unit\n");

    stage.file("second.env", "B=new\n");
    client.restart(&name("env.service")).await.expect("it is restarted");

    until("another line", async || {
        output(&client, "env.service").await.ends_with("\nfile new  unit\n")
    })
    .await;
    stage.end(host).await;
}

#[tokio::test]
async fn a_file_of_variables_is_read_with_the_rights_of_the_unit_unless_it_could_be_root() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let stage = Stage::new();
    let secret = stage.file("secret.env", "WORD=secret\n");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&secret, mode).expect("it is ours");
    let lines = [
        ("Type", "oneshot"),
        ("User", "nobody"),
        ("EnvironmentFile", secret.as_str()),
        ("ExecStart", "/bin/echo ${WORD}"),
    ];
    let host = stage.start().await;
    let client = stage.client();
    make(&client, "may.service", &lines).await;
    reaches(&client, "may.service", "inactive", "dead").await;
    assert_eq!(output(&client, "may.service").await, "secret\n");
    host.stop(oa_fleet_host::StopUnits::Stop).await;

    let config = oa_fleet_host::FleetHostConfig { allow_root_units: false, ..stage.config() };
    let host = oa_fleet_host::FleetHost::start(config).await.expect("the host starts");
    make(&client, "must-not.service", &lines).await;
    reaches(&client, "must-not.service", "failed", "failed").await;
    assert_eq!(stage.result_of("must-not.service"), "resources");
    let text = output(&client, "must-not.service").await;
    assert!(text.contains("denied") && !text.contains("WORD"), "{text}");
    stage.end(host).await;
}

#[tokio::test]
async fn a_reload_is_asked_for_and_run_beside_the_program() {
    let stage = Stage::new();
    let host = stage.start().await;
    let client = stage.client();
    let script =
        stage.file("app", "trap 'echo read again' HUP\necho up\nwhile :; do sleep 0.01; done\n");
    let lines = [
        ("ExecStart", format!("/bin/sh {script}")),
        ("ExecReload", "kill -HUP $MAINPID".to_owned()),
    ];
    let lines = lines.each_ref().map(|(name, value)| (*name, value.as_str()));
    launch(&client, "app.service", &lines).await;
    until("it is up", async || output(&client, "app.service").await == "up\n").await;
    let reload = async |unit: &str| {
        let path = format!("/oa/v1/units/{unit}/reload");
        raw::send(&stage.socket(), &raw::request("POST", &path, "")).await
    };

    assert_eq!(reload("app.service").await.status, 204);

    until("the reload", async || output(&client, "app.service").await == "up\nread again\n").await;
    reaches(&client, "app.service", "active", "running").await;
    make(&client, "deaf.service", &[("ExecStart", "/bin/sleep 810024")]).await;
    let answer = reload("deaf.service").await;
    assert_eq!((answer.status, answer.body.contains("ExecReload=")), (409, true));
    assert_eq!(reload("no.service").await.status, 404);
    stage.end(host).await;
}
