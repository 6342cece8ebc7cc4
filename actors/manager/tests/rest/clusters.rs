//! `/clusters`: records, and questions that are passed on.

use std::time::Duration;

use oa_protocol::RefusalCode;
use serde_json::json;

use crate::fleet::{Script, ScriptedFleet};
use crate::manager::TestManager;

#[tokio::test]
async fn a_cluster_is_registered_shown_listed_and_deleted() {
    let manager = TestManager::start().await;
    let body = json!({"etcd_token": "9f3c", "name": "east-1", "allow_docker_builds": "true", "unknown": [1]});
    let answer = manager.post("/clusters/", body).await.expect_status(201);
    assert_eq!(answer.header("location"), Some("/clusters/9f3c"));

    let cluster = manager.get("/clusters/9f3c/").await.expect_status(200).json();
    assert_eq!(answer.json(), json!(format!("Registered id {}", cluster["id"])));
    assert_eq!(cluster["name"], "east-1");
    assert_eq!(cluster["allow_docker_builds"], true);
    for field in ["hosting_provider_id", "messaging_exchange_id"] {
        assert!(cluster[field].is_null(), "{field} is shown, unset");
    }
    for field in ["inserted_at", "updated_at"] {
        let time = cluster[field].as_str().expect("a time");
        assert!(time.ends_with(" UTC") && time.len() == 29, "{time}");
    }
    assert_eq!(cluster.as_object().expect("an object").len(), 8);

    assert_eq!(manager.get("/clusters").await.expect_status(200).json(), json!([cluster]));
    let answer = manager.delete("/clusters/9f3c").await.expect_status(204);
    assert_eq!(answer.body, "");
    manager.get("/clusters/9f3c").await.expect_status(404);
    manager.delete("/clusters/9f3c").await.expect_status(404);
}

#[tokio::test]
async fn a_form_registers_a_cluster_as_json_does() {
    let manager = TestManager::start().await;
    let form = manager
        .request("POST", "/clusters")
        .body("application/x-www-form-urlencoded", "etcd_token=f1&name=a+b");
    form.send(manager.address()).await.expect_status(201);
    assert_eq!(manager.get("/clusters/f1").await.json()["name"], "a b");

    let form = manager
        .request("POST", "/clusters/f1")
        .body("application/x-www-form-urlencoded", "_method=delete");
    form.send(manager.address()).await.expect_status(204);
}

#[tokio::test]
async fn tokens_are_looked_up_whatever_their_case() {
    let manager = TestManager::start().await;
    manager.cluster("East").await;
    assert_eq!(manager.get("/clusters/eAST").await.expect_status(200).json()["etcd_token"], "East");
    manager.post("/clusters", json!({"etcd_token": "east"})).await.expect_status(409);
}

#[tokio::test]
async fn bad_fields_are_named_and_nothing_is_stored() {
    let manager = TestManager::start().await;
    for (body, field, problem) in [
        (json!({}), "etcd_token", "can't be blank"),
        (json!({"etcd_token": null}), "etcd_token", "can't be blank"),
        (json!({"etcd_token": 5}), "etcd_token", "is invalid"),
        (json!({"etcd_token": "a", "name": ["x"]}), "name", "is invalid"),
        (
            json!({"etcd_token": "a", "name": "x".repeat(256)}),
            "name",
            "should be at most 255 character(s)",
        ),
        (json!({"etcd_token": "a", "name": ""}), "name", "should be at least 1 character(s)"),
        (json!({"etcd_token": "a", "allow_docker_builds": 1}), "allow_docker_builds", "is invalid"),
        (
            json!({"etcd_token": "a", "hosting_provider_id": "x"}),
            "hosting_provider_id",
            "is invalid",
        ),
        (
            json!({"etcd_token": "a", "hosting_provider_id": 7}),
            "hosting_provider_id",
            "Invalid Cloud Provider",
        ),
        (
            json!({"etcd_token": "a", "messaging_exchange_id": 7}),
            "messaging_exchange_id",
            "Invalid MessagingExchange",
        ),
    ] {
        let answer = manager.post("/clusters", body).await.expect_status(400).json();
        assert_eq!(
            answer["errors"][0],
            json!({"message": "One or more fields for EtcdCluster were invalid"})
        );
        assert_eq!(answer["errors"][1], json!({field: problem}));
        assert_eq!(answer["code"], "invalid");
    }
    assert_eq!(manager.get("/clusters").await.json(), json!([]));
}

#[tokio::test]
async fn hostile_tokens_are_refused_and_nothing_is_stored() {
    let manager = TestManager::start().await;
    for token in ["", "../x", "-x", "a;b", "$(id)", "`id`", "a\nb", "a b", "a/b", "%2e%2e", "é"] {
        let answer =
            manager.post("/clusters", json!({"etcd_token": token})).await.expect_status(400).json();
        assert!(answer["errors"][1]["etcd_token"].is_string(), "{token:?}: {answer}");
    }
    assert_eq!(manager.get("/clusters").await.json(), json!([]));
    for path in ["/clusters/..%2f..%2fetc", "/clusters/-x", "/clusters/a%00b", "/clusters/%24(id)"]
    {
        manager.get(path).await.expect_status(404);
    }
}

