//! What the tree knows about an actor, whatever its type.

use std::any::Any;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use crate::failure::Failure;
use crate::latch::Latch;
use crate::mailbox::Gate;
use crate::path::ActorPath;
use crate::signals::{Signals, Verdict};
use crate::supervision::{Ending, Policy, Supervisor, Ward};
use crate::system::{ActorState, Arbiter, TreeNode};
use crate::watch::KindMetrics;

/// Added to each drain limit before a child counts as stuck: time for the threads to hear of it.
const GRACE: Duration = Duration::from_millis(500);

/// The record of one actor. It lives as long as any reference to it.
pub(crate) struct Node {
    /// Unique in the system; a later start has a higher one.
    pub(crate) key: u64,
    pub(crate) path: ActorPath,
    pub(crate) kind: &'static str,
    pub(crate) policy: Policy,
    pub(crate) parent: Option<Weak<Node>>,
    pub(crate) arbiter: Arbiter,
    pub(crate) gate: Gate,
    pub(crate) signals: Signals,
    pub(crate) in_hand: InHand,
    pub(crate) metrics: Arc<KindMetrics>,
    /// How the first `init` ended.
    pub(crate) first_init: Latch<Result<(), Failure>>,
    /// Set after the state was dropped for good.
    pub(crate) ended: Latch<()>,
    /// Whether a failed first `init` is final.
    pub(crate) must_start: bool,
    state: AtomicU8,
    starts: AtomicU64,
    last_failure: Mutex<Option<String>>,
    children: Mutex<Supervisor<Arc<Node>>>,
    typed: OnceLock<Box<dyn Any + Send + Sync>>,
}

/// What a node begins with.
pub(crate) struct NewNode {
    pub(crate) key: u64,
    pub(crate) path: ActorPath,
    pub(crate) kind: &'static str,
    pub(crate) policy: Policy,
    pub(crate) parent: Option<Weak<Node>>,
    pub(crate) arbiter: Arbiter,
    pub(crate) metrics: Arc<KindMetrics>,
    pub(crate) must_start: bool,
}

impl Node {
    pub(crate) fn new(new: NewNode) -> Self {
        let NewNode { key, path, kind, policy, parent, arbiter, metrics, must_start } = new;
        Self {
            gate: Gate::new(policy.capacity),
            children: Mutex::new(Supervisor::new(policy.strategy, policy.intensity)),
            key,
            path,
            kind,
            policy,
            parent,
            arbiter,
            metrics,
            must_start,
            signals: Signals::default(),
            in_hand: InHand::default(),
            first_init: Latch::default(),
            ended: Latch::default(),
            state: AtomicU8::new(ActorState::Starting as u8),
            starts: AtomicU64::new(0),
            last_failure: Mutex::default(),
            typed: OnceLock::new(),
        }
    }

    /// The supervisor of this actor's children. Wards are called with the lock held; they only set flags.
    pub(crate) fn children(&self) -> MutexGuard<'_, Supervisor<Arc<Node>>> {
        self.children.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn parent(&self) -> Option<Arc<Node>> {
        self.parent.as_ref().and_then(Weak::upgrade)
    }

    pub(crate) fn set_state(&self, state: ActorState) {
        self.state.store(state as u8, Ordering::Release);
    }

    pub(crate) fn state(&self) -> ActorState {
        ActorState::from_u8(self.state.load(Ordering::Acquire))
    }

    /// Counts another incarnation and names it.
    pub(crate) fn begin_incarnation(&self) -> u64 {
        self.set_state(ActorState::Starting);
        self.signals.forget_failure();
        self.starts.fetch_add(1, Ordering::AcqRel) + 1
    }

    pub(crate) fn remember_failure(&self, failure: &Failure) {
        *self.last_failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(failure.chain());
    }

    /// Tells the supervisor that this actor is down. False: nobody supervises it any more.
    pub(crate) fn report(&self, ending: Ending) -> bool {
        let Some(parent) = self.parent() else { return false };
        let report = parent.children().ended(self.key, ending, Instant::now());
        if let Some(failure) = report.escalation {
            parent.signals.fail(failure);
        }
        report.known
    }

