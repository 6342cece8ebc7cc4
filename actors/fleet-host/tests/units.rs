//! What becomes of a unit: real keepers and programs behind the real socket.

mod support;

use std::collections::BTreeSet;
use std::time::Duration;

use oa_fleet::unit::UnitDesire;
use oa_fleet::{Engine, EngineError, FleetClient, LogQuery};
use support::{Stage, launch, name, output, processes, reaches, service, until};

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
async fn a_unit_that_ends_is_started_again_as_its_policy_says() {
    let stage = Stage::new();
    let host = stage.start().await;
    let client = stage.client();

    make(
        &client,
        "again.service",
        &[
            ("ExecStart", "/bin/echo once more"),
            ("Restart", "always"),
            ("RestartSec", "1ms"),
            ("StartLimitBurst", "0"),
        ],
    )
    .await;

    until("three starts", async || output(&client, "again.service").await.lines().count() > 3)
        .await;
    stage.end(host).await;
}

#[tokio::test]
async fn a_unit_that_fails_too_often_is_given_up_with_a_word_in_its_output() {
    let stage = Stage::new();
    let host = stage.start().await;
    let client = stage.client();

    make(
        &client,
        "bad.service",
        &[
            ("ExecStart", "/bin/false"),
            ("Restart", "on-failure"),
            ("RestartSec", "5ms"),
            ("StartLimitBurst", "3"),
        ],
    )
    .await;

    reaches(&client, "bad.service", "failed", "failed").await;
    assert!(output(&client, "bad.service").await.contains("too often"));
    stage.end(host).await;
}

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
async fn output_is_bounded_and_says_what_was_dropped() {
    let stage = Stage::new();
    let host = stage.start().await;
    let client = stage.client();

    make(&client, "much.service", &[("Type", "oneshot"), ("ExecStart", "/usr/bin/seq 1 20000")])
        .await;

    reaches(&client, "much.service", "inactive", "dead").await;
    let query = LogQuery { after: Some(0), ..LogQuery::default() };
    let page = client.logs(&name("much.service"), query).await.expect("a page");
    let printed: u64 = (1..=20000_u64).map(|number| number.to_string().len() as u64 + 1).sum();
    assert_eq!(page.next, printed);
    assert_eq!(page.dropped + page.text.len() as u64, printed);
    assert!(page.text.len() <= 64 * 1024 + 16 * 1024 && page.text.ends_with("\n20000\n"));
    let last = LogQuery { lines: Some(2), ..LogQuery::default() };
    let last = client.logs(&name("much.service"), last).await.expect("a page");
    assert_eq!((last.text.as_str(), last.next), ("19999\n20000\n", printed));
    stage.end(host).await;
}

#[tokio::test]
async fn whoever_follows_the_output_is_told_when_there_is_more() {
    let stage = Stage::new();
    let host = stage.start().await;
    let client = stage.client();
    let lines = service(&[("Type", "oneshot"), ("ExecStart", "/bin/echo hello")]);
    let say = name("say.service");
    client.put(&say, &lines, UnitDesire::Loaded).await.expect("it is made");
    let follow = LogQuery { after: Some(0), lines: None, wait: Duration::from_secs(20) };
    let waiting = tokio::spawn({
        let (client, say) = (client.clone(), say.clone());
        async move { client.logs(&say, follow).await }
    });

    client.set_desire(&say, UnitDesire::Launched).await.expect("it is launched");

    let page = waiting.await.expect("no panic").expect("a page");
    assert_eq!((page.text.as_str(), page.next), ("hello\n", 6));
    let now = LogQuery { after: Some(page.next), ..LogQuery::default() };
    let nothing = client.logs(&say, now).await.expect("a page");
    assert_eq!((nothing.text.as_str(), nothing.next), ("", 6));
    stage.end(host).await;
}

#[tokio::test]
async fn output_can_be_read_after_the_unit_is_gone() {
    let stage = Stage::new();
    let host = stage.start().await;
    let client = stage.client();
    make(&client, "say.service", &[("Type", "oneshot"), ("ExecStart", "/bin/echo hello")]).await;
    reaches(&client, "say.service", "inactive", "dead").await;

    client.remove(&name("say.service")).await.expect("it is removed");

    stage.is_off_the_machine("say.service").await;
    assert_eq!(output(&client, "say.service").await, "hello\n");
    let why = client.logs(&name("never.service"), LogQuery::default()).await.expect_err("unknown");
    assert!(matches!(why, EngineError::UnknownUnit { .. }), "{why}");
    stage.end(host).await;
}

#[tokio::test]
async fn what_cannot_run_is_refused_with_the_option_and_nothing_is_stored() {
    let stage = Stage::new();
    let host = stage.start().await;
    let client = stage.client();
    for (lines, option) in [
        (vec![("Description", "x")], "Description="),
        (vec![("ExecStart", "sleep 1")], "ExecStart="),
        (vec![("ExecStart", "/bin/true"), ("Type", "forking")], "Type="),
        (vec![("ExecStart", "/bin/true"), ("User", "nobody-such")], "User="),
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
