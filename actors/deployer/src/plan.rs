//! Decides what a deployment changes. No IO: from what is wanted and what the cluster has now, to a list of changes.
//!
//! ```text
//! command, machines ─► blueprints ─(ports)─► wanted ─(units, states)─► plan
//! ```
//!
//! Names are owned exactly: surplus is what has the prefix and type of a template and a number that is not wanted any
//! more. An instance that is healthy and runs what is wanted is left alone, whatever generation wrote it, so a
//! deployment that changes nothing interrupts nobody.
//!
//! | at the cluster | healthy | change |
//! |---|---|---|
//! | nothing | – | [`Change::Create`] |
//! | the wanted definition, whatever its generation | yes | [`Change::Keep`] |
//! | the wanted definition of this generation | no | [`Change::Await`] |
//! | anything else | not even active | [`Change::Repair`] |
//! | anything else | active | [`Change::Replace`], alone |

use std::collections::BTreeMap;

use oa_protocol::UnitName;
use oa_protocol::unit::{Unit, UnitDesire};

use crate::blueprint::Wanted;
use crate::error::DeployError;
use crate::generation;

/// How an instance does before anything is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Not active: nobody is served by it.
    Down,
    /// Down, and it will not come up by itself.
    Failed,
    /// Active, so it may be serving.
    Active,
    /// Active, and its health check succeeds.
    Healthy,
}

/// What the cluster has before anything is changed.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) units: Vec<Unit>,
    /// By unit name; a name that is missing is [`Standing::Down`].
    pub(crate) standing: BTreeMap<String, Standing>,
}

impl Found {
    pub(crate) fn unit(&self, name: &UnitName) -> Option<&Unit> {
        self.units.iter().find(|unit| unit.name == name.as_str())
    }

    fn standing(&self, name: &UnitName) -> Standing {
        self.standing.get(name.as_str()).copied().unwrap_or(Standing::Down)
    }
}

/// What was there before the step touched anything, by unit name; kept in the worker's journal.
///
/// `None` says that there was nothing under the name; a name that is missing says that nobody knows.
pub(crate) type Snapshot = BTreeMap<String, Option<Unit>>;

/// What happens to an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// Left alone.
    Keep,
    /// Written; there was nothing.
    Create,
    /// Written by an earlier run of this deployment; only waited for, after a restart if it has failed.
    Await { restart: bool },
    /// Written over one that is down.
    Repair,
    /// Written over one that is up, so no other may be down meanwhile.
    Replace,
}

/// What is put back if the deployment fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Earlier {
    Definition(Unit),
    /// There was none: the instance is removed.
    Nothing,
    /// This deployment wrote the instance, and what it wrote over is not known here any more.
    Unknown,
}

/// One instance, and what happens to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Instance {
    pub(crate) wanted: Wanted,
    pub(crate) change: Change,
    pub(crate) earlier: Earlier,
}

impl Instance {
    pub(crate) fn name(&self) -> &UnitName {
        &self.wanted.name
    }
}

/// What a deployment changes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// In the order of the command.
    pub(crate) instances: Vec<Instance>,
    /// Removed in the end.
    pub(crate) surplus: Vec<UnitName>,
    /// How many instances must be healthy in the end.
    pub(crate) needed: usize,
}

impl Plan {
    /// Compares what is wanted with what is there.
    ///
    /// # Errors
    ///
    /// [`DeployError::Superseded`] if a newer deployment has been there, [`DeployError::Quorum`] if more instances must
    /// be healthy than there will be.
    pub(crate) fn new(
        wanted: Vec<Wanted>,
        templates: &[Unit],
        quorum: Option<u32>,
        generation: u64,
        found: &Found,
        snapshot: &Snapshot,
    ) -> Result<Self, DeployError> {
        let needed = match quorum {
            None => wanted.len(),
            Some(quorum) if quorum >= 1 && quorum as usize <= wanted.len() => quorum as usize,
            Some(quorum) => return Err(DeployError::Quorum { quorum, instances: wanted.len() }),
        };
        let surplus = surplus(&wanted, templates, found);
        for name in wanted.iter().map(|wanted| &wanted.name).chain(&surplus) {
            refuse_newer(name, found.unit(name), generation)?;
        }
        let instances = wanted
            .into_iter()
            .map(|wanted| Instance {
                change: change(&wanted, generation, found),
                earlier: earlier(&wanted.name, generation, found, snapshot),
                wanted,
            })
            .collect();
        Ok(Self { instances, surplus, needed })
    }

    /// What the cluster had before this step, for the journal: what an earlier run of the step wrote does not count.
    pub(crate) fn snapshot(&self) -> Snapshot {
        let known = self.instances.iter().filter_map(|instance| {
            let earlier = match &instance.earlier {
                Earlier::Definition(unit) => Some(unit.clone()),
                Earlier::Nothing => None,
                Earlier::Unknown => return None,
            };
            Some((instance.name().to_string(), earlier))
        });
        known.collect()
    }

