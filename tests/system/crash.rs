//! The node dies at any moment of a deployment; the next one finishes the work.

use std::time::Duration;

use oa_api::{Client, WorkflowEvent};
use oa_test_services::node::NodeHome;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::stage::{Hello, answer, client_of, finished, server_processes, start};

/// How many moments are tried.
const POINTS: u64 = 20;
/// A deployment takes about this long here, so the moments are spread over it.
const SPREAD: Duration = Duration::from_millis(400);

#[tokio::test]
async fn a_node_killed_at_seeded_moments_loses_nothing_and_doubles_nothing() {
    for seed in 0..POINTS {
        let moment = SPREAD.mul_f64(StdRng::seed_from_u64(seed).random::<f64>());
        survives_a_kill(moment).await;
    }
}

async fn survives_a_kill(moment: Duration) {
    let (home, hello) = (NodeHome::new().with_argument("--stop-units"), Hello::new());
    let node = home.start().await;
    let id = start(&client_of(&node), &hello.workflow()).await;
    // The moment of the crash is the input of this test, so here a pause is what is meant.
    tokio::time::sleep(moment).await;
    node.kill().await;

    let node = home.start().await;
    let client = client_of(&node);
    let done = finished(&home, &client, &id).await;

    let context = || format!("killed after {moment:?}: {done:#?}\n{}", home.log());
    assert_eq!(done.workflow_error, Some(false), "{}", context());
    assert_eq!(server_processes(&home).len(), 2, "each unit runs once; {}", context());
    assert_eq!(hello.deployment.commits(), 2, "one commit was pushed; {}", context());
    for unit in done.deployed_units() {
        answer(unit.address.as_deref().expect("an address")).await;
    }
    assert_gapless(&events(&client, &id).await, &context());
    node.stop().await;
    assert!(server_processes(&home).is_empty(), "nothing is left; {}", context());
}

async fn events(client: &Client, id: &str) -> Vec<WorkflowEvent> {
    client.workflow_events(id, 0, Duration::ZERO).await.expect("events are readable").events
}

fn assert_gapless(events: &[WorkflowEvent], context: &str) {
    let versions: Vec<_> = events.iter().map(|e| e.version).collect();
    let wanted: Vec<_> = (1..).take(versions.len()).collect();
    assert_eq!(versions, wanted, "versions have no gap and no double; {context}");
}
