//! Decides what happens when a child comes down.
//!
//! ```text
//! child is down ─► policy restarts? ─no─► forgotten
//!                     │ yes
//!                  intensity left? ─no─► escalate: the parent fails
//!                     │ yes
//!                  one-for-one: rest, start again
//!                  others: halt the group in reverse order, rest, start it in order
//! ```
//!
//! A plain state machine: no threads, no clock. Its orders are calls on a [`Ward`], which only sets flags.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use super::backoff::{Backoff, FailureRun};
use super::child_spec::{IntensityLimit, Policy, RestartPolicy, Strategy};
use super::intensity::Intensity;
use crate::failure::Failure;

/// How a child came down.
#[derive(Debug, Clone)]
pub(crate) enum Ending {
    /// By itself, without a failure.
    Normal,
    /// By an order that is final.
    Ordered,
    /// By the order of its supervisor, which will say when to go on.
    Halted,
    /// By a failure.
    Failed(Failure),
}

/// What a supervisor may order a child to do.
pub(crate) trait Ward: Clone {
    /// Start again after a rest.
    fn go(&self, after: Duration);
    /// Come down and wait.
    fn halt(&self);
    /// Come to an orderly end, for good.
    fn stop(&self);
    /// What is down stays down.
    fn end(&self);
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Status {
    /// Rests or runs its `init`.
    Starting,
    Up,
    /// Was told to come down and wait.
    Halting,
    Down,
    /// Was told to end.
    Ending,
}

struct Child<W> {
    name: String,
    ward: W,
    restart: RestartPolicy,
    backoff: Backoff,
    run: FailureRun,
    status: Status,
}

impl<W: Ward> Child<W> {
    /// Orders it down for the sake of its group. A temporary one does not come back from that.
    fn bring_down(&mut self) {
        if self.restart == RestartPolicy::Temporary {
            self.status = Status::Ending;
            self.ward.stop();
        } else {
            self.status = Status::Halting;
            self.ward.halt();
        }
    }
}

/// Siblings that are started again together: all from this key on.
struct Group {
    from: u64,
    halting: bool,
    rest: Duration,
}

/// Why a child was not added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotAdded {
    NameTaken,
    Closing,
}

/// What became of a report.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// Whether the child is still known; otherwise there is nobody who would give it a verdict.
    pub(crate) known: bool,
    /// The failure that the parent must die of.
    pub(crate) escalation: Option<Failure>,
}

/// The children of one actor, in the order of their start.
pub(crate) struct Supervisor<W> {
    strategy: Strategy,
    limit: IntensityLimit,
    intensity: Intensity,
    /// By key, which is the order of their start.
    children: BTreeMap<u64, Child<W>>,
    names: HashMap<String, u64>,
    group: Option<Group>,
    closing: bool,
}

impl<W: Ward> Supervisor<W> {
    pub(crate) fn new(strategy: Strategy, limit: IntensityLimit) -> Self {
        let intensity = Intensity::new(limit);
        let (children, names) = (BTreeMap::new(), HashMap::new());
        Self { strategy, limit, intensity, children, names, group: None, closing: false }
    }

    /// Takes a child in. Keys grow with each start.
    pub(crate) fn add(&mut self, key: u64, policy: &Policy, ward: W) -> Result<(), NotAdded> {
        if self.closing {
            return Err(NotAdded::Closing);
        }
        if self.find(&policy.name).is_some() {
            return Err(NotAdded::NameTaken);
        }
        let (name, restart, backoff) = (policy.name.clone(), policy.restart, policy.backoff);
        let (run, status) = (FailureRun::default(), Status::Starting);
        self.names.insert(name.clone(), key);
        self.children.insert(key, Child { name, ward, restart, backoff, run, status });
        Ok(())
    }

    pub(crate) fn find(&self, name: &str) -> Option<&W> {
        self.names.get(name).and_then(|key| self.children.get(key)).map(|child| &child.ward)
    }

    pub(crate) fn len(&self) -> usize {
        self.children.len()
    }

    pub(crate) fn wards(&self) -> Vec<W> {
        self.children.values().map(|child| child.ward.clone()).collect()
    }

    /// The child that was started last.
    pub(crate) fn last(&self) -> Option<(u64, W)> {
        self.children.last_key_value().map(|(key, child)| (*key, child.ward.clone()))
    }

    /// Orders one child to end. False: there is none of that name.
    pub(crate) fn stop(&mut self, name: &str) -> bool {
        let Some(child) = self.names.get(name).and_then(|key| self.children.get_mut(key)) else {
            return false;
        };
        child.status = Status::Ending;
        child.ward.stop();
        true
    }

