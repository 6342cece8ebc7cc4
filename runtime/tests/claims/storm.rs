//! Many crashes at once: nothing hangs, nobody is forgotten.

use std::time::Duration;

use oa_runtime::{ActorRef, ActorState, Affinity, AskError, Backoff, Strategy, System};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::support::{Add, Crash, Log, Panic, Probe, SOON};

const CHILDREN: usize = 4;

async fn storm(strategy: Strategy, seed: u64) {
    let (log, system) = (Log::new(), System::builder("storm").arbiters(3).build());
    let names: Vec<String> = (0..CHILDREN).map(|number| format!("c{number}")).collect();
    let rest = Backoff::doubling(Duration::from_micros(200), Duration::from_millis(2));
    let children =
        names.iter().map(|name| log.probe(name).arbiter(Affinity::Spread).backoff(rest)).collect();
    let parent =
        log.parent("top", children).strategy(strategy).intensity(100_000, Duration::from_secs(60));
    system.spawn_ready(parent, SOON).await.expect("the name is free");
    let actors: Vec<ActorRef<Probe>> = names
        .iter()
        .map(|name| system.lookup(&format!("/top/{name}")).expect("it lives"))
        .collect();

    let mut callers = Vec::new();
    for caller in 0..4 {
        let (actors, mut dice) = (actors.clone(), StdRng::seed_from_u64(seed * 100 + caller));
        callers.push(tokio::spawn(async move {
            for _ in 0..100 {
                let actor = &actors[dice.random_range(0..CHILDREN)];
                let result = match dice.random_range(0..4) {
                    0 => actor.ask(Panic, SOON).await.map(|()| 0),
                    1 => actor.ask(Crash, SOON).await.map(|()| 0),
                    _ => actor.ask(Add(1), SOON).await,
                };
                // The one in hand when its actor is halted or crashes is lost, and its asker is told.
                assert!(matches!(result, Ok(_) | Err(AskError::Failed { .. })), "{result:?}");
            }
        }));
    }
    for caller in callers {
        caller.await.expect("every question has ended");
    }
    for actor in &actors {
        actor.ask(Add(0), SOON).await.expect("it is up again");
    }
    let tree = system.tree();
    let top = tree.find("/top").expect("it lives");
    assert_eq!((top.restarts, top.children.len()), (0, CHILDREN));
    assert!(top.children.iter().all(|child| child.state == ActorState::Running), "{tree}");
    assert!(system.shutdown(SOON).await.is_clean());
}

#[tokio::test]
async fn one_for_one_weathers_a_storm() {
    storm(Strategy::OneForOne, 1).await;
}

#[tokio::test]
async fn one_for_all_weathers_a_storm() {
    storm(Strategy::OneForAll, 2).await;
}

#[tokio::test]
async fn rest_for_one_weathers_a_storm() {
    storm(Strategy::RestForOne, 3).await;
}

#[tokio::test]
async fn a_shutdown_in_a_storm_leaves_nobody_waiting() {
    for seed in 0..20 {
        let (log, system) = (Log::new(), System::builder("storm").arbiters(2).build());
        let children = (0..3)
            .map(|number| log.probe(&format!("c{number}")).arbiter(Affinity::Spread))
            .collect();
        let parent =
            log.parent("top", children).strategy(Strategy::OneForAll).intensity(1000, SOON);
        system.spawn_ready(parent, SOON).await.expect("the name is free");
        let actor: ActorRef<Probe> = system.lookup("/top/c1").expect("it lives");
        let asking = tokio::spawn({
            let actor = actor.clone();
            async move {
                let mut dice = StdRng::seed_from_u64(seed);
                loop {
                    let result = match dice.random_range(0..3) {
                        0 => actor.ask(Panic, SOON).await.map(|()| 0),
                        _ => actor.ask(Add(1), SOON).await,
                    };
                    match result {
                        Ok(_) | Err(AskError::Failed { .. }) => {}
                        Err(AskError::Stopped) => return,
                        Err(other) => panic!("{other}"),
                    }
                }
            }
        });
        for _ in 0..seed {
            tokio::task::yield_now().await;
        }
        let report = system.shutdown(SOON).await;
        assert!(report.is_clean(), "{report:?}");
        asking.await.expect("the asker is told");
        assert!(actor.is_stopped());
    }
}
