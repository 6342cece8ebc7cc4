//! `GET /workflows/:id/events`: what happened, and waiting for what happens next.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::manager::TestManager;

fn last_version(events: &serde_json::Value) -> i64 {
    events["events"]
        .as_array()
        .and_then(|list| list.last())
        .and_then(|event| event["version"].as_i64())
        .expect("an event")
}

#[tokio::test]
async fn events_are_given_after_a_version() {
    let manager = TestManager::start().await;
    let path =
        manager.workflow(json!({"deployment_repo": "acme/shop", "milestones": ["config"]})).await;
    manager.post(&format!("{path}/execute"), json!({})).await.expect_status(202);

    let all = manager.get(&format!("{path}/events")).await.expect_status(200);
    let all: oa_api::WorkflowEvents =
        serde_json::from_str(&all.body).expect("what the client reads");
    assert!(!all.events.is_empty());
    assert!(!all.completed);
    assert!(all.events.windows(2).all(|pair| pair[0].version < pair[1].version), "{all:?}");
    assert!(
        all.events.iter().all(|event| !event.message.is_empty() && event.at_ms > 1_600_000_000_000),
        "{all:?}"
    );

    let last = all.events.last().expect("an event").version;
    let none = manager.get(&format!("{path}/events?after={last}")).await.expect_status(200).json();
    assert_eq!(none["events"], json!([]));
    assert_eq!(none["state"], "running");
}

#[tokio::test]
async fn a_long_poll_ends_with_the_next_event() {
    let manager = TestManager::start().await;
    let path =
        manager.workflow(json!({"deployment_repo": "acme/shop", "milestones": ["config"]})).await;
    manager.post(&format!("{path}/execute"), json!({})).await.expect_status(202);
    let last = last_version(&manager.get(&format!("{path}/events")).await.json());

    let poll = manager
        .request("GET", &format!("{path}/events?after={last}&wait_ms=15000"))
        .send(manager.address());
    let cancel = async {
        manager.until_waiting(1).await;
        manager.post(&format!("{path}/cancel"), json!({"reason": "enough"})).await
    };
    let (news, cancelled) = tokio::join!(poll, cancel);
    cancelled.expect_status(202);
    let news = news.expect_status(200).json();
    assert_eq!(news["state"], "cancelled");
    assert_eq!(news["completed"], true);
    assert!(last_version(&news) > last);
}

#[tokio::test]
async fn a_long_poll_ends_empty_when_its_time_is_up_and_at_once_when_all_is_over() {
    let manager = TestManager::start().await;
    let path =
        manager.workflow(json!({"deployment_repo": "acme/shop", "milestones": ["config"]})).await;
    manager.post(&format!("{path}/execute"), json!({})).await.expect_status(202);
    let last = last_version(&manager.get(&format!("{path}/events")).await.json());
    let started = Instant::now();
    let none = manager
        .get(&format!("{path}/events?after={last}&wait_ms=100"))
        .await
        .expect_status(200)
        .json();
    assert_eq!(none["events"], json!([]));
    assert!(started.elapsed() >= Duration::from_millis(100));

    manager.post(&format!("{path}/cancel"), json!({})).await.expect_status(202);
    let last = last_version(&manager.get(&format!("{path}/events")).await.json());
    let started = Instant::now();
    let over = manager
        .get(&format!("{path}/events?after={last}&wait_ms=30000"))
        .await
        .expect_status(200)
        .json();
    assert_eq!((&over["events"], &over["completed"]), (&json!([]), &json!(true)));
    assert!(
        started.elapsed() < Duration::from_secs(10),
        "nothing more will come, so there is nothing to wait for"
    );
}

#[tokio::test]
async fn a_query_that_makes_no_sense_names_its_field() {
    let manager = TestManager::start().await;
    let path =
        manager.workflow(json!({"deployment_repo": "acme/shop", "milestones": ["config"]})).await;
    for query in ["after", "wait_ms"] {
        let answer = manager.get(&format!("{path}/events?{query}=x")).await.expect_status(400);
        assert_eq!(answer.json()["errors"][1], json!({query: "is invalid"}));
    }
}
