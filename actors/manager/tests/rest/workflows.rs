//! `/workflows`: create, show, list, change, delete, execute, cancel.

use serde_json::{Value, json};

use crate::manager::TestManager;

const UNKNOWN: &str = "/workflows/0193a5b0-0000-7000-8000-000000000000";

fn shop() -> Value {
    json!({"deployment_repo": "acme/shop_docker", "deployment_repo_git_ref": "master", "milestones": ["config", "deploy"]})
}

#[tokio::test]
async fn a_workflow_is_created_with_every_field_of_the_original() {
    let manager = TestManager::start().await;
    let answer = manager.post("/workflows", shop()).await.expect_status(201);
    assert_eq!(answer.body, "");
    let path = answer.header("location").expect("a path").to_owned();
    let id = path.strip_prefix("/workflows/").expect("a path below /workflows");
    assert_eq!(id.len(), 36, "{id}");

    let workflow = manager.get(&path).await.expect_status(200).json();
    assert_eq!(workflow["id"], id);
    assert_eq!(workflow["deployment_repo"], "acme/shop_docker");
    assert_eq!(workflow["deployment_repo_git_ref"], "master");
    assert_eq!(workflow["milestones"], json!(["config", "deploy"]));
    assert_eq!(workflow["workflow_completed"], false);
    assert_eq!(workflow["state"], "created");
    for field in [
        "source_repo",
        "source_repo_git_ref",
        "source_commit_hash",
        "current_step",
        "elapsed_step_time",
        "elapsed_workflow_time",
        "workflow_duration",
        "workflow_error",
        "scheduled_start_time",
        "execute_options",
    ] {
        assert!(workflow.as_object().expect("an object").contains_key(field), "{field} is shown");
        assert!(workflow[field].is_null(), "{field} is unset: {}", workflow[field]);
    }
    for field in ["inserted_at", "updated_at"] {
        assert!(workflow[field].as_str().is_some_and(|time| time.ends_with(" UTC")), "{field}");
    }
    assert!(workflow["event_log"].is_array() || workflow["event_log"].is_null());
}

#[tokio::test]
async fn nothing_is_required_and_unknown_fields_are_ignored() {
    let manager = TestManager::start().await;
    let empty = manager.request("POST", "/workflows/").header("Content-Type", "application/json");
    empty.send(manager.address()).await.expect_status(201);
    manager
        .workflow(json!({"id": "chosen", "inserted_at": "never", "anything": {"else": [1, 2]}}))
        .await;
    manager.workflow(json!({"source_repo": "", "deploy_messaging_exchange_id": ""})).await;
}

#[tokio::test]
async fn names_are_trimmed_and_config_is_put_in_front() {
    let manager = TestManager::start().await;
    let body = json!({"deployment_repo": "  acme/shop// ", "source_repo": "acme/src\\\\", "milestones": ["deploy"]});
    let path = manager.workflow(body).await;
    let workflow = manager.get(&path).await.json();
    assert_eq!(workflow["deployment_repo"], "acme/shop");
    assert_eq!(workflow["source_repo"], "acme/src");
    assert_eq!(workflow["milestones"], json!(["config", "deploy"]));
}

#[tokio::test]
async fn milestones_that_cannot_be_done_are_refused_by_name() {
    let manager = TestManager::start().await;
    for (milestones, word) in [
        (json!(["dance"]), "dance"),
        (json!(["config", "scheduled"]), "scheduled"),
        (json!(["deploy", "config"]), "config"),
        (json!(vec!["config"; 33]), "33"),
    ] {
        let answer = manager
            .post("/workflows", json!({"milestones": milestones}))
            .await
            .expect_status(400)
            .json();
        assert!(answer["milestones"].as_str().is_some_and(|text| text.contains(word)), "{answer}");
        assert_eq!(answer["errors"][1]["milestones"], answer["milestones"]);
    }
    assert_eq!(manager.get("/workflows").await.json(), json!([]));
}

#[tokio::test]
async fn bad_fields_are_named_on_top_and_in_the_list_and_nothing_is_stored() {
    let manager = TestManager::start().await;
    for (body, field, problem) in [
        (json!({"deployment_repo": 5}), "deployment_repo", "is invalid"),
        (json!({"milestones": "deploy"}), "milestones", "is invalid"),
        (json!({"milestones": [1]}), "milestones", "is invalid"),
        (json!({"scheduled_start_time": "tomorrow"}), "scheduled_start_time", "is invalid"),
        (json!({"workflow_completed": 3}), "workflow_completed", "is invalid"),
    ] {
        let answer = manager.post("/workflows", body).await.expect_status(400).json();
        assert_eq!(answer[field], problem, "{answer}");
        assert_eq!(answer["errors"][1], json!({field: problem}));
    }
    assert_eq!(manager.get("/workflows").await.json(), json!([]));
}

