//! The workflows of one transaction, in memory: events are applied here, in their order, before anything is written.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use oa_protocol::step::{StepFailure, StepNews, StepReport};
use oa_protocol::{FailureCode, WorkflowId};
use oa_runtime::{EncodeError, Envelope};

use super::load::{States, Waiter};
use crate::error::StoreError;
use crate::workflow::{
    Attempt, Claim, Entry, Event, Ignored, Plan, Target, TargetView, WorkflowState, step,
};

/// The workflows that a batch has loaded.
pub(super) struct Batch {
    workflows: BTreeMap<WorkflowId, Result<Touched, Option<StoreError>>>,
    targets: BTreeMap<Target, TargetView>,
    now_ms: i64,
}

/// One workflow and what the batch has changed about it so far.
pub(super) struct Touched {
    /// As it was loaded.
    pub(super) before: WorkflowState,
    /// As it is now.
    pub(super) now: WorkflowState,
    /// Lines for its journal, each with its version.
    pub(super) entries: Vec<(u64, Entry)>,
    /// Attempts that were made or changed, by step and number.
    pub(super) attempts: BTreeMap<(u32, u32), Attempt>,
    /// Claims that were made; the last one may still be held.
    pub(super) claims: Vec<Claim>,
    /// Messages to be sent.
    pub(super) envelopes: Vec<Envelope>,
}

impl Touched {
    fn new(state: WorkflowState) -> Self {
        Self {
            before: state.clone(),
            now: state,
            entries: Vec::new(),
            attempts: BTreeMap::new(),
            claims: Vec::new(),
            envelopes: Vec::new(),
        }
    }

    /// Whether the batch has changed it.
    pub(super) fn is_changed(&self) -> bool {
        self.before.version != self.now.version
    }

    fn take(&mut self, plan: Plan, envelopes: Vec<Envelope>) {
        let live =
            plan.next.live.iter().filter(|live| self.now.live.as_ref() != Some(live)).cloned();
        for attempt in plan.closed.into_iter().chain(live) {
            self.attempts.insert((attempt.seq, attempt.no), attempt);
        }
        if let Some(claim) =
            plan.next.claim.as_ref().filter(|claim| self.now.claim.as_ref() != Some(claim))
        {
            self.claims.push(claim.clone());
        }
        self.entries.push((plan.next.version, plan.entry));
        self.envelopes.extend(envelopes);
        self.now = plan.next;
    }
}

/// What one event did to one workflow.
pub(super) enum Outcome {
    /// It was changed and gave up these targets.
    Changed {
        released: Vec<Target>,
    },
    Ignored(Ignored),
    Unknown,
    Corrupt(Option<StoreError>),
}

impl Batch {
    pub(super) fn new(states: States, epoch: impl Fn(WorkflowId) -> u64, now_ms: i64) -> Self {
        let mut batch = Self { workflows: BTreeMap::new(), targets: BTreeMap::new(), now_ms };
        batch.add(states, epoch);
        batch
    }

    /// Adds workflows that are not there yet.
    pub(super) fn add(&mut self, states: States, epoch: impl Fn(WorkflowId) -> u64) {
        for (id, state) in states {
            let touched = state
                .map_err(Some)
                .map(|state| Touched::new(WorkflowState { epoch: epoch(id), ..state }));
            self.workflows.entry(id).or_insert(touched);
        }
    }

    pub(super) fn contains(&self, id: WorkflowId) -> bool {
        self.workflows.contains_key(&id)
    }

    /// Targets that `event` may need and that nobody has looked at yet.
    pub(super) fn unknown_targets(&self, id: WorkflowId, event: &Event) -> Vec<Target> {
        let Some(Ok(touched)) = self.workflows.get(&id) else { return Vec::new() };
        let wanted = crate::workflow::targets(&touched.now, event);
        wanted.into_iter().filter(|target| !self.targets.contains_key(target)).collect()
    }

    /// Notes who holds targets; what was noted before is newer.
    pub(super) fn learn(&mut self, asked: Vec<Target>, views: &BTreeMap<Target, TargetView>) {
        for target in asked {
            let view = views.get(&target).copied().unwrap_or_default();
            self.targets.entry(target).or_insert(view);
        }
    }

    /// Workflows of the batch that wait for one of `targets` now.
    pub(super) fn waiters(&self, targets: &BTreeSet<Target>) -> Vec<Waiter> {
        let known =
            self.workflows.iter().filter_map(|(id, known)| Some((*id, known.as_ref().ok()?)));
        let waits = known.filter_map(|(id, touched)| Some((id, touched.now.wait.as_ref()?)));
        waits
            .filter(|(_, wait)| targets.contains(&wait.target))
            .map(|(id, wait)| Waiter { since_ms: wait.since_ms, id, target: wait.target.clone() })
            .collect()
    }

