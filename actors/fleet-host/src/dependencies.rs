//! `Requires=`, `BindsTo=`, `Wants=`, `After=` and `Before=` between the units of this host.
//!
//! Launching a unit launches what it requires and wants. Whether it may begin is asked anew whenever another unit comes
//! to something:
//!
//! ```text
//! is not here               Requires=, BindsTo=             ─► fails: "dependency"
//! is stopped                Requires=, BindsTo=             ─► does not run
//! has ended                 BindsTo=                        ─► does not run
//! is not up yet             After= (or its own Before=)     ─► waits
//! failed                    After= together with Requires=  ─► fails: "dependency"
//! ```
//!
//! Nothing here acts: it is a pure function of what is wanted and of how far everything is.
//!
//! # Source
//!
//! systemd.unit(5). Where systemd would run the job once and forget it, this host keeps to what is wanted: a unit that
//! could not begin begins when it can.

use std::collections::{BTreeMap, BTreeSet};

use oa_fleet::UnitName;
use oa_fleet::unit::UnitOption;

use crate::service::{Host, Specifiers, Unrunnable};

/// What a unit asks of others, by their names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Dependencies {
    requires: BTreeSet<String>,
    binds: BTreeSet<String>,
    wants: BTreeSet<String>,
    after: BTreeSet<String>,
    before: BTreeSet<String>,
}

impl Dependencies {
    /// Reads them from `[Unit]`.
    pub(crate) fn of(
        name: &UnitName,
        options: &[UnitOption],
        host: &Host,
    ) -> Result<Self, Unrunnable> {
        let specifiers = Specifiers { unit: name, host };
        let mut found = Self::default();
        for option in options.iter().filter(|option| option.section == "Unit") {
            let list = match option.name.as_str() {
                "Requires" => &mut found.requires,
                "BindsTo" => &mut found.binds,
                "Wants" => &mut found.wants,
                "After" => &mut found.after,
                "Before" => &mut found.before,
                _ => continue,
            };
            for word in oa_fleet::unit_file::joined(&option.value).split_whitespace() {
                let refuse = |why: String| Unrunnable::new(&option.name, why);
                let other = specifiers.expand(word).map_err(refuse)?;
                if UnitName::new(other.as_str()).is_err() {
                    return Err(refuse(format!("`{other}` is no name of a unit")));
                }
                list.insert(other);
            }
        }
        Ok(found)
    }

    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Units without which this one does not run.
    fn needs(&self) -> impl Iterator<Item = &String> {
        self.requires.iter().chain(&self.binds)
    }
}

/// How far a unit is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Not up yet.
    Coming,
    Up,
    /// Ended well, or was stopped.
    Over,
    Failed,
}

/// What is known of a unit of this host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fact {
    /// Whether it should run on this machine.
    pub(crate) is_wanted: bool,
    /// Whether the launch that is wanted has begun.
    pub(crate) has_begun: bool,
    pub(crate) progress: Progress,
}

/// Whether a unit that should run may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    Go,
    /// Not yet, because of this; one that runs goes on.
    Wait(String),
    /// It does not begin, because of this; one that runs goes on.
    Fail(String),
    /// It ends or does not begin, because of this.
    Stop(String),
}

/// The units that ask something of others, and what is known of all.
pub(crate) struct Graph<'a, F: Fn(&str) -> Option<Fact>> {
    pub(crate) dependencies: &'a BTreeMap<UnitName, Dependencies>,
    pub(crate) fact: F,
}

