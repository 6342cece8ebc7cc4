//! Plans for every way in which units may stand.

use super::*;
use crate::blueprint::blueprints;
use crate::testing::options;
use oa_protocol::cluster::FleetConfig;

fn units(named: &[(&str, &str)]) -> Vec<Unit> {
    named.iter().map(|(name, exec)| Unit::new(*name, options(exec, None))).collect()
}

fn config(instances: Option<u32>) -> FleetConfig {
    FleetConfig { instance_cnt: instances, ..FleetConfig::default() }
}

fn found(units: &[(&str, &str, Option<u64>, Standing)]) -> Found {
    let unit = |name: &str, exec: &str, generation| Unit {
        desired_state: Some(UnitDesire::Launched),
        ..Unit::new(name, options(exec, generation))
    };
    Found {
        units: units
            .iter()
            .map(|(name, exec, generation, _)| unit(name, exec, *generation))
            .collect(),
        standing: units.iter().map(|(name, _, _, standing)| ((*name).into(), *standing)).collect(),
    }
}

/// Plans generation 5 of two instances of `app@.service`.
fn plan(found: &Found, snapshot: &Snapshot) -> Result<Plan, DeployError> {
    let templates = units(&[("app@.service", "new")]);
    let drawn = blueprints(&templates, &config(Some(2)), 1)?;
    let stamp = generation::Stamp { generation: 5, ..Default::default() };
    let wanted =
        drawn.iter().map(|blueprint| blueprint.fill(None, &stamp)).collect::<Result<_, _>>()?;
    Plan::new(wanted, &templates, None, 5, found, snapshot)
}

fn changes(plan: &Plan) -> Vec<Change> {
    plan.instances.iter().map(|instance| instance.change).collect()
}

#[test]
fn what_runs_already_is_kept_and_the_rest_is_changed_by_how_it_stands() {
    let kept = found(&[
        ("app@0.service", "new", Some(3), Standing::Healthy),
        ("app@1.service", "new", Some(3), Standing::Failed),
    ]);
    assert_eq!(
        changes(&plan(&kept, &Snapshot::new()).expect("a plan")),
        [Change::Keep, Change::Repair]
    );
    let old = found(&[
        ("app@0.service", "old", None, Standing::Active),
        ("app@1.service", "old", Some(4), Standing::Down),
    ]);
    assert_eq!(
        changes(&plan(&old, &Snapshot::new()).expect("a plan")),
        [Change::Replace, Change::Repair]
    );
    let none = plan(&Found::default(), &Snapshot::new()).expect("a plan");
    assert_eq!(changes(&none), [Change::Create, Change::Create]);
}

#[test]
fn a_unit_that_was_stopped_by_hand_is_not_kept() {
    let mut stopped = found(&[("app@0.service", "new", Some(5), Standing::Healthy)]);
    stopped.units[0].desired_state = Some(UnitDesire::Loaded);
    let plan = plan(&stopped, &Snapshot::new()).expect("a plan");
    assert_eq!(plan.instances[0].change, Change::Await { restart: false });
}

#[test]
fn what_an_earlier_run_wrote_is_awaited_and_its_predecessor_comes_from_the_note() {
    let predecessor = Unit::new("app@0.service", options("old", Some(4)));
    let note: Snapshot =
        [("app@0.service".into(), Some(predecessor.clone())), ("app@1.service".into(), None)]
            .into();
    let resumed = found(&[
        ("app@0.service", "new", Some(5), Standing::Down),
        ("app@1.service", "new", Some(5), Standing::Failed),
    ]);
    let plan = plan(&resumed, &note).expect("a plan");
    assert_eq!(changes(&plan), [Change::Await { restart: false }, Change::Await { restart: true }]);
    assert_eq!(plan.instances[0].earlier, Earlier::Definition(predecessor));
    assert_eq!(plan.instances[1].earlier, Earlier::Nothing);
    assert_eq!(plan.snapshot(), note);
}

#[test]
fn a_predecessor_that_nobody_noted_is_not_taken_for_none() {
    let resumed = found(&[("app@0.service", "new", Some(5), Standing::Down)]);
    let plan = plan(&resumed, &Snapshot::new()).expect("a plan");
    assert_eq!(plan.instances[0].earlier, Earlier::Unknown);
    assert_eq!(plan.snapshot(), [("app@1.service".into(), None)].into());
}

#[test]
fn surplus_is_told_by_exact_names() {
    let others = [
        "my-app@5.service",
        "app@.service",
        "app.service",
        "app@007.service",
        "app@+7.service",
        "app@x.service",
        "app@1.socket",
        "app@5.service.service",
        "app-b@5.service",
        "app@5@5.service",
        "not a name",
    ];
    let mut all: Vec<_> = others.iter().map(|name| (*name, "x", None, Standing::Healthy)).collect();
    all.push(("app@2.service", "x", None, Standing::Healthy));
    all.push(("app@10.service", "x", None, Standing::Healthy));
    let plan = plan(&found(&all), &Snapshot::new()).expect("a plan");
    let surplus: Vec<&str> = plan.surplus.iter().map(UnitName::as_str).collect();
    assert_eq!(surplus, ["app@2.service", "app@10.service"]);
}

#[test]
fn a_newer_generation_stops_the_deployment_wherever_it_is() {
    for name in ["app@1.service", "app@7.service"] {
        let newer = found(&[(name, "newer", Some(6), Standing::Healthy)]);
        let refusal = plan(&newer, &Snapshot::new()).expect_err("superseded");
        assert!(
            refusal.to_string().contains("superseded by generation 6") && !refusal.is_retryable()
        );
    }
    assert!(
        plan(&found(&[("other@1.service", "x", Some(6), Standing::Healthy)]), &Snapshot::new())
            .is_ok()
    );
}

#[test]
fn the_quorum_is_one_to_all() {
    let quorum =
        |quorum| Plan::new(vec![], &[], Some(quorum), 5, &Found::default(), &Snapshot::new());
    assert!(matches!(quorum(1), Err(DeployError::Quorum { .. })));
    assert!(matches!(quorum(0), Err(DeployError::Quorum { .. })));
}
