//! The node itself: probes, actors, metrics.

use serde_json::json;

use crate::http::Request;
use crate::manager::TestManager;

#[tokio::test]
async fn status_is_an_empty_json_string_for_anybody() {
    let manager = TestManager::start().await;
    for path in ["/status", "/status/"] {
        let request = Request::new("GET", path).header("Accept", "text/html");
        let answer = request.send(manager.address()).await.expect_status(200);
        assert_eq!(answer.body, "\"\"");
        assert_eq!(answer.header("content-type"), Some("application/json; charset=utf-8"));
    }
}

#[tokio::test]
async fn the_node_is_healthy_and_ready() {
    let manager = TestManager::start().await;
    let health = Request::new("GET", "/healthz").send(manager.address()).await.expect_status(200);
    assert_eq!(health.json(), json!({"status": "ok"}));
    let ready = Request::new("GET", "/readyz").send(manager.address()).await.expect_status(200);
    assert_eq!(ready.json(), json!({"status": "ready", "database": "up", "transport": "up"}));
}

#[tokio::test]
async fn a_node_whose_transport_is_down_is_healthy_but_not_ready() {
    let manager = TestManager::start().await;
    manager.transport().go_down("a test says so");
    Request::new("GET", "/healthz").send(manager.address()).await.expect_status(200);
    let answer = Request::new("GET", "/readyz").send(manager.address()).await.expect_status(503);
    assert_eq!(
        (&answer.json()["database"], &answer.json()["transport"]),
        (&json!("up"), &json!("down"))
    );
    assert_eq!(answer.json()["code"], "not_ready");

    manager.transport().come_up();
    Request::new("GET", "/readyz").send(manager.address()).await.expect_status(200);
}

#[tokio::test]
async fn the_tree_shows_the_manager_and_its_mailbox() {
    let manager = TestManager::start().await;
    let tree = manager.get("/oa/tree").await.expect_status(200);
    let tree: oa_api::TreeNode = serde_json::from_str(&tree.body).expect("what the client reads");
    let found = tree.children.iter().find(|child| child.kind == "manager").expect("the manager");
    assert_eq!(found.state, "running");
    assert!(found.children.iter().any(|child| child.kind == "manager_mailbox"), "{found:?}");
}

#[tokio::test]
async fn metrics_are_shown_in_the_text_format_to_those_with_a_token() {
    let manager = TestManager::start().await;
    Request::new("GET", "/metrics").send(manager.address()).await.expect_status(401);
    let answer = manager
        .request("GET", "/metrics")
        .header("Accept", "text/plain")
        .send(manager.address())
        .await;
    let answer = answer.expect_status(200);
    assert!(
        answer
            .header("content-type")
            .is_some_and(|kind| kind.starts_with("text/plain; version=0.0.4"))
    );
}
