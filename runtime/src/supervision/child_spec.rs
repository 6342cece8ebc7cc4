//! What a supervisor knows about a child: policy as data.

use std::fmt;
use std::time::Duration;

use super::backoff::Backoff;
use crate::actor::Actor;

/// Whether a child is started again when it ends by itself.
///
/// An order from outside ([`ActorRef::stop`](crate::ActorRef::stop),
/// [`Context::stop_child`](crate::Context::stop_child), a shutdown) is final with each of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RestartPolicy {
    /// Always, also after a normal end.
    #[default]
    Permanent,
    /// After a failure, not after a normal end.
    Transient,
    /// Never.
    Temporary,
}

/// What happens to its siblings when a child is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Strategy {
    /// Nothing.
    #[default]
    OneForOne,
    /// All are stopped, in reverse order of their start, then all are started, in order.
    OneForAll,
    /// Those that were started after it are stopped, in reverse order, then started after it, in order.
    RestForOne,
}

/// Which arbiter thread an actor lives on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Affinity {
    /// Its parent's: questions between the two cost a fraction of those across threads. For a top-level actor: the
    /// next in turn.
    #[default]
    WithParent,
    /// The next in turn.
    Spread,
    /// The same thread for the same key.
    Key(u64),
    /// A thread of its own, for an actor that blocks. It ends with the actor.
    Dedicated,
}

/// How often children may fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct IntensityLimit {
    pub(crate) restarts: u32,
    pub(crate) period: Duration,
}

/// The part of a child spec that does not name the actor's type.
#[derive(Debug, Clone)]
pub(crate) struct Policy {
    pub(crate) name: String,
    pub(crate) restart: RestartPolicy,
    pub(crate) intensity: IntensityLimit,
    pub(crate) strategy: Strategy,
    pub(crate) backoff: Backoff,
    pub(crate) drain: Duration,
    pub(crate) capacity: usize,
    pub(crate) affinity: Affinity,
}

/// How to start a child and what to do when it ends.
#[must_use = "a child spec does nothing before it is spawned"]
pub struct ChildSpec<A: Actor> {
    pub(crate) args: A::Args,
    pub(crate) policy: Policy,
}

impl<A: Actor> ChildSpec<A> {
    /// A permanent child with the kind's name, a mailbox of 1024, and a back-off from 100 ms to 10 s.
    pub fn new(args: A::Args) -> Self {
        let policy = Policy {
            name: A::KIND.to_owned(),
            restart: RestartPolicy::default(),
            intensity: IntensityLimit { restarts: 5, period: Duration::from_secs(60) },
            strategy: Strategy::default(),
            backoff: Backoff::default(),
            drain: Duration::from_secs(5),
            capacity: 1024,
            affinity: Affinity::default(),
        };
        Self { args, policy }
    }

    /// Its name among its siblings. Default: the kind.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.policy.name = name.into();
        self
    }

    /// Whether it is started again. Default: permanent.
    pub fn restart(mut self, restart: RestartPolicy) -> Self {
        self.policy.restart = restart;
        self
    }

    /// How many restarts of *its children* are forgiven in any `period`; one more, and it fails itself.
    /// Default: 5 in 60 s.
    pub fn intensity(mut self, restarts: u32, period: Duration) -> Self {
        self.policy.intensity = IntensityLimit { restarts, period };
        self
    }

    /// What happens to *its children* when one of them fails. Default: one-for-one.
    pub fn strategy(mut self, strategy: Strategy) -> Self {
        self.policy.strategy = strategy;
        self
    }

    /// How long it rests after a failure. Default: doubling from 100 ms to 10 s.
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.policy.backoff = backoff;
        self
    }

    /// How long an orderly stop may take for the messages still queued and for
    /// [`stopping`](Actor::stopping). Default: 5 s.
    pub fn drain(mut self, limit: Duration) -> Self {
        self.policy.drain = limit;
        self
    }

    /// How many messages may wait. At least 1. Default: 1024.
    pub fn mailbox(mut self, capacity: usize) -> Self {
        self.policy.capacity = capacity.max(1);
        self
    }

    /// Which thread it lives on. Default: its parent's.
    pub fn arbiter(mut self, affinity: Affinity) -> Self {
        self.policy.affinity = affinity;
        self
    }
}

impl<A: Actor> Clone for ChildSpec<A> {
    fn clone(&self) -> Self {
        Self { args: self.args.clone(), policy: self.policy.clone() }
    }
}

impl<A: Actor> fmt::Debug for ChildSpec<A> {
    /// Without the arguments, which may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChildSpec")
            .field("kind", &A::KIND)
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}
