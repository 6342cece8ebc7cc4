//! The clock of the machine is set while the node works.

use std::time::Duration;

use oa_api::{Client, WorkflowState};
use oa_test_services::clock::TestClock;
use oa_test_services::eventually::eventually;
use oa_test_services::node::NodeHome;

use super::{SOON, lines};
use crate::stage::{Hello, client_of, finished, start};

const HOURS: i64 = 3600;
/// Instances that stay for a moment before the next one: time for the clock to be set in between.
const FLEET: &str =
    r#"{"instance_cnt": 2, "health": {"http": "/health"}, "deploy": {"settle": "1s"}}"#;

#[tokio::test]
async fn a_clock_that_is_set_by_two_hours_loses_no_attempt_and_stalls_nothing() {
    let clock = TestClock::new();
    let home = NodeHome::new().with_argument("--stop-units").with_clock(&clock);
    let hello = Hello::new();
    hello.deployment.commit(&[("fleet.json", FLEET)], "settle");
    let node = home.start().await;
    let client = client_of(&node);

    for (round, offset) in [2 * HOURS, 0, -2 * HOURS].into_iter().enumerate() {
        hello.source.commit(&[("README.md", &format!("round {round}\n"))], "another");
        let id = start(&client, &hello.workflow()).await;
        under_way(&client, &id, "deploy").await;
        clock.set(offset);

        // The long poll in here goes on across the step, too.
        let done = finished(&home, &client, &id).await;
        assert_eq!(done.state, WorkflowState::Succeeded, "{done:#?}\n{}", home.log());
        let news = client.workflow_events(&id, 0, Duration::ZERO).await.expect("readable");
        let versions: Vec<i64> = news.events.iter().map(|event| event.version).collect();
        assert!(versions.is_sorted(), "events come by version: {versions:?}");
        let said = format!("{:?}", news.events);
        assert!(!said.contains("lost") && !said.contains("next attempt"), "{said}");

        let noted = || async {
            let events = client.system_events(Some(0)).await.expect("they are readable");
            format!("{events:?}").matches("the clock of this machine was set").count() == round + 1
        };
        assert!(eventually(SOON, noted).await, "{:?}", client.system_events(Some(0)).await);
    }
    assert_eq!(lines(&home, &["the clock of this machine was set forward by 2 h"]), 1);
    assert_eq!(lines(&home, &["the clock of this machine was set back by 2 h"]), 2);
    node.stop().await;
}

/// Waits until a worker works on the milestone.
async fn under_way(client: &Client, id: &str, milestone: &str) {
    let begun = || async {
        let workflow = client.workflow(id).await.expect("the workflow is readable");
        workflow.workflow_completed || workflow.current_step.as_deref() == Some(milestone)
    };
    assert!(eventually(SOON, begun).await, "{:#?}", client.workflow(id).await);
}
