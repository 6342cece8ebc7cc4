//! Units that end and are started again, or not.

use super::make;
use super::support::{Stage, output, reaches, until};

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
    assert_eq!(stage.result_of("bad.service"), "start-limit-hit");
    assert_eq!(stage.status_of("bad.service")["starts"], 3);
    stage.end(host).await;
}

#[tokio::test]
async fn an_exit_may_forbid_the_next_start() {
    let stage = Stage::new();
    let host = stage.start().await;
    let client = stage.client();
    let text = "echo run\nexit $1\n";
    let start = format!("/bin/sh {} 7", stage.file("app", text));
    let lines = [
        ("ExecStart", start.as_str()),
        ("Restart", "always"),
        ("RestartSec", "1ms"),
        ("RestartPreventExitStatus", "7"),
    ];
    make(&client, "app.service", &lines).await;
    reaches(&client, "app.service", "failed", "failed").await;
    assert_eq!(output(&client, "app.service").await, "run\n");
    let status = stage.status_of("app.service");
    assert_eq!((&status["result"], &status["starts"]), (&"exit-code".into(), &1.into()));
    assert!(status["since_ms"].as_i64().is_some_and(|since| since > 1_600_000_000_000));
    stage.end(host).await;
}
