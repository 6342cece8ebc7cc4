//! What an actor can do while it handles a message.

use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior};

use crate::actor::{Actor, Handler};
use crate::actor_ref::ActorRef;
use crate::failure::Failure;
use crate::message::Message;
use crate::parcel::{Answer, Origin, Parcel};
use crate::path::ActorPath;
use crate::supervision::ChildSpec;
use crate::system::{SpawnError, System};
use crate::task::{TaskHandle, TaskSet, TimerHandle};
use crate::transport::{Envelope, MessageId, now_ms};

/// What is known about the delivery in hand.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeliveryInfo {
    /// Names the message for ever; what an inbox table stores.
    pub message_id: MessageId,
    /// Two messages with the same key should be seen once.
    pub idempotency_key: String,
    /// How often it was delivered for handling, from 1.
    pub attempt: u32,
    /// Node that published it first.
    pub from_node: Option<String>,
    /// Message whose handler sent it.
    pub cause: Option<MessageId>,
    /// W3C trace context.
    pub traceparent: Option<String>,
    /// Who signed it, if signatures are checked.
    pub issuer: Option<String>,
    /// After this instant nobody waits for it: milliseconds since 1970, UTC.
    pub deadline_ms: Option<i64>,
}

impl DeliveryInfo {
    /// Whether its deadline has passed.
    #[must_use]
    pub fn is_expired(&self) -> bool {
        self.deadline_ms.is_some_and(|deadline| deadline <= now_ms())
    }
}

/// How an actor wants to end.
#[derive(Debug)]
pub(crate) enum Exit {
    Normal,
    Failed(Failure),
}

/// What an actor can do while it handles a message. It belongs to one incarnation.
pub struct Context<A: Actor> {
    me: ActorRef<A>,
    system: System,
    tasks: Rc<TaskSet>,
    incarnation: u64,
    pub(crate) exit: Option<Exit>,
    pub(crate) delivery: Option<Box<DeliveryInfo>>,
}

impl<A: Actor> Context<A> {
    pub(crate) fn new(
        me: ActorRef<A>,
        system: System,
        tasks: Rc<TaskSet>,
        incarnation: u64,
    ) -> Self {
        Self { me, system, tasks, incarnation, exit: None, delivery: None }
    }

    /// A reference to this actor; it outlives restarts.
    #[must_use]
    pub fn actor_ref(&self) -> ActorRef<A> {
        self.me.clone()
    }

    /// Where this actor stands in the tree.
    #[must_use]
    pub fn path(&self) -> &ActorPath {
        self.me.path()
    }

    /// The system that this actor lives in.
    #[must_use]
    pub fn system(&self) -> &System {
        &self.system
    }

    /// What is known about the delivery in hand; `None` for messages from this process.
    #[must_use]
    pub fn delivery(&self) -> Option<&DeliveryInfo> {
        self.delivery.as_deref()
    }

    /// Marks an envelope as caused by the delivery in hand, and joins it to its trace.
    #[must_use]
    pub fn follow_up(&self, mut envelope: Envelope) -> Envelope {
        if let Some(delivery) = self.delivery() {
            envelope.cause = Some(delivery.message_id);
            envelope.traceparent.clone_from(&delivery.traceparent);
        }
        envelope
    }

    /// Ends the actor after this message, without a failure.
    ///
    /// By its [`RestartPolicy`](crate::RestartPolicy) a permanent actor is then started again, as in OTP; a transient
    /// or temporary one is not, and the messages that still wait are dropped.
    pub fn stop(&mut self) {
        self.exit.get_or_insert(Exit::Normal);
    }

    /// Crashes the actor after this message: its state is dropped and its supervisor decides.
    pub fn fail(&mut self, failure: Failure) {
        self.exit = Some(Exit::Failed(failure));
    }

    /// Starts a child below this actor. Returns at once; its `init` may still run.
    ///
    /// When this actor fails or ends, its children are stopped in reverse order; `init` starts them anew.
    ///
    /// # Errors
    ///
    /// [`SpawnError`] if the name is taken or cannot be one, or the system ends.
    pub fn spawn_child<C: Actor>(&mut self, spec: ChildSpec<C>) -> Result<ActorRef<C>, SpawnError> {
        self.system.spawn_below(self.me.node(), spec, false)
    }

    /// The child of that name, if it is of this type.
    #[must_use]
    pub fn child<C: Actor>(&self, name: &str) -> Option<ActorRef<C>> {
        let child = self.me.node().children().find(name).cloned()?;
        ActorRef::of_node(&child)
    }

    /// How many children there are.
    #[must_use]
    pub fn child_count(&self) -> usize {
        self.me.node().children().len()
    }

    /// Orders a child to end: it handles what is queued, within its drain limit, and is not started again.
    /// Returns at once; [`ActorRef::stopped`] waits for it.
    pub fn stop_child(&mut self, name: &str) {
        self.me.node().children().stop(name);
    }

    /// Sends a message to this actor, later. It is lost if the incarnation ends before that.
    pub fn notify_after<M: Message>(&mut self, after: Duration, message: M) -> TimerHandle
    where
        A: Handler<M>,
    {
        let (me, incarnation) = (self.actor_ref(), self.incarnation);
        TimerHandle::new(self.tasks.spawn(async move {
            tokio::time::sleep(after).await;
            me.push_beside(own(message, incarnation, None));
        }))
    }

    /// Sends a message to this actor again and again, first after one period, until the incarnation ends. A tick is
    /// left out while the last one is still queued.
    pub fn notify_every<M: Message + Clone>(&mut self, every: Duration, message: M) -> TimerHandle
    where
        A: Handler<M>,
    {
        let (me, incarnation, queued) =
            (self.actor_ref(), self.incarnation, Arc::new(AtomicBool::new(false)));
        let every = every.max(Duration::from_millis(1));
        TimerHandle::new(self.tasks.spawn(async move {
            let mut ticks = tokio::time::interval_at(Instant::now() + every, every);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
            loop {
                ticks.tick().await;
                if !queued.swap(true, Ordering::AcqRel) {
                    me.push_beside(own(message.clone(), incarnation, Some(Arc::clone(&queued))));
                }
            }
        }))
    }

    /// Runs a future beside the handlers, on the same thread. It is dropped when the incarnation ends; a panic in it
    /// fails the actor.
    pub fn spawn_task(&mut self, task: impl Future<Output = ()> + 'static) -> TaskHandle {
        self.tasks.spawn(task)
    }

    /// Like [`spawn_task`](Context::spawn_task); what it returns is sent to this actor.
    pub fn pipe<M: Message>(&mut self, task: impl Future<Output = M> + 'static) -> TaskHandle
    where
        A: Handler<M>,
    {
        let (me, incarnation) = (self.actor_ref(), self.incarnation);
        self.tasks.spawn(async move {
            let message = task.await;
            me.push_beside(own(message, incarnation, None));
        })
    }
}

fn own<M: Message>(message: M, incarnation: u64, queued: Option<Arc<AtomicBool>>) -> Parcel<M> {
    Parcel { message, answer: Answer::nobody(), origin: Origin::Itself { incarnation, queued } }
}