#[tokio::test]
async fn a_workflow_that_is_not_there_is_404_everywhere() {
    let manager = TestManager::start().await;
    for id in [UNKNOWN, "/workflows/nothing", "/workflows/..%2f"] {
        manager.get(id).await.expect_status(404);
        manager.put(id, json!({"source_repo": "a/b"})).await.expect_status(404);
        manager.delete(id).await.expect_status(404);
        manager.post(&format!("{id}/execute"), json!({})).await.expect_status(404);
        manager.post(&format!("{id}/cancel"), json!({})).await.expect_status(404);
        manager.get(&format!("{id}/events")).await.expect_status(404);
    }
}

#[tokio::test]
async fn the_list_looks_back_a_day_and_can_be_narrowed() {
    let manager = TestManager::start().await;
    manager.workflow(json!({"deployment_repo": "acme/shop_docker"})).await;
    manager.workflow(json!({"deployment_repo": "acme/other"})).await;
    let count = async |query: &str| {
        let answer = manager.get(&format!("/workflows{query}")).await.expect_status(200);
        answer.json().as_array().map_or(0, Vec::len)
    };
    assert_eq!(count("").await, 2);
    assert_eq!(count("?lookback=0").await, 2);
    assert_eq!(count("?lookback=1").await, 2);
    assert_eq!(count("?deployment_repo=acme/other").await, 1);
    assert_eq!(count("?source_repo=acme/shop").await, 1, "matches `<source_repo>_docker`");
    assert_eq!(count("?deployment_repo=acme/other&source_repo=acme/shop").await, 1);
    let answer = manager.get("/workflows?lookback=soon").await.expect_status(400);
    assert_eq!(answer.json()["errors"][1], json!({"lookback": "is invalid"}));
}

