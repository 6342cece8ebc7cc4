//! Claims on dependencies, by example and for whatever graph there may be.

use proptest::prelude::*;

use super::*;

fn name(text: &str) -> UnitName {
    UnitName::new(text).expect("a valid name")
}

fn list(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

const UP: Fact = Fact { is_wanted: true, has_begun: true, progress: Progress::Up };
const COMING: Fact = Fact { is_wanted: true, has_begun: true, progress: Progress::Coming };
const FRESH: Fact = Fact { is_wanted: true, has_begun: false, progress: Progress::Coming };
const FAILED: Fact = Fact { is_wanted: true, has_begun: true, progress: Progress::Failed };
const OVER: Fact = Fact { is_wanted: true, has_begun: true, progress: Progress::Over };
const STOPPED: Fact = Fact { is_wanted: false, has_begun: true, progress: Progress::Over };

/// The verdict on `app.service`, which depends like this on `db.service`, which is so.
fn verdict(app: Dependencies, app_is: Fact, db_is: Option<Fact>) -> Verdict {
    let dependencies = BTreeMap::from([(name("app.service"), app)]);
    let fact = |unit: &str| if unit == "app.service" { Some(app_is) } else { db_is };
    Graph { dependencies: &dependencies, fact }.verdict("app.service")
}

fn db() -> BTreeSet<String> {
    list(&["db.service"])
}

fn kind(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Go => "go",
        Verdict::Wait(_) => "wait",
        Verdict::Fail(_) => "fail",
        Verdict::Stop(_) => "stop",
    }
}

#[test]
fn each_dependency_holds_a_unit_as_systemd_says() {
    let requires = Dependencies { requires: db(), ..Dependencies::default() };
    let ordered = Dependencies { requires: db(), after: db(), ..Dependencies::default() };
    let wants = Dependencies { wants: db(), after: db(), ..Dependencies::default() };
    let binds = Dependencies { binds: db(), after: db(), ..Dependencies::default() };
    // (of app, how app is, how db is, what follows)
    let cases = [
        (&requires, FRESH, Some(COMING), "go"),
        (&requires, FRESH, Some(FAILED), "go"),
        (&requires, FRESH, None, "fail"),
        (&requires, FRESH, Some(STOPPED), "stop"),
        (&requires, UP, Some(STOPPED), "stop"),
        (&requires, UP, Some(FAILED), "go"),
        (&ordered, FRESH, Some(COMING), "wait"),
        (&ordered, FRESH, Some(UP), "go"),
        (&ordered, FRESH, Some(OVER), "go"),
        (&ordered, FRESH, Some(FAILED), "fail"),
        (&ordered, UP, Some(FAILED), "go"),
        (&ordered, UP, None, "stop"),
        (&wants, FRESH, None, "go"),
        (&wants, FRESH, Some(COMING), "wait"),
        (&wants, FRESH, Some(FAILED), "go"),
        (&wants, UP, Some(STOPPED), "go"),
        (&binds, UP, Some(OVER), "stop"),
        (&binds, UP, Some(FAILED), "stop"),
        (&binds, FRESH, Some(OVER), "fail"),
        (&binds, UP, Some(UP), "go"),
    ];
    for (app, app_is, db_is, expected) in cases {
        let found = verdict(app.clone(), app_is, db_is);
        assert_eq!(kind(&found), expected, "{app:?} {app_is:?} {db_is:?}: {found:?}");
        if let Verdict::Wait(why) | Verdict::Fail(why) | Verdict::Stop(why) = found {
            assert!(why.contains("db.service"), "{why}");
        }
    }
}

#[test]
fn what_comes_first_by_its_own_word_is_waited_for_too() {
    let before = Dependencies { before: list(&["app.service"]), ..Dependencies::default() };
    let dependencies = BTreeMap::from([(name("db.service"), before)]);
    let fact = |unit: &str| Some(if unit == "db.service" { COMING } else { FRESH });
    let graph = Graph { dependencies: &dependencies, fact };
    assert_eq!(kind(&graph.verdict("app.service")), "wait");
    assert_eq!(kind(&graph.verdict("db.service")), "go");
}

#[test]
fn a_target_of_the_machine_is_reached() {
    let target = list(&["network-online.target"]);
    let app = Dependencies { requires: target.clone(), after: target, ..Dependencies::default() };
    assert_eq!(verdict(app, FRESH, None), Verdict::Go);
}

fn chain() -> BTreeMap<UnitName, Dependencies> {
    let needs = |other: &str| Dependencies {
        requires: list(&[other]),
        after: list(&[other]),
        ..Dependencies::default()
    };
    BTreeMap::from([
        (name("a.service"), needs("b.service")),
        (name("b.service"), needs("c.service")),
    ])
}

#[test]
fn what_holds_one_unit_holds_those_that_require_it() {
    let dependencies = chain();
    let verdict = |c: Option<Fact>| {
        let fact = |unit: &str| if unit == "c.service" { c } else { Some(FRESH) };
        Graph { dependencies: &dependencies, fact }.verdict("a.service")
    };
    assert_eq!(kind(&verdict(None)), "fail");
    assert_eq!(kind(&verdict(Some(STOPPED))), "stop");
    assert_eq!(kind(&verdict(Some(COMING))), "wait");
    let fact = |unit: &str| Some(if unit == "c.service" { FAILED } else { FRESH });
    let graph = Graph { dependencies: &dependencies, fact };
    assert_eq!(kind(&graph.verdict("b.service")), "fail");
}

