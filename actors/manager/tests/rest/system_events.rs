//! `/system_events`: record, show, assign, dismiss.

use serde_json::json;

use crate::manager::TestManager;

#[tokio::test]
async fn an_event_is_recorded_and_shown_with_every_field() {
    let manager = TestManager::start().await;
    let body = json!({"type": "disk_full", "severity": "warning", "message": "two\nlines", "data": {"free": [1, null]}});
    let answer = manager.post("/system_events", body).await.expect_status(201);
    assert_eq!((answer.header("location"), answer.body.as_str()), (Some("/system_events"), ""));

    let list = manager.get("/system_events/").await.expect_status(200).json();
    let event = &list[0];
    assert_eq!(event["type"], "disk_full");
    assert_eq!(event["severity"], "warning");
    assert_eq!(event["message"], "two\nlines");
    assert_eq!(event["data"], json!({"free": [1, null]}));
    for field in [
        "assignee_id",
        "assigned_by_id",
        "assigned_at",
        "dismissed_by_id",
        "dismissed_at",
        "dismissed_reason",
    ] {
        assert!(
            event.as_object().expect("an object").contains_key(field) && event[field].is_null(),
            "{field}"
        );
    }
    assert!(event["inserted_at"].as_str().is_some_and(|time| time.ends_with(" UTC")));
    let one =
        manager.get(&format!("/system_events/{}", event["id"])).await.expect_status(200).json();
    assert_eq!(&one, event);
}

#[tokio::test]
async fn bad_fields_are_named_and_nothing_is_stored() {
    let manager = TestManager::start().await;
    let answer = manager.post("/system_events", json!({})).await.expect_status(400).json();
    assert_eq!(
        answer["errors"],
        json!([
            {"message": "One or more fields for SystemEvent were invalid"},
            {"type": "can't be blank"},
            {"severity": "can't be blank"}
        ])
    );
    for (body, field) in [
        (json!({"type": "", "severity": "error"}), "type"),
        (json!({"type": "x", "severity": ""}), "severity"),
        (json!({"type": "x", "severity": "error", "message": 5}), "message"),
        (json!({"type": "x", "severity": "error", "unique": 5}), "unique"),
        (json!({"type": "x".repeat(256), "severity": "error"}), "type"),
    ] {
        let answer = manager.post("/system_events", body).await.expect_status(400).json();
        assert!(answer["errors"][1][field].is_string(), "{answer}");
    }
    assert_eq!(manager.get("/system_events?lookback=0").await.json(), json!([]));
}

#[tokio::test]
async fn a_unique_event_is_refused_while_an_equal_one_is_fresh() {
    let manager = TestManager::start().await;
    let event = |data| json!({"type": "t", "severity": "error", "unique": true, "data": data});
    manager.post("/system_events", event(json!({"a": 1}))).await.expect_status(201);
    let answer = manager.post("/system_events", event(json!({"a": 1}))).await.expect_status(409);
    assert_eq!(answer.message(), "A SystemEvent already exists with that identifier");
    manager.post("/system_events", event(json!({"a": 2}))).await.expect_status(201);
    manager.post("/system_events", event(json!(null))).await.expect_status(409);
    let other = json!({"type": "other", "severity": "error", "unique": true});
    manager.post("/system_events", other.clone()).await.expect_status(201);
    manager.post("/system_events", other).await.expect_status(409);
    manager
        .post("/system_events", json!({"type": "t", "severity": "error", "data": {"a": 1}}))
        .await
        .expect_status(201);
}

#[tokio::test]
async fn an_event_that_is_not_there_is_404_by_its_id() {
    let manager = TestManager::start().await;
    for id in ["7", "x"] {
        let message = format!("SystemEvent {id} was not found");
        let path = format!("/system_events/{id}");
        assert_eq!(manager.get(&path).await.expect_status(404).message(), message);
        let answer = manager
            .post(&format!("{path}/assign"), json!({"assignee_id": 1}))
            .await
            .expect_status(404);
        assert_eq!(answer.message(), message);
        let answer = manager.post(&format!("{path}/dismiss"), json!({})).await.expect_status(404);
        assert_eq!(answer.message(), message);
    }
}

#[tokio::test]
async fn an_event_is_assigned_to_a_user_and_found_by_that_user() {
    let manager = TestManager::start().await;
    manager
        .post("/system_events", json!({"type": "t", "severity": "error"}))
        .await
        .expect_status(201);
    let id = manager.get("/system_events").await.json()[0]["id"].clone();
    let path = format!("/system_events/{id}");

    let answer = manager
        .post(&format!("{path}/assign"), json!({"assignee_id": 99}))
        .await
        .expect_status(400);
    assert_eq!(answer.message(), "One or more fields for User 99 were invalid");
    manager.post(&format!("{path}/assign"), json!({})).await.expect_status(400);

    let answer = manager
        .post(&format!("{path}/assign"), json!({"assignee_id": "1", "assigned_by_id": 5}))
        .await;
    assert_eq!(answer.expect_status(204).header("location"), Some(path.as_str()));
    let event = manager.get(&path).await.json();
    assert_eq!((&event["assignee_id"], &event["assigned_by_id"]), (&json!(1), &json!(1)));
    assert!(event["assigned_at"].is_string());

    assert_eq!(manager.get("/system_events?assignee_id=1").await.json(), json!([event]));
    assert_eq!(manager.get("/system_events?assignee_id=2").await.json(), json!([]));
    assert_eq!(
        manager.get("/system_events?assignee_id=2&lookback=24").await.json(),
        json!([event]),
        "lookback wins"
    );
}

#[tokio::test]
async fn an_event_is_dismissed_with_a_reason() {
    let manager = TestManager::start().await;
    manager
        .post("/system_events", json!({"type": "t", "severity": "error"}))
        .await
        .expect_status(201);
    let id = manager.get("/system_events").await.json()[0]["id"].clone();
    let path = format!("/system_events/{id}");
    let answer = manager
        .post(&format!("{path}/dismiss"), json!({"dismissed_by_id": 99}))
        .await
        .expect_status(400);
    assert_eq!(answer.message(), "One or more fields for User 99 were invalid");

    let answer = manager
        .post(&format!("{path}/dismiss"), json!({"dismissed_reason": "known"}))
        .await
        .expect_status(204);
    assert_eq!(answer.header("location"), Some(path.as_str()));
    let event = manager.get(&path).await.json();
    assert_eq!(
        (&event["dismissed_by_id"], &event["dismissed_reason"]),
        (&json!(1), &json!("known"))
    );
    assert!(event["dismissed_at"].is_string());
}

#[tokio::test]
async fn a_query_that_makes_no_sense_names_its_field() {
    let manager = TestManager::start().await;
    for field in ["lookback", "assignee_id"] {
        let answer = manager.get(&format!("/system_events?{field}=soon")).await.expect_status(400);
        assert_eq!(answer.json()["errors"][1], json!({field: "is invalid"}));
    }
}
