//! What counts as running: the types of units.

use oa_fleet::Engine;
use oa_fleet::unit::UnitDesire;

use super::make;
use super::support::{Stage, launch, name, output, processes, reaches, until};

#[tokio::test]
async fn a_oneshot_that_remains_is_active_after_its_end() {
    let stage = Stage::new();
    let host = stage.start().await;
    let client = stage.client();

    make(
        &client,
        "once.service",
        &[
            ("Type", "oneshot"),
            ("RemainAfterExit", "yes"),
            ("ExecStart", "/bin/echo one"),
            ("ExecStart", "-/bin/false"),
            ("ExecStart", "/bin/echo two of %n"),
        ],
    )
    .await;

    reaches(&client, "once.service", "active", "exited").await;
    until("both lines", async || {
        output(&client, "once.service").await == "one\ntwo of once.service\n"
    })
    .await;
    stage.end(host).await;
}

/// A program that goes into the background, once as often as it is told, and writes the number of the last one down.
const DAEMON: &str = "\
for mark in $2; do\n  setsid /bin/sleep $mark </dev/null &\n  main=$!\ndone\n[ -z \"$1\" ] || echo $main > \"$1\"\n";

#[tokio::test]
async fn a_program_in_the_background_is_known_by_its_pid_file() {
    let stage = Stage::new();
    let host = stage.start().await;
    let client = stage.client();
    let (script, file) = (stage.file("daemon", DAEMON), stage.file("app.pid", ""));
    let start = format!("/bin/sh {script} {file} \"820101 820102\"");
    let lines = [("Type", "forking"), ("PIDFile", file.as_str()), ("ExecStart", start.as_str())];

    launch(&client, "app.service", &lines).await;

    let main = processes("/bin/sleep\x00820102")[0];
    assert_eq!(stage.status_of("app.service")["process"]["pid"], main);
    rustix::process::kill_process(
        rustix::process::Pid::from_raw(main).expect("a number"),
        rustix::process::Signal::KILL,
    )
    .expect("it is there");
    reaches(&client, "app.service", "failed", "failed").await;
    assert_eq!(stage.result_of("app.service"), "signal");
    assert!(processes("820101").is_empty(), "what else it started ends with it");
    stage.end(host).await;
}

#[tokio::test]
async fn the_only_program_in_the_background_is_the_main_one() {
    let stage = Stage::new();
    let host = stage.start().await;
    let client = stage.client();
    let script = stage.file("daemon", DAEMON);
    let start = format!("/bin/sh {script} \"\" 820103");
    launch(&client, "one.service", &[("Type", "forking"), ("ExecStart", &start)]).await;
    assert_eq!(stage.status_of("one.service")["process"]["pid"], processes("820103")[0]);

    let start = format!("/bin/sh {script} \"\" \"820104 820105\"");
    launch(&client, "two.service", &[("Type", "forking"), ("ExecStart", &start)]).await;
    assert!(stage.status_of("two.service")["process"].is_null(), "nobody can tell which");
    client.set_desire(&name("two.service"), UnitDesire::Loaded).await.expect("it is stopped");
    reaches(&client, "two.service", "inactive", "dead").await;
    assert!(processes("820104").is_empty() && processes("820105").is_empty());
    stage.end(host).await;
}

#[tokio::test]
async fn a_program_that_never_says_where_it_is_has_failed() {
    let stage = Stage::new();
    let host = stage.start().await;
    let client = stage.client();
    let foreign = stage.file("foreign.pid", "1\n");
    let lines = [
        ("Type", "forking"),
        ("PIDFile", foreign.as_str()),
        ("ExecStart", "/usr/bin/setsid --fork /bin/sleep 820106"),
        ("TimeoutStartSec", "100ms"),
    ];
    make(&client, "app.service", &lines).await;
    reaches(&client, "app.service", "failed", "failed").await;
    assert_eq!(stage.result_of("app.service"), "protocol");
    assert!(output(&client, "app.service").await.contains("no process of the unit"));
    assert!(processes("820106").is_empty());

    make(&client, "gone.service", &[("Type", "forking"), ("ExecStart", "/bin/true")]).await;
    reaches(&client, "gone.service", "inactive", "dead").await;
    stage.end(host).await;
}

#[tokio::test]
async fn a_unit_of_any_type_may_remain_after_its_end() {
    let stage = Stage::new();
    let host = stage.start().await;
    let client = stage.client();
    let lines = [
        ("RemainAfterExit", "yes"),
        ("ExecStart", "/bin/echo started"),
        ("ExecStop", "/bin/echo stopped"),
    ];
    make(&client, "stays.service", &lines).await;
    reaches(&client, "stays.service", "active", "exited").await;

    client.set_desire(&name("stays.service"), UnitDesire::Loaded).await.expect("it is stopped");

    reaches(&client, "stays.service", "inactive", "dead").await;
    assert_eq!(output(&client, "stays.service").await, "started\nstopped\n");
    stage.end(host).await;
}

#[tokio::test]
async fn a_sequence_ends_with_the_first_command_that_fails() {
    let stage = Stage::new();
    let host = stage.start().await;
    let client = stage.client();
    let lines = [
        ("Type", "oneshot"),
        ("ExecStart", "/bin/echo one ; -/bin/false ; /bin/echo two"),
        ("ExecStart", "/bin/false"),
        ("ExecStart", "/bin/echo three"),
    ];
    make(&client, "some.service", &lines).await;
    reaches(&client, "some.service", "failed", "failed").await;
    assert_eq!(output(&client, "some.service").await, "one\ntwo\n");
    until("a word on how it ended", async || {
        stage.status_of("some.service")["last_exit"] == "exit status: 1"
    })
    .await;
    stage.end(host).await;
}