#[test]
fn a_start_pulls_in_and_a_restart_carries_on() {
    let dependencies = chain();
    let graph = Graph { dependencies: &dependencies, fact: |_: &str| None };
    assert_eq!(graph.pulled_in("a.service"), list(&["b.service", "c.service"]));
    assert_eq!(graph.dependents("c.service"), list(&["a.service", "b.service"]));
    assert!(graph.pulled_in("c.service").is_empty());
}

#[test]
fn a_circle_is_found_and_named() {
    let mut dependencies = chain();
    let graph = |dependencies: &BTreeMap<UnitName, Dependencies>| {
        Graph { dependencies, fact: |_: &str| None }.circle("a.service")
    };
    assert_eq!(graph(&dependencies), None);
    let back = Dependencies { after: list(&["a.service"]), ..Dependencies::default() };
    dependencies.insert(name("c.service"), back);
    let circle = graph(&dependencies).expect("a circle");
    assert_eq!(circle, ["a.service", "b.service", "c.service", "a.service"]);
}

#[test]
fn units_stop_in_the_reverse_of_their_order() {
    let dependencies = chain();
    let graph = Graph { dependencies: &dependencies, fact: |_: &str| None };
    let units = ["a.service", "b.service", "c.service", "x.service"].map(name).into();
    let turns = graph.turns_of_stopping(units);
    assert_eq!(
        turns,
        [
            vec![name("a.service"), name("x.service")],
            vec![name("b.service")],
            vec![name("c.service")]
        ]
    );
}

fn any_unit() -> impl Strategy<Value = usize> {
    0..6_usize
}

fn unit(number: usize) -> String {
    format!("u{number}.service")
}

fn any_dependencies() -> impl Strategy<Value = Dependencies> {
    let some = || prop::collection::btree_set(any_unit().prop_map(unit), 0..3);
    (some(), some(), some(), some(), some()).prop_map(|(requires, binds, wants, after, before)| {
        Dependencies { requires, binds, wants, after, before }
    })
}

fn any_fact() -> impl Strategy<Value = Option<Fact>> {
    let progress = prop::sample::select(vec![
        Progress::Coming,
        Progress::Up,
        Progress::Over,
        Progress::Failed,
    ]);
    prop::option::weighted(
        0.9,
        (any::<bool>(), any::<bool>(), progress)
            .prop_map(|(is_wanted, has_begun, progress)| Fact { is_wanted, has_begun, progress }),
    )
}

proptest! {
    #[test]
    fn whatever_the_graph_a_verdict_is_found_and_holds_what_it_should(
        all in prop::collection::vec(any_dependencies(), 6),
        facts in prop::collection::vec(any_fact(), 6),
    ) {
        let dependencies: BTreeMap<UnitName, Dependencies> =
            all.into_iter().enumerate().map(|(at, own)| (name(&unit(at)), own)).collect();
        let fact = |unit: &str| facts[unit[1..2].parse::<usize>().expect("a number")];
        let graph = Graph { dependencies: &dependencies, fact };
        for (unit, own) in &dependencies {
            let verdict = graph.verdict(unit.as_str());
            let Some(known) = fact(unit.as_str()) else {
                prop_assert_eq!(verdict, Verdict::Go);
                continue;
            };
            if own.needs().any(|other| fact(other).is_none_or(|other| !other.is_wanted)) {
                prop_assert!(matches!(verdict, Verdict::Stop(_) | Verdict::Fail(_)), "{:?}", verdict);
            }
            if known.has_begun {
                prop_assert!(matches!(verdict, Verdict::Go | Verdict::Stop(_)), "{:?}", verdict);
            }
            let coming = |other: &String| {
                fact(other).is_some_and(|fact| fact.is_wanted && fact.progress == Progress::Coming)
            };
            if verdict == Verdict::Go && !known.has_begun {
                prop_assert!(!graph.earlier(unit.as_str()).iter().any(coming));
            }
        }
    }

    #[test]
    fn without_a_circle_everything_that_is_wanted_begins_in_the_end(
        edges in prop::collection::vec((any_unit(), any_unit()), 0..10),
    ) {
        let mut dependencies: BTreeMap<UnitName, Dependencies> = BTreeMap::new();
        for (one, other) in edges.into_iter().filter(|(one, other)| one > other) {
            let own = dependencies.entry(name(&unit(one))).or_default();
            own.after.insert(unit(other));
            own.requires.insert(unit(other));
        }
        let mut up: BTreeSet<String> = BTreeSet::new();
        for _ in 0..6 {
            let fact = |unit: &str| Some(if up.contains(unit) { UP } else { FRESH });
            let graph = Graph { dependencies: &dependencies, fact };
            prop_assert!((0..6).all(|number| graph.circle(&unit(number)).is_none()));
            let ready: Vec<String> =
                (0..6).map(unit).filter(|unit| graph.verdict(unit) == Verdict::Go).collect();
            up.extend(ready);
        }
        prop_assert_eq!(up.len(), 6);
    }

    #[test]
    fn every_unit_is_stopped_in_exactly_one_turn(all in prop::collection::vec(any_dependencies(), 6)) {
        let dependencies: BTreeMap<UnitName, Dependencies> =
            all.into_iter().enumerate().map(|(at, own)| (name(&unit(at)), own)).collect();
        let graph = Graph { dependencies: &dependencies, fact: |_: &str| None };
        let units: BTreeSet<UnitName> = dependencies.keys().cloned().collect();
        let turns = graph.turns_of_stopping(units.clone());
        prop_assert_eq!(turns.iter().map(Vec::len).sum::<usize>(), units.len());
        let stopped: BTreeSet<UnitName> = turns.into_iter().flatten().collect();
        prop_assert_eq!(stopped, units);
    }
}