#[tokio::test]
async fn a_token_is_registered_once() {
    let manager = TestManager::start().await;
    manager.cluster("east").await;
    let answer = manager.post("/clusters", json!({"etcd_token": "east"})).await.expect_status(409);
    assert_eq!(answer.message(), "A EtcdCluster already exists with that identifier");
}

#[tokio::test]
async fn the_list_can_be_narrowed_to_clusters_that_build() {
    let manager = TestManager::start().await;
    manager
        .post("/clusters", json!({"etcd_token": "a", "allow_docker_builds": true}))
        .await
        .expect_status(201);
    manager.cluster("b").await;
    let count = async |query: &str| {
        manager.get(&format!("/clusters{query}")).await.json().as_array().map_or(0, Vec::len)
    };
    assert_eq!(count("?allow_docker_builds=true").await, 1);
    assert_eq!(count("?allow_docker_builds=false").await, 2, "only `true` narrows");
    assert_eq!(count("").await, 2);
}

#[tokio::test]
async fn questions_are_answered_by_the_fleet_manager_in_the_fleets_shape() {
    let manager = TestManager::start().await;
    manager.cluster("east").await;
    let _fleet = ScriptedFleet::serve(&manager, Script::Answer).await;

    let machines = manager.get("/clusters/east/machines").await.expect_status(200).json();
    assert_eq!(machines[0]["id"], "m1");
    assert_eq!(machines[0]["primaryIP"], "10.0.0.7");
    let units = manager.get("/clusters/east/units/").await.expect_status(200).json();
    assert_eq!(
        units,
        json!([{
            "name": "app@0.service", "desiredState": "launched", "currentState": "launched", "machineID": "m1",
            "options": [{"section": "Service", "name": "ExecStart", "value": "/bin/app"}]
        }])
    );
    let states = manager.get("/clusters/east/state").await.expect_status(200).json();
    assert_eq!(states[0]["systemdActiveState"], "active");
    assert_eq!(manager.get("/clusters/east/nodes").await.expect_status(200).json(), json!({}));
}

#[tokio::test]
async fn an_unknown_cluster_is_404_on_every_question() {
    let manager = TestManager::start().await;
    for question in
        ["", "/machines", "/units", "/state", "/nodes", "/machines/m/units/app.service/logs"]
    {
        let answer = manager.get(&format!("/clusters/nothing{question}")).await.expect_status(404);
        assert_eq!(answer.message(), "EtcdCluster was not found", "{question}");
    }
}

#[tokio::test]
async fn without_a_fleet_manager_the_answer_is_503_with_what_to_do() {
    let manager =
        TestManager::start_with(|config| config.cluster_timeout = Duration::from_millis(200)).await;
    manager.cluster("east").await;
    let answer = manager.get("/clusters/east/units").await;
    assert!([503, 504].contains(&answer.status), "{answer:?}");
    assert!(answer.json()["hint"].is_string(), "{}", answer.body);
}

#[tokio::test]
async fn a_transport_that_is_down_is_503_or_504_with_its_reason() {
    let manager =
        TestManager::start_with(|config| config.cluster_timeout = Duration::from_millis(200)).await;
    manager.cluster("east").await;
    manager.transport().go_down("a test says so");
    let answer = manager.get("/clusters/east/units").await;
    assert!([503, 504].contains(&answer.status), "{answer:?}");
    assert!(answer.message().contains("FleetManager"), "{}", answer.body);
}

#[tokio::test]
async fn a_fleet_manager_that_does_not_answer_in_time_is_504() {
    let manager =
        TestManager::start_with(|config| config.cluster_timeout = Duration::from_millis(50)).await;
    manager.cluster("east").await;
    let _fleet = ScriptedFleet::serve(&manager, Script::Sleep).await;
    let answer = manager.get("/clusters/east/machines").await.expect_status(504);
    assert_eq!(answer.json()["code"], "timeout");
}

#[tokio::test]
async fn a_refusal_keeps_its_kind_its_reason_and_its_hint() {
    for (code, status) in [
        (RefusalCode::NotFound, 404),
        (RefusalCode::Invalid, 400),
        (RefusalCode::Conflict, 409),
        (RefusalCode::Unavailable, 503),
        (RefusalCode::Internal, 500),
    ] {
        let manager = TestManager::start().await;
        manager.cluster("east").await;
        let _fleet = ScriptedFleet::serve(&manager, Script::Refuse(code)).await;
        let answer = manager.get("/clusters/east/state").await.expect_status(status);
        assert_eq!(answer.json()["hint"], "wake it", "{code:?}");
        assert_eq!(
            answer.message().contains("resting"),
            code != RefusalCode::Internal,
            "{code:?}: {}",
            answer.body
        );
    }
}