impl<F: Fn(&str) -> Option<Fact>> Graph<'_, F> {
    /// Whether `name` may run, if it should.
    pub(crate) fn verdict(&self, name: &str) -> Verdict {
        self.decide(name, &mut BTreeSet::new())
    }

    /// `asked` are the units whose verdict is being found: units that require one another run or do not run together.
    fn decide(&self, name: &str, asked: &mut BTreeSet<String>) -> Verdict {
        let nothing = Dependencies::default();
        let own = self.of(name).unwrap_or(&nothing);
        let Some(fact) = (self.fact)(name) else { return Verdict::Go };
        asked.insert(name.to_owned());
        let mut failed = None;
        for other in own.needs() {
            let Some(needed) = (self.fact)(other) else {
                // What systemd itself reaches at boot is reached when this host begins.
                if other.ends_with(".target") {
                    continue;
                }
                let why = format!("it requires {other}, which is no unit of this host");
                if fact.has_begun {
                    return Verdict::Stop(why);
                }
                failed = Some(why);
                continue;
            };
            if !needed.is_wanted {
                return Verdict::Stop(format!("it requires {other}, which is stopped"));
            }
            let is_over = matches!(needed.progress, Progress::Over | Progress::Failed);
            if fact.has_begun && own.binds.contains(other) && is_over {
                return Verdict::Stop(format!("it is bound to {other}, which has ended"));
            }
            if asked.contains(other) {
                continue;
            }
            match self.decide(other, asked) {
                Verdict::Stop(why) => {
                    return Verdict::Stop(format!(
                        "it requires {other}, which does not run: {why}"
                    ));
                }
                Verdict::Fail(why) => {
                    failed = Some(format!("it requires {other}, which did not begin: {why}"));
                }
                Verdict::Go | Verdict::Wait(_) => {}
            }
        }
        if fact.has_begun {
            return Verdict::Go;
        }
        failed.map(Verdict::Fail).or_else(|| self.order(name, own)).unwrap_or(Verdict::Go)
    }

    /// What those that come first keep it from.
    fn order(&self, name: &str, own: &Dependencies) -> Option<Verdict> {
        let mut waits = None;
        for other in self.earlier(name) {
            let Some(fact) = (self.fact)(&other).filter(|fact| fact.is_wanted) else { continue };
            let is_needed = own.needs().any(|needed| *needed == other);
            let is_bound = own.binds.contains(&other);
            match fact.progress {
                Progress::Failed if is_needed => {
                    return Some(Verdict::Fail(format!("it requires {other}, which failed")));
                }
                Progress::Over if is_bound => {
                    return Some(Verdict::Fail(format!("it is bound to {other}, which has ended")));
                }
                Progress::Coming => {
                    waits = Some(format!("it begins after {other}, which is not up yet"))
                }
                Progress::Failed | Progress::Over | Progress::Up => {}
            }
        }
        waits.map(Verdict::Wait)
    }

    fn of(&self, name: &str) -> Option<&Dependencies> {
        self.dependencies.iter().find(|(unit, _)| unit.as_str() == name).map(|(_, own)| own)
    }

    /// Units that come before `name`, by its word or theirs.
    fn earlier(&self, name: &str) -> BTreeSet<String> {
        let mut earlier = self.of(name).map(|own| own.after.clone()).unwrap_or_default();
        let by_theirs = self.dependencies.iter().filter(|(_, own)| own.before.contains(name));
        earlier.extend(by_theirs.map(|(unit, _)| unit.to_string()));
        earlier
    }

    /// A circle in the order of starts that leads through `name`: each begins after the next.
    pub(crate) fn circle(&self, name: &str) -> Option<Vec<String>> {
        let mut paths = vec![vec![name.to_owned()]];
        let mut seen = BTreeSet::new();
        while let Some(path) = paths.pop() {
            for next in path.last().map(|last| self.earlier(last)).unwrap_or_default() {
                let longer = [path.clone(), vec![next.clone()]].concat();
                if next == name {
                    return Some(longer);
                }
                if seen.insert(next) {
                    paths.push(longer);
                }
            }
        }
        None
    }

    /// What is launched together with `name`: what it requires and wants, and so on.
    pub(crate) fn pulled_in(&self, name: &str) -> BTreeSet<String> {
        self.reached(name, |graph, unit| {
            let own = graph.of(unit).cloned().unwrap_or_default();
            own.requires.into_iter().chain(own.binds).chain(own.wants).collect()
        })
    }

    /// What is restarted together with `name`: what requires it, and so on.
    pub(crate) fn dependents(&self, name: &str) -> BTreeSet<String> {
        self.reached(name, |graph, unit| {
            let needing = graph.dependencies.iter();
            let needing = needing.filter(|(_, own)| own.needs().any(|needed| needed == unit));
            needing.map(|(unit, _)| unit.to_string()).collect()
        })
    }

    fn reached(&self, name: &str, next: impl Fn(&Self, &str) -> Vec<String>) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let mut open = vec![name.to_owned()];
        while let Some(unit) = open.pop() {
            let further = next(self, &unit).into_iter();
            open.extend(further.filter(|other| other != name && found.insert(other.clone())));
        }
        found
    }

    /// The units in turns in which they are stopped: each after all that begin after it.
    pub(crate) fn turns_of_stopping(&self, units: BTreeSet<UnitName>) -> Vec<Vec<UnitName>> {
        let mut turns = Vec::new();
        let mut left = units;
        while !left.is_empty() {
            let held: BTreeSet<String> =
                left.iter().flat_map(|unit| self.earlier(unit.as_str())).collect();
            let (mut now, later): (Vec<_>, BTreeSet<_>) = {
                let (later, now): (BTreeSet<_>, BTreeSet<_>) =
                    left.into_iter().partition(|unit| held.contains(unit.as_str()));
                (now.into_iter().collect(), later)
            };
            left = later;
            if now.is_empty() {
                // A circle: no order would be right.
                now = std::mem::take(&mut left).into_iter().collect();
            }
            turns.push(now);
        }
        turns
    }
}

#[cfg(test)]
#[path = "dependencies/tests.rs"]
mod tests;
