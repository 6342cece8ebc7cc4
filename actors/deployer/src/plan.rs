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
mod tests;
