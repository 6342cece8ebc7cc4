//! kill -9 at every declared crash point, one after the other, and at moments in between; then one oracle.
//!
//! ```text
//! a stage of its own ─► node with OA_CRASH_AT ─► what the scenario asks ─► it dies there ─► node ─► oracle
//! ```
//!
//! `OA_SWEEP_SEED=<n>` repeats a run. `OA_SWEEP_ROUNDS=<n>` adds rounds: each point at a random one of its passes,
//! every second time with another crash while the node recovers.

mod life;
mod oracle;
mod scenario;
mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use oa_crash_points::CrashPoint;
use oa_test_services::node::NodeHome;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use tokio::task::JoinSet;

use self::life::{Crash, Life, Passes};
use self::scenario::{Scenario, Templates};

/// How long anything of a life may take on a machine that is busy with others.
const PATIENCE: Duration = Duration::from_secs(60);
/// Lives at a time: the machine that counts has two cores, and a life also waits.
const PARALLEL: usize = 3;
/// Kills at seeded moments that must hit a deployment which is under way.
const HITS: usize = 20;
/// Kills that may come too late, because a deployment was faster than the one that was measured.
const MISSES: usize = 40;
/// Crashes that are followed by another one while the node recovers, in a run of CI.
const DOUBLES: usize = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_killed_at_every_crash_point_loses_nothing_and_doubles_nothing() {
    let seed = setting("OA_SWEEP_SEED").unwrap_or_else(rand::random);
    let rounds = setting("OA_SWEEP_ROUNDS").unwrap_or(0);
    eprintln!("repeat this sweep with OA_SWEEP_SEED={seed} OA_SWEEP_ROUNDS={rounds}");
    let templates = Arc::new(Templates::new());
    let mut dice = StdRng::seed_from_u64(seed);

    let scenarios: &[Scenario] = if rounds > 0 { &Scenario::ALL } else { &[Scenario::First] };
    let passes = measured(&templates, scenarios).await;
    let mut cases = declared();
    cases.extend(repeated(&passes[&Scenario::First], &mut dice));
    cases.extend((0..DOUBLES).map(|_| twice(&passes, &mut dice)));
    for _ in 0..rounds {
        cases.extend(random_round(&passes, &mut dice));
    }
    let hits = all_survived(&templates, cases).await;

    let missing: Vec<&str> =
        CrashPoint::ALL.iter().filter(|point| !hits.contains(point)).map(|p| p.name()).collect();
    assert!(missing.is_empty(), "no node died at {missing:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_killed_at_seeded_moments_loses_nothing_and_doubles_nothing() {
    let seed = setting("OA_SWEEP_SEED").unwrap_or_else(rand::random);
    eprintln!("repeat these kills with OA_SWEEP_SEED={seed}");
    let templates = Arc::new(Templates::new());
    let mut dice = StdRng::seed_from_u64(seed);
    let (_, mut whole) = Life::begin(&templates, Scenario::First).await.undisturbed().await;

    let (mut lives, mut hits, mut begun) = (JoinSet::new(), 0, 0);
    while hits < HITS {
        while lives.len() < PARALLEL && hits + lives.len() < HITS {
            begun += 1;
            assert!(begun <= HITS + MISSES, "only {hits} kills hit a deployment of {whole:?}");
            let after = whole.mul_f64(dice.random());
            let moment = Crash::After(after);
            let life = survive(Arc::clone(&templates), Scenario::First, vec![moment]);
            lives.spawn(async move { (after, life.await) });
        }
        let lived = lives.join_next().await.expect("a life is under way");
        match lived.expect("the oracle is content") {
            (_, true) => hits += 1,
            // It took no longer than this, so later moments are of no use.
            (after, false) => whole = whole.min(after),
        }
    }
}

#[tokio::test]
async fn a_typing_error_in_a_crash_point_is_refused_at_start() {
    let home = NodeHome::new();

    let status = home
        .start_with(&[], &[("OA_CRASH_AT", "builder.pusht@1".into())])
        .await
        .expect_err("it does not start");

    assert_eq!(status.code(), Some(78), "{}", home.log());
    assert!(home.log().contains("`builder.pusht@1` is no crash point"), "{}", home.log());
}

fn setting(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is a number, not `{text}`")))
}

type Case = (Scenario, Vec<Crash>);

/// How often each point is passed in each of `scenarios` if nobody dies.
async fn measured(
    templates: &Arc<Templates>,
    scenarios: &[Scenario],
) -> BTreeMap<Scenario, Passes> {
    let mut all = BTreeMap::new();
    for scenario in scenarios {
        let (passes, _) = Life::begin(templates, *scenario).await.undisturbed().await;
        all.insert(*scenario, passes);
    }
    all
}

/// Every point, in every way that the table names.
fn declared() -> Vec<Case> {
    let plans = |point| table::plans(point).iter().map(move |plan| (point, *plan));
    let all = CrashPoint::ALL.iter().flat_map(|point| plans(*point));
    all.map(|(point, (scenario, pass))| (scenario, vec![Crash::At { point, pass }])).collect()
}

/// Points that one deployment passes often, each at a later pass.
fn repeated(passes: &Passes, dice: &mut StdRng) -> Vec<Case> {
    let often = passes.iter().filter(|(point, count)| **count > 3 && table::is_in_node(**point));
    let later = often.map(|(point, count)| Crash::At {
        point: *point,
        // The last passes of one run may be missing in the next one.
        pass: dice.random_range(2..=count * 3 / 4),
    });
    later.map(|crash| (Scenario::First, vec![crash])).collect()
}

/// A crash in a deployment, and another one while the next node takes it up again.
fn twice(passes: &BTreeMap<Scenario, Passes>, dice: &mut StdRng) -> Case {
    let first = random_pass(&passes[&Scenario::First], dice);
    let second = random_pass(&passes[&Scenario::First], dice);
    (Scenario::First, vec![first, second])
}

fn random_pass(passes: &Passes, dice: &mut StdRng) -> Crash {
    let in_node: Vec<_> = passes.iter().filter(|(point, _)| table::is_in_node(**point)).collect();
    let (point, count) = in_node.choose(dice).expect("a deployment passes points");
    Crash::At { point: **point, pass: dice.random_range(1..=**count) }
}

fn random_round(passes: &BTreeMap<Scenario, Passes>, dice: &mut StdRng) -> Vec<Case> {
    let mut cases = Vec::new();
    for point in CrashPoint::ALL {
        for (scenario, _) in table::plans(*point) {
            // Each keeper counts its own passes, and the oracle asks what runs as the scenario does.
            let counts = table::is_in_node(*point) && *scenario != Scenario::Ask;
            let count = passes[scenario].get(point).copied().filter(|_| counts).unwrap_or(1);
            let mut crashes = vec![Crash::At { point: *point, pass: dice.random_range(1..=count) }];
            if table::is_in_node(*point) && dice.random() {
                crashes.push(random_pass(&passes[&Scenario::First], dice));
            }
            cases.push((*scenario, crashes));
        }
    }
    cases
}

/// Lives through `cases`; the points at which somebody died.
///
/// # Panics
///
/// With every case that the oracle was not content with.
async fn all_survived(templates: &Arc<Templates>, cases: Vec<Case>) -> BTreeSet<CrashPoint> {
    let (mut lives, mut hits, mut failures) = (JoinSet::new(), BTreeSet::new(), Vec::new());
    let began = Instant::now();
    let count = cases.len();
    let mut cases = cases.into_iter();
    loop {
        while lives.len() < PARALLEL
            && let Some((scenario, crashes)) = cases.next()
        {
            let templates = Arc::clone(templates);
            lives.spawn(async move {
                let point = crashes.first().and_then(Crash::point);
                let name = format!("{scenario:?} {crashes:?}");
                let lived = tokio::spawn(survive(templates, scenario, crashes)).await;
                (name, point, lived)
            });
        }
        let Some(lived) = lives.join_next().await else { break };
        match lived.expect("the task around a life does not fail") {
            (_, point, Ok(true)) => hits.extend(point),
            (name, _, Ok(false)) => eprintln!("{name}: not passed this time"),
            (name, _, Err(_panicked)) => failures.push(name),
        }
    }
    eprintln!("{count} lives in {:?}", began.elapsed());
    assert!(failures.is_empty(), "{} of {count} lives failed: {failures:#?}", failures.len());
    hits
}

/// Whether the first crash came while there was something to lose.
async fn survive(templates: Arc<Templates>, scenario: Scenario, crashes: Vec<Crash>) -> bool {
    let mut life = Life::begin(&templates, scenario).await;
    let mut hits = Vec::new();
    for crash in &crashes {
        hits.push(life.crash(*crash).await);
    }
    life.recover().await;
    hits[0]
}
