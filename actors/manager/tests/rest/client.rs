//! The project's own client against the Manager: what one writes, the other reads.

use std::time::Duration;

use oa_api::{
    Client, ClientError, Endpoint, ExecuteWorkflow, LogFilter, NewCluster, NewSystemEvent,
    NewWorkflow, WorkflowFilter, WorkflowState,
};
use secrecy::SecretString;

use crate::fleet::{Script, ScriptedFleet};
use crate::manager::TestManager;

fn client(manager: &TestManager, token: &str) -> Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let url = format!("http://{}", manager.address());
    let endpoint = Endpoint::new(&url, Some(SecretString::from(token.to_owned()))).expect("a URL");
    Client::new(endpoint).expect("a client")
}

#[tokio::test]
async fn a_workflow_goes_through_the_client_from_start_to_cancel() {
    let manager = TestManager::start().await;
    let client = client(&manager, manager.token());
    client.ready().await.expect("the node is ready");

    let new = NewWorkflow {
        deployment_repo: Some("acme/shop".to_owned()),
        milestones: Some(vec!["config".to_owned(), "deploy".to_owned()]),
        ..NewWorkflow::default()
    };
    let id = client.create_workflow(&new).await.expect("created");
    client.execute_workflow(&id, &ExecuteWorkflow::default()).await.expect("executed");
    let workflow = client.workflow(&id).await.expect("shown");
    assert_eq!(workflow.state, WorkflowState::Running);
    assert_eq!(workflow.steps.len(), 2);

    let known = client.workflow_events(&id, 0, Duration::ZERO).await.expect("events");
    let last = known.events.last().expect("an event").version;
    client.cancel_workflow(&id, Some("enough")).await.expect("cancelled");
    let news = client.workflow_events(&id, last, Duration::from_secs(5)).await.expect("news");
    assert_eq!((news.state, news.completed), (WorkflowState::Cancelled, true));

    let again = client.cancel_workflow(&id, None).await.expect_err("it has ended");
    assert!(matches!(&again, ClientError::Refused { status: 409, .. }), "{again:?}");
    assert_eq!(client.workflows(&WorkflowFilter::default()).await.expect("a list").len(), 1);
    client.delete_workflow(&id).await.expect("deleted");
    assert!(client.workflow(&id).await.expect_err("it is gone").is_not_found());
}

#[tokio::test]
async fn a_cluster_and_its_units_are_read_by_the_client() {
    let manager = TestManager::start().await;
    let client = client(&manager, manager.token());
    let new = NewCluster { etcd_token: "east".to_owned(), ..NewCluster::default() };
    client.create_cluster(&new).await.expect("registered");
    assert_eq!(client.clusters().await.expect("a list")[0].etcd_token, "east");

    let _fleet = ScriptedFleet::serve(&manager, Script::Answer).await;
    assert_eq!(client.machines("east").await.expect("machines")[0].primary_ip, "10.0.0.7");
    assert_eq!(client.units("east").await.expect("units")[0].name, "app@0.service");
    assert_eq!(client.unit_states("east").await.expect("states")[0].systemd_active_state, "active");
    let filter = LogFilter { lines: Some(3), ..LogFilter::default() };
    assert_eq!(client.unit_logs("east", "app@0.service", &filter).await.expect("a page").next, 42);
    client.delete_cluster("east").await.expect("deleted");
}

#[tokio::test]
async fn refusals_reach_the_user_of_the_client() {
    let manager = TestManager::start().await;
    let stranger = client(&manager, "wrong");
    let error = stranger.clusters().await.expect_err("no entry");
    assert!(matches!(error, ClientError::Unauthorized { had_token: true, .. }), "{error:?}");

    let client = client(&manager, manager.token());
    let error = client.create_system_event(&NewSystemEvent::default()).await.expect_err("no kind");
    assert!(error.to_string().contains("`type`"), "{error}");
    assert!(error.request_id().is_some());
    assert_eq!(client.system_events(None).await.expect("a list"), []);
}

#[tokio::test]
async fn the_tree_is_read_by_the_client() {
    let manager = TestManager::start().await;
    let tree = client(&manager, manager.token()).tree().await.expect("a tree");
    assert!(tree.children.iter().any(|child| child.kind == "manager"), "{tree:?}");
}