#[tokio::test]
async fn pages_are_given_where_they_are_asked_for() {
    let manager = TestManager::start().await;
    for index in 0..5 {
        manager.workflow(json!({"deployment_repo": format!("acme/shop{index}")})).await;
    }
    let page = async |query: &str| {
        let list = manager.get(&format!("/workflows?{query}")).await.expect_status(200).json();
        list.as_array()
            .expect("a list")
            .iter()
            .map(|w| w["deployment_repo"].as_str().unwrap_or("").to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(page("per_page=2").await, ["acme/shop0", "acme/shop1"]);
    assert_eq!(page("per_page=2&page=3").await, ["acme/shop4"]);
    manager.get("/workflows?per_page=0").await.expect_status(400);
    manager.get("/workflows?page=-1").await.expect_status(400);
}

#[tokio::test]
async fn a_change_keeps_what_it_does_not_name() {
    let manager = TestManager::start().await;
    let path = manager.workflow(shop()).await;
    for method in ["PUT", "PATCH"] {
        let request = manager
            .request(method, &path)
            .json(&json!({"source_repo": "acme/shop", "source_repo_git_ref": "v7"}));
        let answer = request.send(manager.address()).await.expect_status(204);
        assert_eq!(answer.header("location"), Some(path.as_str()));
    }
    let workflow = manager.get(&path).await.json();
    assert_eq!(workflow["source_repo"], "acme/shop");
    assert_eq!(workflow["source_repo_git_ref"], "v7");
    assert_eq!(workflow["deployment_repo"], "acme/shop_docker");
    assert_eq!(workflow["workflow_completed"], false);

    manager.put(&path, json!({"source_repo": null})).await.expect_status(204);
    assert!(manager.get(&path).await.json()["source_repo"].is_null());
}

#[tokio::test]
async fn a_workflow_can_be_put_back_as_it_was_shown() {
    let manager = TestManager::start().await;
    let path = manager.workflow(shop()).await;
    let shown = manager.get(&path).await.json();
    manager.put(&path, shown.clone()).await.expect_status(204);
    let again = manager.get(&path).await.json();
    for field in ["deployment_repo", "milestones", "state", "workflow_completed", "workflow_error"]
    {
        assert_eq!(again[field], shown[field], "{field}");
    }

    manager.post(&format!("{path}/execute"), json!({})).await.expect_status(202);
    let shown = manager.get(&path).await.json();
    manager.put(&path, shown.clone()).await.expect_status(204);
    assert_eq!(
        manager.get(&path).await.json()["state"],
        shown["state"],
        "a whole object changes nothing"
    );
}

#[tokio::test]
async fn what_a_started_workflow_does_cannot_be_changed() {
    let manager = TestManager::start().await;
    let path = manager.workflow(shop()).await;
    let before = manager.get(&path).await.json();
    manager.post(&format!("{path}/execute"), json!({})).await.expect_status(202);

    let answer = manager.put(&path, json!({"source_repo_git_ref": "v8"})).await.expect_status(409);
    assert!(answer.message().contains("source_repo_git_ref"), "{}", answer.body);
    let mut stale = before;
    stale["deployment_repo_git_ref"] = json!("other");
    manager.put(&path, stale).await.expect_status(204);
    let after = manager.get(&path).await.json();
    assert_eq!(
        after["deployment_repo_git_ref"], "master",
        "a whole object changes nothing that is begun"
    );
}

#[tokio::test]
async fn setting_workflow_error_on_an_open_workflow_cancels_it() {
    let manager = TestManager::start().await;
    let path = manager.workflow(shop()).await;
    manager.post(&format!("{path}/execute"), json!({})).await.expect_status(202);
    manager
        .put(&path, json!({"workflow_error": true, "workflow_completed": true}))
        .await
        .expect_status(204);
    let workflow = manager.get(&path).await.json();
    assert_eq!(workflow["state"], "cancelled");
    assert_eq!(workflow["workflow_error"], true);
    assert_eq!(workflow["workflow_completed"], true);

    manager.put(&path, json!({"source_repo_git_ref": "v8"})).await;
    assert_eq!(manager.get(&path).await.json()["workflow_completed"], true, "kept when absent");
}

#[tokio::test]
async fn a_workflow_is_deleted() {
    let manager = TestManager::start().await;
    let path = manager.workflow(shop()).await;
    let answer = manager.delete(&path).await.expect_status(204);
    assert_eq!(answer.body, "");
    manager.get(&path).await.expect_status(404);
    manager.delete(&path).await.expect_status(404);
}

#[tokio::test]
async fn execute_starts_a_workflow_once() {
    let manager = TestManager::start().await;
    let path = manager.workflow(shop()).await;
    let body = json!({"force_build": "true", "build_messaging_exchange_id": "7", "deploy_messaging_exchange_id": ""});
    let answer = manager.post(&format!("{path}/execute/"), body).await.expect_status(202);
    assert_eq!(answer.header("location"), Some(path.as_str()));
    assert_eq!(answer.body, "");

    let workflow = manager.get(&path).await.json();
    assert_eq!(workflow["current_step"], "config");
    assert_eq!(workflow["execute_options"]["force_build"], true);
    assert_eq!(workflow["execute_options"]["build_messaging_exchange_id"], 7);
    assert!(
        workflow["execute_options"].get("deploy_messaging_exchange_id").is_none_or(Value::is_null)
    );

    let answer = manager.post(&format!("{path}/execute"), json!({})).await.expect_status(409);
    assert_eq!(answer.body, "Workflow has already been started");
}

#[tokio::test]
async fn two_executes_at_once_start_one() {
    let manager = TestManager::start().await;
    for _ in 0..10 {
        let path = manager.workflow(shop()).await;
        let execute = format!("{path}/execute");
        let (one, two) =
            tokio::join!(manager.post(&execute, json!({})), manager.post(&execute, json!({})));
        let mut statuses = [one.status, two.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [202, 409], "{one:?} {two:?}");
        let events = manager.get(&format!("{path}/events")).await.json();
        let starts = events["events"]
            .as_array()
            .expect("a list")
            .iter()
            .filter(|event| event["kind"] == "executed");
        assert!(starts.count() <= 1, "{events}");
    }
}

#[tokio::test]
async fn a_workflow_without_a_deployment_repository_fails_with_what_to_do() {
    let manager = TestManager::start().await;
    let path = manager.workflow(json!({"milestones": ["config"]})).await;
    manager.post(&format!("{path}/execute"), json!({})).await.expect_status(202);
    let workflow = manager.get(&path).await.json();
    assert_eq!(workflow["state"], "failed");
    assert_eq!(
        (&workflow["workflow_completed"], &workflow["workflow_error"]),
        (&json!(true), &json!(true))
    );
    assert!(workflow["failure"]["hint"].is_string(), "{workflow}");
}

#[tokio::test]
async fn cancel_ends_a_workflow_with_its_reason() {
    let manager = TestManager::start().await;
    let path = manager.workflow(shop()).await;
    manager.post(&format!("{path}/execute"), json!({})).await.expect_status(202);
    let answer = manager
        .post(&format!("{path}/cancel"), json!({"reason": "wrong branch"}))
        .await
        .expect_status(202);
    assert_eq!(answer.header("location"), Some(path.as_str()));
    let workflow = manager.get(&path).await.json();
    assert_eq!(workflow["state"], "cancelled");
    assert!(
        workflow["failure"]["message"].as_str().is_some_and(|text| text.contains("wrong branch")),
        "{workflow}"
    );

    let answer = manager.post(&format!("{path}/cancel"), json!({})).await.expect_status(409);
    assert_eq!(answer.body, "Workflow has already completed");
    let answer = manager.post(&format!("{path}/execute"), json!({})).await.expect_status(409);
    assert_eq!(answer.body, "Workflow has already completed");
}

#[tokio::test]
async fn cancel_refuses_fields_that_it_does_not_know() {
    let manager = TestManager::start().await;
    let path = manager.workflow(shop()).await;
    let answer =
        manager.post(&format!("{path}/cancel"), json!({"raeson": "x"})).await.expect_status(400);
    assert!(answer.json()["errors"][1]["raeson"].is_string(), "{}", answer.body);
}
