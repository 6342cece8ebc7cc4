//! From a git repository to running units.

use std::time::Duration;

use oa_api::WorkflowState;
use oa_test_services::eventually::eventually;
use oa_test_services::node::NodeHome;

use crate::stage::{
    BROKEN, Hello, NEVER_HEALTHY, answer, client_of, deployed, finished, keepers, start,
};

#[tokio::test]
async fn a_revision_becomes_two_units_that_answer() {
    let (home, hello) = (NodeHome::new().with_argument("--stop-units"), Hello::new());
    let node = home.start().await;
    let client = client_of(&node);

    let done = deployed(&home, &client, &hello.workflow()).await;

    assert_eq!(done.state, WorkflowState::Succeeded);
    assert_eq!(done.current_step.as_deref(), Some("workflow_completed"));
    let units = done.deployed_units();
    assert_eq!(units.len(), 2, "{done:#?}");
    for unit in &units {
        let text =
            answer(unit.address.as_deref().expect("a unit with a port has an address")).await;
        assert!(text.contains(&hello.source.head()[..7]), "the unit runs the revision: {text}");
    }
    let rendered =
        hello.deployment.file("hello@.service").expect("the template was rendered and pushed");
    assert!(rendered.contains(&hello.source.head()), "{rendered}");
    assert_eq!(hello.deployment.commits(), 2, "rendering made one commit");
    assert!(node.stop().await.success());
    assert_eq!(keepers(&home), Vec::<u32>::new(), "--stop-units leaves nothing");
}

#[tokio::test]
async fn the_same_revision_again_commits_nothing_and_keeps_the_units() {
    let (home, hello) = (NodeHome::new().with_argument("--stop-units"), Hello::new());
    let node = home.start().await;
    let client = client_of(&node);
    deployed(&home, &client, &hello.workflow()).await;

    let again = deployed(&home, &client, &hello.workflow()).await;

    assert_eq!(again.deployed_units().len(), 2);
    assert_eq!(hello.deployment.commits(), 2);
    assert_eq!(keepers(&home).len(), 2);
    node.stop().await;
}

#[tokio::test]
async fn a_new_revision_replaces_both_units() {
    let (home, hello) = (NodeHome::new().with_argument("--stop-units"), Hello::new());
    let node = home.start().await;
    let client = client_of(&node);
    deployed(&home, &client, &hello.workflow()).await;
    let revision = hello.source.commit(&[("README.md", "changed\n")], "second");

    let done = deployed(&home, &client, &hello.workflow()).await;

    for unit in done.deployed_units() {
        let text = answer(unit.address.as_deref().expect("an address")).await;
        assert!(text.contains(&revision[..7]), "the unit runs the new revision: {text}");
    }
    assert_eq!(keepers(&home).len(), 2);
    node.stop().await;
}

#[tokio::test]
async fn a_revision_that_never_gets_healthy_leaves_the_earlier_one_running() {
    let (home, hello) = (NodeHome::new().with_argument("--stop-units"), Hello::new());
    let node = home.start().await;
    let client = client_of(&node);
    let good = deployed(&home, &client, &hello.workflow()).await;
    let address = good.deployed_units()[0].address.clone().expect("an address");
    let before = answer(&address).await;
    hello.change(&[("hello@.service.eex", BROKEN)], "broken");

    let id = start(&client, &hello.workflow()).await;
    let failed = finished(&home, &client, &id).await;

    assert_eq!(failed.state, WorkflowState::Failed, "{failed:#?}");
    let failure = failed.failure.expect("a failure says why");
    assert!(failure.message.contains("hello@0.service"), "{failure:?}");
    assert_eq!(answer(&address).await, before, "the earlier set is restored");
    node.stop().await;
}

#[tokio::test]
async fn output_of_a_unit_can_be_read() {
    let (home, hello) = (NodeHome::new().with_argument("--stop-units"), Hello::new());
    let node = home.start().await;
    let client = client_of(&node);
    deployed(&home, &client, &hello.workflow()).await;

    let page = client
        .unit_logs("local", "hello@0.service", &oa_api::LogFilter::default())
        .await
        .expect("the log is readable");

    assert!(!page.text.is_empty());
    node.stop().await;
}

#[tokio::test]
async fn a_running_workflow_is_an_actor_with_its_step_in_flight_below() {
    let (home, hello) =
        (NodeHome::new().with_argument("--stop-units"), Hello::with_unit(NEVER_HEALTHY));
    let node = home.start().await;
    let client = client_of(&node);
    let id = start(&client, &hello.workflow()).await;

    let shown = eventually(Duration::from_secs(20), || async {
        let tree = client.tree_value().await.expect("the tree is readable").to_string();
        tree.contains(&id) && tree.contains("deploy-1.1")
    })
    .await;

    assert!(shown, "{}", client.tree_value().await.expect("the tree is readable"));
    node.stop().await;
}

#[tokio::test]
async fn a_cancelled_deployment_takes_back_what_it_started() {
    let (home, hello) =
        (NodeHome::new().with_argument("--stop-units"), Hello::with_unit(NEVER_HEALTHY));
    let node = home.start().await;
    let client = client_of(&node);
    let id = start(&client, &hello.workflow()).await;
    let limit = Duration::from_secs(20);
    assert!(eventually(limit, || async { keepers(&home).len() == 2 }).await, "{}", home.log());

    client.cancel_workflow(&id, Some("changed our mind")).await.expect("it can be cancelled");

    let done = finished(&home, &client, &id).await;
    assert_eq!(done.state, WorkflowState::Cancelled, "{done:#?}");
    assert!(eventually(limit, || async { keepers(&home).is_empty() }).await, "{}", home.log());
    let units = client.units("local").await.expect("the list is readable");
    assert!(units.is_empty(), "{units:#?}");
    node.stop().await;
}
