//! How a unit ends: what is told, what is made, what is spared.

use oa_fleet::unit::UnitDesire;
use oa_fleet::{Engine, FleetClient};

use super::make;
use super::support::{Stage, launch, name, output, processes, reaches, until};

#[tokio::test]
async fn a_program_that_is_deaf_to_the_stop_signal_is_killed_in_time() {
    let stage = Stage::new();
    let host = stage.start().await;
    let client = stage.client();
    let lines = [
        ("ExecStart", "/usr/bin/nohup /bin/sleep 810007"),
        ("KillSignal", "SIGHUP"),
        ("TimeoutStopSec", "100ms"),
    ];
    launch(&client, "deaf.service", &lines).await;
    // `nohup` makes itself deaf and then becomes `sleep`.
    until("deafness", async || {
        // While it becomes `sleep` it shows no arguments.
        let Some(pid) = processes("810007").pop() else { return false };
        std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|text| text == "sleep\n")
    })
    .await;

    client.remove(&name("deaf.service")).await.expect("it is removed");

    stage.is_off_the_machine("deaf.service").await;
    assert!(processes("810007").is_empty());
    assert!(output(&client, "deaf.service").await.contains("killing it"));
    stage.end(host).await;
}

#[tokio::test]
async fn what_hides_in_a_session_of_its_own_ends_with_the_unit() {
    let stage = Stage::new();
    let host = stage.start().await;
    let client = stage.client();
    let lines = [
        ("Type", "oneshot"),
        ("RemainAfterExit", "yes"),
        ("ExecStart", "/usr/bin/setsid --fork /bin/sleep 810008"),
    ];
    make(&client, "hide.service", &lines).await;
    reaches(&client, "hide.service", "active", "exited").await;
    until("it hides", async || processes("/bin/sleep\x00810008").len() == 1).await;

    client.remove(&name("hide.service")).await.expect("it is removed");

    stage.is_off_the_machine("hide.service").await;
    assert!(processes("810008").is_empty());
    stage.end(host).await;
}

/// A main process with a child in a session of its own, each of which says what it is told.
const FAMILY: &str = "\
setsid /bin/sh \"$2\" child &\n\
trap 'echo main told; exit 0' TERM\n\
echo main\n\
while :; do sleep 0.01; done\n";
const CHILD: &str =
    "trap 'echo child told; exit 0' TERM\necho child\nwhile :; do sleep 0.01; done\n";

/// Launches a family that ends like this, stops it, and gives what it said; its members bear the name of the unit.
async fn stopped(stage: &Stage, client: &FleetClient, unit: &str, mode: &str) -> String {
    let (family, child) = (stage.file(unit, FAMILY), stage.file(&format!("{unit}.child"), CHILD));
    let start = format!("/bin/sh {family} {unit} {child}");
    launch(client, unit, &[("ExecStart", &start), ("KillMode", mode)]).await;
    until("both are up", async || output(client, unit).await.len() == "main\nchild\n".len()).await;
    client.set_desire(&name(unit), UnitDesire::Loaded).await.expect("it is stopped");
    reaches(client, unit, "inactive", "dead").await;
    output(client, unit).await
}

#[tokio::test]
async fn each_mode_reaches_whom_it_should() {
    let stage = Stage::new();
    let host = stage.start().await;
    let client = stage.client();
    let left = |unit: &str| processes(&format!("{unit}.child\x00child"));

    let said = stopped(&stage, &client, "group.service", "control-group").await;
    assert!(said.contains("main told") && said.contains("child told"), "{said}");
    assert!(left("group.service").is_empty());

    let said = stopped(&stage, &client, "mixed.service", "mixed").await;
    assert!(said.contains("main told") && !said.contains("child told"), "{said}");
    assert!(left("mixed.service").is_empty());

    let said = stopped(&stage, &client, "process.service", "process").await;
    assert!(said.contains("main told") && said.contains("left running"), "{said}");
    assert_eq!(left("process.service").len(), 1, "spared");
    launch(&client, "process.service", &[("ExecStart", "/bin/sleep 820201")]).await;
    assert_eq!(left("process.service").len(), 1, "spared by the next one, too");

    let said = stopped(&stage, &client, "none.service", "none").await;
    assert!(!said.contains("told") && said.contains("left running"), "{said}");
    for pid in processes("process.service").into_iter().chain(processes("none.service")) {
        let pid = rustix::process::Pid::from_raw(pid).expect("a number");
        let _the_keeper_is_among_them =
            rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    }
    stage.end(host).await;
}

#[tokio::test]
async fn signals_are_those_that_are_asked_for() {
    let stage = Stage::new();
    let host = stage.start().await;
    let client = stage.client();
    let text = "trap 'echo hangup' HUP\ntrap 'echo user; exit 0' USR1\necho up\nwhile :; do sleep 0.01; done\n";
    let start = format!("/bin/sh {}", stage.file("app", text));
    let lines = [("ExecStart", start.as_str()), ("KillSignal", "10"), ("SendSIGHUP", "yes")];
    launch(&client, "app.service", &lines).await;
    until("it is up", async || output(&client, "app.service").await == "up\n").await;

    client.set_desire(&name("app.service"), UnitDesire::Loaded).await.expect("it is stopped");

    reaches(&client, "app.service", "inactive", "dead").await;
    let said = output(&client, "app.service").await;
    assert!(said.contains("user\n"), "{said}");
    stage.end(host).await;
}

#[tokio::test]
async fn a_program_that_must_be_killed_has_failed_by_timeout() {
    let stage = Stage::new();
    let host = stage.start().await;
    let client = stage.client();
    let text =
        "trap '' TERM\ntrap 'echo last; exit 0' QUIT\necho up\nwhile :; do sleep 0.01; done\n";
    let start = format!("/bin/sh {}", stage.file("app", text));
    let lines =
        [("ExecStart", start.as_str()), ("TimeoutStopSec", "50ms"), ("FinalKillSignal", "SIGQUIT")];
    launch(&client, "app.service", &lines).await;
    until("it is up", async || output(&client, "app.service").await == "up\n").await;

    client.set_desire(&name("app.service"), UnitDesire::Loaded).await.expect("it is stopped");

    reaches(&client, "app.service", "failed", "failed").await;
    assert_eq!(stage.result_of("app.service"), "timeout");
    let said = output(&client, "app.service").await;
    assert!(said.contains("killing it") && said.contains("last\n"), "{said}");
    stage.end(host).await;
}