    /// Tells the supervisor that this actor handles messages.
    pub(crate) fn report_started(&self) {
        if let Some(parent) = self.parent() {
            parent.children().started(self.key, Instant::now());
        }
    }

    /// How long an orderly end may take, with all that is below.
    pub(crate) fn stop_limit(&self) -> Duration {
        let children: Vec<Arc<Node>> = self.children().wards();
        let below = children
            .iter()
            .map(|child| child.stop_limit())
            .fold(Duration::ZERO, Duration::saturating_add);
        self.policy.drain.saturating_add(GRACE).saturating_add(below)
    }

    /// Keeps the typed, weak reference by which the actor can be found.
    pub(crate) fn set_typed(&self, typed: impl Any + Send + Sync) {
        // Set once, right after the node was made.
        let _ = self.typed.set(Box::new(typed));
    }

    pub(crate) fn typed<T: 'static>(&self) -> Option<&T> {
        self.typed.get()?.downcast_ref()
    }

    pub(crate) fn tree(&self) -> TreeNode {
        let in_hand = self.in_hand.look();
        let children: Vec<Arc<Node>> = self.children().wards();
        TreeNode {
            path: self.path.to_string(),
            kind: self.kind.to_owned(),
            state: self.state(),
            restarts: self.starts.load(Ordering::Acquire).saturating_sub(1),
            depth: self.gate.depth(),
            capacity: self.gate.capacity(),
            message: in_hand.map(|(name, _)| short_name(name)),
            age_ms: in_hand.map(|(_, age)| u64::try_from(age.as_millis()).unwrap_or(u64::MAX)),
            last_failure: self.last_failure.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            children: children.iter().map(|child| child.tree()).collect(),
        }
    }
}

impl Ward for Arc<Node> {
    fn go(&self, after: Duration) {
        self.signals.verdict(Verdict::Go { after });
    }

    fn halt(&self) {
        self.signals.halt();
    }

    fn stop(&self) {
        self.signals.stop();
    }

    fn end(&self) {
        self.signals.verdict(Verdict::End);
    }
}

/// The message in hand and since when.
#[derive(Debug)]
pub(crate) struct InHand {
    born: Instant,
    /// Microseconds after `born`, plus one; 0: nothing is in hand.
    since: AtomicU64,
    name: Mutex<&'static str>,
}

impl Default for InHand {
    fn default() -> Self {
        Self { born: Instant::now(), since: AtomicU64::new(0), name: Mutex::new("") }
    }
}

impl InHand {
    /// Reads the clock.
    pub(crate) fn now(&self) -> u64 {
        u64::try_from(self.born.elapsed().as_micros()).unwrap_or(u64::MAX - 1)
    }

    pub(crate) fn begin(&self, now: u64) {
        self.since.store(now + 1, Ordering::Release);
    }

    /// Needed only when it differs from the last one, so that the lock is not on the hot path.
    pub(crate) fn set_name(&self, name: &'static str) {
        *self.name.lock().unwrap_or_else(PoisonError::into_inner) = name;
    }

    pub(crate) fn end(&self) {
        self.since.store(0, Ordering::Release);
    }

    fn look(&self) -> Option<(&'static str, Duration)> {
        let since = self.since.load(Ordering::Acquire).checked_sub(1)?;
        let name = *self.name.lock().unwrap_or_else(PoisonError::into_inner);
        Some((name, self.born.elapsed().saturating_sub(Duration::from_micros(since))))
    }
}

/// A type name without the modules: `Option<Step>` for `core::option::Option<oa::step::Step>`.
fn short_name(name: &str) -> String {
    let mut short = String::with_capacity(name.len());
    for piece in name.split_inclusive(['<', '>', ',', ' ', '(', ')', '&', '[', ']']) {
        short.push_str(piece.rsplit("::").next().unwrap_or(piece));
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_shown_without_its_modules() {
        assert_eq!(short_name("oa_protocol::step::StepReport"), "StepReport");
        assert_eq!(short_name("core::option::Option<oa::step::Step>"), "Option<Step>");
        assert_eq!(short_name("u32"), "u32");
    }
}
