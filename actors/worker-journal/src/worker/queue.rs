//! Which jobs run, and which wait for what.

use std::collections::HashMap;

use oa_protocol::AttemptId;
use oa_protocol::step::{StepCommand, StepKey};

use super::craft::{Claim, Craft};

/// Commands in the order of their arrival, and those in hand.
pub(super) struct Queue<C: Craft> {
    craft: C,
    parallel: usize,
    running: HashMap<AttemptId, Holder<C::Claim>>,
    waiting: Vec<Waiting<C>>,
}

/// Who has a claim.
struct Holder<T> {
    step: StepKey,
    claim: T,
}

struct Waiting<C: Craft> {
    command: C::Command,
    claim: C::Claim,
}

impl<C: Craft> Queue<C> {
    pub(super) fn new(craft: C, parallel: usize) -> Self {
        Self { craft, parallel: parallel.max(1), running: HashMap::new(), waiting: Vec::new() }
    }

    pub(super) fn push(&mut self, command: C::Command) {
        let claim = self.craft.claim(&command);
        self.waiting.push(Waiting { command, claim });
    }

    /// The next command that neither runs into another one nor overtakes one that it would run into; from now on it
    /// runs.
    pub(super) fn next(&mut self) -> Option<C::Command> {
        if self.running.len() >= self.parallel {
            return None;
        }
        let free = (0..self.waiting.len()).find(|at| self.in_the_way(*at).is_none())?;
        let Waiting { command, claim } = self.waiting.remove(free);
        let step = command.step().clone();
        self.running.insert(step.attempt_id, Holder { step, claim });
        Some(command)
    }

    /// What the command of `step` waits for; `None` if it does not wait.
    pub(super) fn reason_to_wait(&self, step: &StepKey) -> Option<String> {
        let at = self.position(step)?;
        let in_the_way = self
            .in_the_way(at)
            .map(|(what, holder)| format!("{what} by workflow {}", holder.workflow_id));
        let turn =
            || format!("one of the {} steps of the {} that run", self.running.len(), C::KIND);
        Some(in_the_way.unwrap_or_else(turn))
    }

    /// Whether the command of `step` waited; it does no more.
    pub(super) fn give_up(&mut self, step: &StepKey) -> bool {
        let at = self.position(step);
        at.map(|at| self.waiting.remove(at)).is_some()
    }

    /// Whether a job of that attempt ran; it does no more.
    pub(super) fn ended(&mut self, step: &StepKey) -> bool {
        self.running.remove(&step.attempt_id).is_some()
    }

    pub(super) fn waits(&self, step: &StepKey) -> bool {
        self.position(step).is_some()
    }

    /// What the command at `at` would run into, and whose it is.
    fn in_the_way(&self, at: usize) -> Option<(String, &StepKey)> {
        let own = &self.waiting[at].claim;
        let beside =
            self.running.values().find_map(|job| Some((own.overlap(&job.claim)?, &job.step)));
        let ahead = || {
            let mut earlier = self.waiting[..at].iter();
            earlier.find_map(|other| Some((own.overlap(&other.claim)?, other.command.step())))
        };
        beside.or_else(ahead)
    }

    fn position(&self, step: &StepKey) -> Option<usize> {
        self.waiting.iter().position(|waiting| waiting.command.step().attempt_id == step.attempt_id)
    }
}