    /// Whether somebody has that target, as far as the batch knows.
    pub(super) fn is_held(&self, target: &Target) -> bool {
        self.targets.get(target).is_some_and(|view| view.holder.is_some())
    }

    /// The workflow as it is now.
    pub(super) fn now(&self, id: WorkflowId) -> Option<&WorkflowState> {
        Some(&self.workflows.get(&id)?.as_ref().ok()?.now)
    }

    /// Applies one event.
    pub(super) fn apply(&mut self, id: WorkflowId, event: &Event) -> Outcome {
        let touched = match self.workflows.get_mut(&id) {
            None => return Outcome::Unknown,
            Some(Err(why)) => return Outcome::Corrupt(why.take()),
            Some(Ok(touched)) => touched,
        };
        touched.now.targets = crate::workflow::targets(&touched.now, event)
            .into_iter()
            .filter_map(|target| self.targets.get(&target).map(|view| (target, *view)))
            .collect();
        let plans = match planned(&touched.now, event, self.now_ms) {
            Ok(plans) => plans,
            Err(why) => return Outcome::Ignored(why),
        };
        let old = touched.now.claim.clone();
        for (plan, envelopes) in plans {
            touched.take(plan, envelopes);
        }
        let new = touched.now.claim.clone();
        if old == new {
            return Outcome::Changed { released: Vec::new() };
        }
        // The database does not know yet that they are free; their last generation is the one that was held.
        let mut released = Vec::new();
        if let Some(claim) = old {
            for target in claim.targets {
                let view = TargetView { generation: claim.generation, holder: None };
                self.targets.insert(target.clone(), view);
                released.push(target);
            }
        }
        if let Some(claim) = &new {
            for target in &claim.targets {
                let view = TargetView { generation: claim.generation, holder: Some(id) };
                self.targets.insert(target.clone(), view);
            }
        }
        Outcome::Changed { released }
    }

    /// The workflows that were changed.
    pub(super) fn changed(&self) -> Vec<&Touched> {
        self.workflows.values().flatten().filter(|touched| touched.is_changed()).collect()
    }

    /// When all of this happens.
    pub(super) fn now_ms(&self) -> i64 {
        self.now_ms
    }
}

/// The plan with its messages. If its command cannot be sent, the attempt fails at once with the reason: otherwise
/// the workflow would wait for an answer to a question that was never asked.
fn planned(
    state: &WorkflowState,
    event: &Event,
    now_ms: i64,
) -> Result<Vec<(Plan, Vec<Envelope>)>, Ignored> {
    let plan = step(state, event, now_ms)?;
    let encoded: Result<Vec<Envelope>, EncodeError> =
        plan.outgoing.iter().map(|outgoing| outgoing.envelope()).collect();
    let (cause, live) = match (encoded, &plan.next.live) {
        (Ok(envelopes), _) => return Ok(vec![(plan, envelopes)]),
        (Err(cause), Some(live)) => (cause, live),
        (Err(cause), None) => {
            tracing::error!(workflow_id = %state.id, error = %cause, "a message cannot be written and is not sent");
            return Ok(vec![(plan, Vec::new())]);
        }
    };
    let message = format!("the command cannot be sent: {cause}");
    let code = FailureCode::PlanIncomplete;
    let failure = StepFailure { message, hint: None, retryable: false, code };
    let report = StepReport {
        step: live.key(state.id),
        worker: "journal".to_owned(),
        at_ms: now_ms,
        news: StepNews::Failed { failure },
    };
    let end = step(&plan.next, &Event::StepReport(report), now_ms)?;
    Ok(vec![(plan, Vec::new()), (end, Vec::new())])
}

/// Messages that occur more than once in a batch: only the first is applied.
#[derive(Default)]
pub(super) struct Seen(HashMap<String, ()>);

impl Seen {
    pub(super) fn new(known: impl IntoIterator<Item = String>) -> Self {
        Self(known.into_iter().map(|id| (id, ())).collect())
    }

    /// Notes a message; false if it was there already.
    pub(super) fn note(&mut self, id: &str) -> bool {
        self.0.insert(id.to_owned(), ()).is_none()
    }

    /// Takes a note back.
    pub(super) fn forget(&mut self, id: &str) {
        self.0.remove(id);
    }
}