    /// From now on nobody is started; the parent stops the children one by one.
    pub(crate) fn close(&mut self) {
        self.closing = true;
        self.group = None;
    }

    /// Begins anew for the next incarnation of the parent.
    pub(crate) fn reopen(&mut self) {
        self.closing = false;
        self.intensity = Intensity::new(self.limit);
    }

    /// Forgets a child that does not answer, or that has ended.
    pub(crate) fn forget(&mut self, key: u64) {
        if let Some(child) = self.children.remove(&key) {
            self.names.remove(&child.name);
        }
        self.progress();
    }

    /// A child handles messages.
    pub(crate) fn started(&mut self, key: u64, now: Instant) {
        if let Some(child) = self.child(key)
            && child.status == Status::Starting
        {
            child.status = Status::Up;
            child.run.up(now);
            self.progress();
        }
    }

    /// A child is down.
    pub(crate) fn ended(&mut self, key: u64, ending: Ending, now: Instant) -> Report {
        let closing = self.closing;
        let Some(child) = self.child(key) else { return Report::default() };
        let was = std::mem::replace(&mut child.status, Status::Down);
        let last = closing || was == Status::Ending;
        let (restart, escalation) = match ending {
            Ending::Normal
                if was == Status::Halting && child.restart == RestartPolicy::Permanent && !last =>
            {
                self.progress();
                return Report { known: true, escalation: None };
            }
            Ending::Halted if !last => {
                // An answer to an order that was overtaken by another says nothing.
                child.status = if was == Status::Halting { Status::Down } else { was };
                self.progress();
                return Report { known: true, escalation: None };
            }
            Ending::Ordered | Ending::Halted => (false, None),
            Ending::Normal if last || child.restart != RestartPolicy::Permanent => (false, None),
            Ending::Failed(_) if last || child.restart == RestartPolicy::Temporary => (false, None),
            Ending::Normal => self.may_restart(key, "it ended", now),
            Ending::Failed(failure) => self.may_restart(key, &failure.chain(), now),
        };
        if restart {
            self.restart(key, now);
        } else {
            if let Some(child) = self.child(key) {
                child.ward.end();
            }
            self.forget(key);
        }
        Report { known: true, escalation }
    }

    fn may_restart(&mut self, key: u64, why: &str, now: Instant) -> (bool, Option<Failure>) {
        match self.intensity.record(now) {
            Ok(()) => (true, None),
            Err(exceeded) => {
                let name = self.child(key).map(|child| child.name.clone()).unwrap_or_default();
                (false, Some(Failure::new(format!("{exceeded}, the last of `{name}`: {why}"))))
            }
        }
    }

    fn restart(&mut self, key: u64, now: Instant) {
        let strategy = self.strategy;
        let Some(child) = self.child(key) else { return };
        let rest = child.run.failed(&child.backoff, now);
        if strategy == Strategy::OneForOne {
            child.status = Status::Starting;
            child.ward.go(rest);
            return;
        }
        let from = if strategy == Strategy::OneForAll { 0 } else { key };
        let from = self.group.as_ref().map_or(from, |group| group.from.min(from));
        self.group = Some(Group { from, halting: true, rest });
        self.progress();
    }

    /// Takes the group one step further: down in reverse order, then up in order, one at a time.
    fn progress(&mut self) {
        let Some(group) = &mut self.group else { return };
        if group.halting {
            let mut members = self.children.range(group.from..).map(|(_, child)| child.status);
            if members.any(|status| matches!(status, Status::Halting | Status::Ending)) {
                return;
            }
            let members = self.children.range_mut(group.from..).map(|(_, child)| child);
            let standing =
                |child: &&mut Child<W>| matches!(child.status, Status::Starting | Status::Up);
            if let Some(child) = members.rev().find(standing) {
                child.bring_down();
                return;
            }
            group.halting = false;
        }
        let mut members = self.children.range(group.from..).map(|(_, child)| child.status);
        if members.any(|status| status == Status::Starting) {
            return;
        }
        let mut members = self.children.range_mut(group.from..).map(|(_, child)| child);
        match members.find(|child| child.status == Status::Down) {
            Some(child) => {
                child.status = Status::Starting;
                child.ward.go(std::mem::take(&mut group.rest));
            }
            None => self.group = None,
        }
    }

    fn child(&mut self, key: u64) -> Option<&mut Child<W>> {
        self.children.get_mut(&key)
    }
}

#[cfg(test)]
mod tests;
