//! What a unit prints: bounded, followed, kept.

use std::time::Duration;

use oa_fleet::unit::UnitDesire;
use oa_fleet::{Engine, EngineError, LogQuery};

use super::make;
use super::support::{Stage, name, output, reaches, service};

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