    /// Where an instance stands in the order of the command.
    pub(crate) fn position(&self, name: &UnitName) -> usize {
        self.instances.iter().position(|instance| instance.name() == name).unwrap_or(usize::MAX)
    }

    /// The instances that may all be started at once, since none of them serves anybody now.
    pub(crate) fn idle(&self) -> Vec<&Instance> {
        let idle =
            |change| matches!(change, Change::Create | Change::Repair | Change::Await { .. });
        self.instances.iter().filter(|instance| idle(instance.change)).collect()
    }

    /// The instances that are replaced one after the other.
    pub(crate) fn serving(&self) -> impl Iterator<Item = &Instance> {
        self.instances.iter().filter(|instance| instance.change == Change::Replace)
    }
}

/// Refuses to go on if `unit` is of a higher generation.
pub(crate) fn refuse_newer(
    name: &UnitName,
    unit: Option<&Unit>,
    ours: u64,
) -> Result<(), DeployError> {
    match unit.and_then(|unit| generation::of(&unit.options)) {
        Some(theirs) if theirs > ours => {
            Err(DeployError::Superseded { unit: name.to_string(), generation: theirs, ours })
        }
        _ => Ok(()),
    }
}

fn change(wanted: &Wanted, generation: u64, found: &Found) -> Change {
    let Some(unit) = found.unit(&wanted.name) else { return Change::Create };
    let standing = found.standing(&wanted.name);
    let launched = unit.desired_state == Some(UnitDesire::Launched);
    if generation::same_besides(&unit.options, &wanted.options) {
        if standing == Standing::Healthy && launched {
            return Change::Keep;
        }
        if generation::of(&unit.options) == Some(generation) {
            return Change::Await { restart: standing == Standing::Failed && launched };
        }
    }
    match standing {
        Standing::Active | Standing::Healthy => Change::Replace,
        Standing::Down | Standing::Failed => Change::Repair,
    }
}

fn earlier(name: &UnitName, generation: u64, found: &Found, snapshot: &Snapshot) -> Earlier {
    match found.unit(name) {
        Some(unit) if generation::of(&unit.options) != Some(generation) => {
            Earlier::Definition(unit.clone())
        }
        Some(_) => match snapshot.get(name.as_str()) {
            Some(Some(unit)) => Earlier::Definition(unit.clone()),
            Some(None) => Earlier::Nothing,
            None => Earlier::Unknown,
        },
        None => Earlier::Nothing,
    }
}

/// Instances of the templates that are not wanted any more, by exact prefix, type and number.
fn surplus(wanted: &[Wanted], templates: &[Unit], found: &Found) -> Vec<UnitName> {
    let templates: Vec<UnitName> = templates
        .iter()
        .filter_map(|unit| UnitName::new(unit.name.as_str()).ok())
        .filter(UnitName::is_template)
        .collect();
    let is_wanted = |name: &UnitName| wanted.iter().any(|wanted| wanted.name == *name);
    found
        .units
        .iter()
        // A name that is no proper unit name cannot be one of ours.
        .filter_map(|unit| UnitName::new(unit.name.as_str()).ok())
        .filter(|name| {
            templates.iter().any(|template| is_instance_of(name, template)) && !is_wanted(name)
        })
        .collect()
}

fn is_instance_of(name: &UnitName, template: &UnitName) -> bool {
    let numbered = name
        .instance()
        .and_then(|text| text.parse().ok())
        .and_then(|index| template.with_instance(index).ok());
    // Building the name again refuses `007`, `+7` and other spellings of a number.
    numbered.as_ref() == Some(name)
}

#[cfg(test)]
mod tests {
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
            standing: units
                .iter()
                .map(|(name, _, _, standing)| ((*name).into(), *standing))
                .collect(),
        }
    }

    /// Plans generation 5 of two instances of `app@.service`.
    fn plan(found: &Found, snapshot: &Snapshot) -> Result<Plan, DeployError> {
        let templates = units(&[("app@.service", "new")]);
        let drawn = blueprints(&templates, &config(Some(2)), 1)?;
        let wanted =
            drawn.iter().map(|blueprint| blueprint.fill(None, 5)).collect::<Result<_, _>>()?;
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
        assert_eq!(
            changes(&plan),
            [Change::Await { restart: false }, Change::Await { restart: true }]
        );
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
        let mut all: Vec<_> =
            others.iter().map(|name| (*name, "x", None, Standing::Healthy)).collect();
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
                refusal.to_string().contains("superseded by generation 6")
                    && !refusal.is_retryable()
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
}
