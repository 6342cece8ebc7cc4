//! Starts actors.

use std::sync::Arc;
use std::time::Duration;

use super::arbiter::Arbiter;
use super::root::Root;
use super::{System, SystemInner};
use crate::actor::Actor;
use crate::actor_ref::ActorRef;
use crate::failure::Failure;
use crate::kernel::{Cell, Life};
use crate::node::{NewNode, Node};
use crate::path::{ActorPath, check_name};
use crate::supervision::{Affinity, ChildSpec, NotAdded};

/// Why an actor was not started.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum SpawnError {
    /// A sibling has that name.
    #[error("`{path}` exists already")]
    NameTaken {
        /// Path of the sibling.
        path: String,
    },
    /// The name cannot be one.
    #[error("`{name}` cannot name an actor: {why}")]
    InvalidName {
        /// The name.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The system or the parent ends.
    #[error("`{path}` is stopping")]
    Stopping {
        /// Path of the parent.
        path: String,
    },
    /// The first `init` failed; the actor was given up.
    #[error("`{path}` did not start: {failure}")]
    Init {
        /// Path of the actor.
        path: String,
        /// Why.
        failure: Failure,
    },
    /// The first `init` took too long; the actor was given up.
    #[error("`{path}` did not start within {within:?}")]
    NotReady {
        /// Path of the actor.
        path: String,
        /// How long was waited.
        within: Duration,
    },
    /// There is no thread for it.
    #[error("failed to start a thread: {reason}")]
    Thread {
        /// Why.
        reason: String,
    },
}

impl System {
    /// Starts a top-level actor. Returns at once; its `init` may still run, and messages wait for it.
    ///
    /// # Errors
    ///
    /// [`SpawnError`] if the name is taken or cannot be one, or the system ends.
    pub fn spawn<A: Actor>(&self, spec: ChildSpec<A>) -> Result<ActorRef<A>, SpawnError> {
        self.spawn_below(self.inner.root(), spec, false)
    }

    /// Starts a top-level actor and waits for its first `init`. If that fails, the actor is not started again.
    ///
    /// # Errors
    ///
    /// [`SpawnError`] like [`spawn`](System::spawn), and [`SpawnError::Init`] or [`SpawnError::NotReady`].
    pub async fn spawn_ready<A: Actor>(
        &self,
        spec: ChildSpec<A>,
        within: Duration,
    ) -> Result<ActorRef<A>, SpawnError> {
        let actor = self.spawn_below(self.inner.root(), spec, true)?;
        let path = actor.path().to_string();
        match tokio::time::timeout(within, actor.node().first_init.wait()).await {
            Ok(Ok(())) => Ok(actor),
            Ok(Err(failure)) => {
                actor.stop();
                // Its name is free again when the caller goes on.
                let _ = tokio::time::timeout(within, actor.stopped()).await;
                Err(SpawnError::Init { path, failure })
            }
            Err(_) => {
                actor.stop();
                Err(SpawnError::NotReady { path, within })
            }
        }
    }

    /// Starts a child of `parent`; with `must_start`, a failed first `init` is final.
    pub(crate) fn spawn_below<C: Actor>(
        &self,
        parent: &Arc<Node>,
        spec: ChildSpec<C>,
        must_start: bool,
    ) -> Result<ActorRef<C>, SpawnError> {
        let ChildSpec { args, policy } = spec;
        check_name(&policy.name)
            .map_err(|why| SpawnError::InvalidName { name: policy.name.clone(), why })?;
        let path = parent.path.child(&policy.name);
        let arbiter = self.inner.arbiter_for(policy.affinity, parent, &path)?;
        let dedicated = (policy.affinity == Affinity::Dedicated).then(|| arbiter.clone());
        let metrics = self.inner.kinds.get(C::KIND);
        let mut children = parent.children();
        // Keys grow in the order in which the supervisor learns of the children: under its lock.
        let key = self.inner.next_key();
        let parent_link = Some(Arc::downgrade(parent));
        let kind = C::KIND;
        let node = Node::new(NewNode {
            key,
            path,
            kind,
            policy,
            parent: parent_link,
            arbiter,
            metrics,
            must_start,
        });
        let node = Arc::new(node);
        let path = node.path.to_string();
        let added = children.add(key, &node.policy, Arc::clone(&node));
        drop(children);
        if let Err(refused) = added {
            end(dedicated);
            return Err(match refused {
                NotAdded::NameTaken => SpawnError::NameTaken { path },
                NotAdded::Closing => SpawnError::Stopping { path: parent.path.to_string() },
            });
        }
        self.start(&node, args, dedicated).inspect_err(|_| parent.children().forget(key))
    }

    pub(super) fn spawn_root(&self, spec: ChildSpec<Root>) {
        let ChildSpec { args, policy } = spec;
        let (path, arbiter) = (ActorPath::root(), self.inner.next_arbiter());
        let (key, metrics, kind) =
            (self.inner.next_key(), self.inner.kinds.get(Root::KIND), Root::KIND);
        let node =
            NewNode { key, path, kind, policy, parent: None, arbiter, metrics, must_start: false };
        let node = Arc::new(Node::new(node));
        self.inner.set_root(Arc::clone(&node));
        self.start::<Root>(&node, args, None).expect("the threads were started a moment ago");
    }

    fn start<A: Actor>(
        &self,
        node: &Arc<Node>,
        args: A::Args,
        dedicated: Option<Arbiter>,
    ) -> Result<ActorRef<A>, SpawnError> {
        let (cell, receiver) = Cell::new(Arc::clone(node), self.inside());
        let actor = ActorRef::new(Arc::clone(&cell));
        node.set_typed(actor.downgrade());
        let started = node.arbiter.spawn(move || async move {
            Life::new(cell, args, receiver).run().await;
            end(dedicated);
        });
        if started { Ok(actor) } else { Err(SpawnError::Stopping { path: node.path.to_string() }) }
    }
}

fn end(dedicated: Option<Arbiter>) {
    if let Some(arbiter) = dedicated {
        arbiter.end();
    }
}

impl SystemInner {
    fn arbiter_for(
        &self,
        affinity: Affinity,
        parent: &Node,
        path: &ActorPath,
    ) -> Result<Arbiter, SpawnError> {
        match affinity {
            Affinity::WithParent if parent.parent.is_some() => Ok(parent.arbiter.clone()),
            Affinity::WithParent | Affinity::Spread => Ok(self.next_arbiter()),
            Affinity::Key(key) => Ok(self.arbiter_of_key(key)),
            Affinity::Dedicated => Arbiter::start(format!("oa{path}"), self.id)
                .map_err(|cause| SpawnError::Thread { reason: cause.to_string() }),
        }
    }
}
