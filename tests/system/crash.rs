//! The node dies at any moment of a deployment; the next one finishes the work.

use std::time::{Duration, Instant};

use oa_api::{Client, WorkflowEvent};
use oa_test_services::node::NodeHome;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::stage::{Hello, answer, client_of, finished, keepers, programs, start};

/// How many kills must hit a deployment that is under way.
const HITS: usize = 20;
/// Kills that may come too late, because a deployment was faster than the one that was measured.
const MISSES: usize = 40;

#[tokio::test]
async fn a_node_killed_at_seeded_moments_loses_nothing_and_doubles_nothing() {
    let whole = undisturbed().await;
    let mut hits = 0;
    for seed in 0.. {
        let moment = whole.mul_f64(StdRng::seed_from_u64(seed).random::<f64>());
        hits += usize::from(survives_a_kill(moment).await);
        if hits == HITS {
            return;
        }
        assert!(
            seed < (HITS + MISSES) as u64,
            "only {hits} of {seed} kills hit a deployment that takes {whole:?}"
        );
    }
}

/// How long a deployment takes that nobody kills.
async fn undisturbed() -> Duration {
    let (home, hello) = (NodeHome::new().with_argument("--stop-units"), Hello::new());
    let node = home.start().await;
    let client = client_of(&node);
    let started = Instant::now();
    let id = start(&client, &hello.workflow()).await;
    finished(&home, &client, &id).await;
    let whole = started.elapsed();
    node.stop().await;
    whole
}

/// Kills a node `moment` after the start of a deployment; whether the deployment was still under way then.
async fn survives_a_kill(moment: Duration) -> bool {
    let (home, hello) = (NodeHome::new().with_argument("--stop-units"), Hello::new());
    let node = home.start().await;
    let client = client_of(&node);
    let id = start(&client, &hello.workflow()).await;
    // The moment of the crash is the input of this test, so here a pause is what is meant.
    tokio::time::sleep(moment).await;
    let hit = !client.workflow(&id).await.expect("the workflow is readable").workflow_completed;
    node.kill().await;

    let node = home.start().await;
    let client = client_of(&node);
    let done = finished(&home, &client, &id).await;

    let context = || format!("killed after {moment:?}: {done:#?}\n{}", home.log());
    assert_eq!(done.workflow_error, Some(false), "{}", context());
    assert_eq!(keepers(&home).len(), 2, "each unit is kept once; {}", context());
    assert_eq!(programs(&home).len(), 2, "each unit runs once; {}", context());
    assert_eq!(hello.deployment.commits(), 2, "one commit was pushed; {}", context());
    for unit in done.deployed_units() {
        answer(unit.address.as_deref().expect("an address")).await;
    }
    assert_gapless(&events(&client, &id).await, &context());
    node.stop().await;
    assert!(keepers(&home).is_empty(), "nothing is left; {}", context());
    assert!(programs(&home).is_empty(), "nothing is left; {}", context());
    hit
}

async fn events(client: &Client, id: &str) -> Vec<WorkflowEvent> {
    client.workflow_events(id, 0, Duration::ZERO).await.expect("events are readable").events
}

fn assert_gapless(events: &[WorkflowEvent], context: &str) {
    let versions: Vec<_> = events.iter().map(|e| e.version).collect();
    let wanted: Vec<_> = (1..).take(versions.len()).collect();
    assert_eq!(versions, wanted, "versions have no gap and no double; {context}");
}
