//! Units of a cluster: their output, and restarting them.

use serde_json::json;

use crate::fleet::{Script, ScriptedFleet};
use crate::manager::TestManager;

async fn manager_with_cluster() -> TestManager {
    let manager = TestManager::start().await;
    manager.cluster("east").await;
    manager
}

#[tokio::test]
async fn the_originals_log_route_gives_one_json_string() {
    let manager = manager_with_cluster().await;
    let _fleet = ScriptedFleet::serve(&manager, Script::Answer).await;
    for name in ["app@0.service", "app%400.service", "app%25400.service"] {
        let answer = manager
            .get(&format!("/clusters/east/machines/any/units/{name}/logs"))
            .await
            .expect_status(200);
        assert_eq!(answer.json(), json!("app@0.service after None lines Some(1000)\n"), "{name}");
    }
}

#[tokio::test]
async fn a_log_page_is_asked_for_by_place_and_length() {
    let manager = manager_with_cluster().await;
    let _fleet = ScriptedFleet::serve(&manager, Script::Answer).await;
    let answer = manager
        .get("/clusters/east/units/app@0.service/logs?after=7&wait_ms=10")
        .await
        .expect_status(200);
    assert_eq!(
        answer.json(),
        json!({"text": "app@0.service after Some(7) lines None\n", "next": 42, "dropped": 0})
    );
    let answer =
        manager.get("/clusters/east/units/app@0.service/logs?lines=3").await.expect_status(200);
    assert_eq!(answer.json()["text"], "app@0.service after None lines Some(3)\n");
}

#[tokio::test]
async fn a_log_query_that_makes_no_sense_names_its_field() {
    let manager = manager_with_cluster().await;
    for (query, field) in [
        ("after=x", "after"),
        ("after=-1", "after"),
        ("lines=100000", "lines"),
        ("wait_ms=soon", "wait_ms"),
    ] {
        let answer = manager
            .get(&format!("/clusters/east/units/app@0.service/logs?{query}"))
            .await
            .expect_status(400);
        assert_eq!(answer.json()["errors"][1], json!({field: "is invalid"}), "{query}");
    }
}

#[tokio::test]
async fn hostile_unit_names_are_refused_before_they_travel() {
    let manager = manager_with_cluster().await;
    for name in [
        "..%2f..%2fetc.service",
        "-x.service",
        "a%3Bb.service",
        "%24(id).service",
        "a%0Ab.service",
        "nothing",
    ] {
        let answer =
            manager.get(&format!("/clusters/east/units/{name}/logs")).await.expect_status(400);
        assert!(answer.json()["errors"][1]["unit_name"].is_string(), "{name}: {}", answer.body);
        manager
            .post(&format!("/clusters/east/machines/m/units/{name}/restart"), json!({}))
            .await
            .expect_status(400);
    }
}

#[tokio::test]
async fn a_post_restarts_a_unit_and_a_get_does_only_where_it_is_asked_for() {
    let path = "/clusters/east/machines/m1/units/app@0.service/restart";
    let manager = manager_with_cluster().await;
    let _fleet = ScriptedFleet::serve(&manager, Script::Answer).await;
    let answer = manager.post(path, json!({})).await.expect_status(200);
    assert!(answer.json().is_string(), "{}", answer.body);
    let answer = manager.get(path).await.expect_status(405);
    assert_eq!(answer.header("allow"), Some("POST"));

    let manager = TestManager::start_with(|config| config.compat.get_restart = true).await;
    manager.cluster("east").await;
    let _fleet = ScriptedFleet::serve(&manager, Script::Answer).await;
    manager.get(path).await.expect_status(200);
}
