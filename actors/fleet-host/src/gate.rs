//! Holds units until those that they depend on are where they should be.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use oa_fleet::UnitName;
use oa_fleet::unit::{UnitDesire, UnitOption};

use crate::dependencies::{Dependencies, Fact, Graph, Progress, Verdict};
use crate::keeper::Phase;
use crate::registry::{Definition, Registry};
use crate::runner::Wish;
use crate::service::{Host, Unrunnable};
use crate::states::States;

/// What units ask of one another, and the last verdict on each.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// Of units that ask for anything.
    dependencies: BTreeMap<UnitName, Dependencies>,
    verdicts: BTreeMap<UnitName, Verdict>,
}

fn nothing_known(_: &str) -> Option<Fact> {
    None
}

impl Gate {
    /// Takes note of what a unit asks for.
    pub(crate) fn learn(&self, name: &UnitName, options: &[UnitOption], host: &Host) {
        let mut inner = self.lock();
        match Dependencies::of(name, options, host) {
            Ok(own) if !own.is_empty() => drop(inner.dependencies.insert(name.clone(), own)),
            // What cannot be read was not accepted; what is only kept asks for nothing.
            _ => drop(inner.dependencies.remove(name)),
        }
    }

    pub(crate) fn forget(&self, name: &UnitName) {
        let mut inner = self.lock();
        inner.dependencies.remove(name);
        inner.verdicts.remove(name);
    }

    /// Refuses names that are none, and an order that is a circle.
    pub(crate) fn check(
        &self,
        name: &UnitName,
        options: &[UnitOption],
        host: &Host,
    ) -> Result<(), Unrunnable> {
        let own = Dependencies::of(name, options, host)?;
        let mut dependencies = self.lock().dependencies.clone();
        dependencies.insert(name.clone(), own);
        let graph = Graph { dependencies: &dependencies, fact: nothing_known };
        match graph.circle(name.as_str()) {
            None => Ok(()),
            Some(circle) => {
                let circle = circle.join(" after ");
                let why = format!("no unit of a circle could begin: {circle}");
                Err(Unrunnable::new("After", why))
            }
        }
    }

    /// What is launched with a unit, and what is restarted with it.
    pub(crate) fn together(&self, name: &UnitName) -> (BTreeSet<String>, BTreeSet<String>) {
        let inner = self.lock();
        let graph = Graph { dependencies: &inner.dependencies, fact: nothing_known };
        (graph.pulled_in(name.as_str()), graph.dependents(name.as_str()))
    }

    pub(crate) fn turns_of_stopping(&self) -> Vec<Vec<UnitName>> {
        let inner = self.lock();
        let units: BTreeSet<UnitName> = inner.dependencies.keys().cloned().collect();
        let graph = Graph { dependencies: &inner.dependencies, fact: nothing_known };
        graph.turns_of_stopping(units)
    }

    /// Units on which the verdict is another one than before.
    pub(crate) fn changed(
        &self,
        registry: &Registry,
        placed: &BTreeSet<UnitName>,
        states: &States,
    ) -> Vec<UnitName> {
        let inner = self.lock();
        if inner.dependencies.is_empty() {
            return Vec::new();
        }
        let graph = graph(&inner, registry, placed, states);
        let launched = registry.iter().filter(|one| one.desired == UnitDesire::Launched);
        let changed = launched.filter(|one| {
            let before = inner.verdicts.get(&one.name).unwrap_or(&Verdict::Go);
            graph.verdict(one.name.as_str()) != *before
        });
        changed.map(|one| one.name.clone()).collect()
    }

    /// The wish for a unit that should run and may not; what it is held for is logged once.
    pub(crate) fn hold(
        &self,
        definition: &Definition,
        registry: &Registry,
        placed: &BTreeSet<UnitName>,
        states: &States,
    ) -> Option<Wish> {
        let mut inner = self.lock();
        if inner.dependencies.is_empty() {
            return None;
        }
        let unit = &definition.name;
        let verdict = graph(&inner, registry, placed, states).verdict(unit.as_str());
        let before = inner.verdicts.insert(unit.clone(), verdict.clone());
        let is_news = before.as_ref() != Some(&verdict);
        let (state, ends) = match &verdict {
            Verdict::Go => return None,
            Verdict::Wait(_) => (("activating", "waiting"), false),
            Verdict::Fail(_) => (("failed", "failed"), false),
            Verdict::Stop(_) => (("inactive", "dead"), true),
        };
        if is_news && let Some(why) = reason(&verdict) {
            tracing::warn!(%unit, "it does not run for now: {why}");
        }
        Some(Wish::Held { hash: definition.hash(), launch: definition.launch, state, ends })
    }

    /// Why a unit that should run is held; with `true` if that counts as a failure, whose result is `dependency`.
    pub(crate) fn reason(&self, unit: &UnitName) -> Option<(String, bool)> {
        let inner = self.lock();
        let verdict = inner.verdicts.get(unit)?;
        reason(verdict).map(|why| (why.to_owned(), matches!(verdict, Verdict::Fail(_))))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn reason(verdict: &Verdict) -> Option<&str> {
    match verdict {
        Verdict::Go => None,
        Verdict::Wait(why) | Verdict::Fail(why) | Verdict::Stop(why) => Some(why),
    }
}

fn graph<'a>(
    inner: &'a Inner,
    registry: &'a Registry,
    placed: &'a BTreeSet<UnitName>,
    states: &'a States,
) -> Graph<'a, impl Fn(&str) -> Option<Fact> + 'a> {
    let fact = move |name: &str| {
        let name = UnitName::new(name).ok()?;
        let definition = registry.get(&name)?;
        let is_wanted = definition.desired == UnitDesire::Launched && placed.contains(&name);
        let launch = states.launch_of(&name).filter(|(launch, _)| *launch == definition.launch);
        let progress = match launch.map(|(_, phase)| phase) {
            Some(Phase::Failed) => Progress::Failed,
            Some(Phase::Dead) => Progress::Over,
            Some(phase) if phase.is_up() => Progress::Up,
            _ => Progress::Coming,
        };
        Some(Fact { is_wanted, has_begun: launch.is_some(), progress })
    };
    Graph { dependencies: &inner.dependencies, fact }
}
