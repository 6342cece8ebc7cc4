//! References to actors.

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::oneshot;

use crate::actor::{Actor, Handler};
use crate::kernel::Cell;
use crate::mailbox::Refusal;
use crate::message::Message;
use crate::node::Node;
use crate::parcel::{Answer, Origin, Parcel};
use crate::path::ActorPath;
use crate::recipient::{Port, Recipient};
use crate::send_error::{AskError, TellError};

/// A reference to an actor. Cheap to clone; it does not keep the actor alive, and it outlives restarts.
pub struct ActorRef<A: Actor> {
    cell: Arc<Cell<A>>,
}

impl<A: Actor> ActorRef<A> {
    pub(crate) fn new(cell: Arc<Cell<A>>) -> Self {
        Self { cell }
    }

    pub(crate) fn node(&self) -> &Arc<Node> {
        self.cell.node()
    }

    /// Queues a message, if there is room. Never waits. At most once: what a crashed actor had in hand is lost.
    ///
    /// # Errors
    ///
    /// [`TellError::Full`] or [`TellError::Stopped`], with the message.
    pub fn tell<M: Message>(&self, message: M) -> Result<(), TellError<M>>
    where
        A: Handler<M>,
    {
        self.offer(Parcel::tell(message)).map_err(back)
    }

    /// Queues a message, and waits for room if there is none.
    ///
    /// # Errors
    ///
    /// [`TellError::Stopped`], with the message.
    pub async fn send<M: Message>(&self, message: M) -> Result<(), TellError<M>>
    where
        A: Handler<M>,
    {
        self.offer_waiting(Parcel::tell(message))
            .await
            .map_err(|parcel| TellError::Stopped(parcel.message))
    }

    /// Asks, and waits for the answer until `deadline` has passed.
    ///
    /// # Errors
    ///
    /// [`AskError`]. It never hangs: an actor that crashes or ends answers with an error.
    pub async fn ask<M: Message>(
        &self,
        message: M,
        deadline: Duration,
    ) -> Result<M::Reply, AskError>
    where
        A: Handler<M>,
    {
        let (asker, answer) = oneshot::channel();
        let parcel = Parcel { message, answer: Answer::asker(asker), origin: Origin::Elsewhere };
        if let Err((refusal, _)) = self.offer(parcel) {
            return Err(if refusal == Refusal::Full { AskError::Full } else { AskError::Stopped });
        }
        match tokio::time::timeout(deadline, answer).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(AskError::Stopped),
            Err(_) => Err(AskError::Timeout { after: deadline }),
        }
    }

    /// A reference for one message type, which can also stand for a mailbox elsewhere.
    #[must_use]
    pub fn recipient<M: Message>(&self) -> Recipient<M>
    where
        A: Handler<M>,
    {
        Recipient::new(Arc::clone(&self.cell) as Arc<dyn Port<M>>)
    }

    /// Where the actor stands in the tree.
    #[must_use]
    pub fn path(&self) -> &ActorPath {
        &self.node().path
    }

    /// Orders the actor to end: it handles what is queued, within its drain limit, then
    /// [`stopping`](Actor::stopping) runs. It is not started again. Returns at once.
    pub fn stop(&self) {
        self.node().signals.stop();
    }

    /// Waits until the actor has ended for good and its state is dropped.
    pub async fn stopped(&self) {
        self.node().ended.wait().await;
    }

    /// Whether the actor has ended for good.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.node().ended.is_set()
    }

    /// Queues a parcel, if there is room.
    pub(crate) fn offer<M: Message>(&self, parcel: Parcel<M>) -> Result<(), (Refusal, Parcel<M>)>
    where
        A: Handler<M>,
    {
        let node = self.node();
        if let Err(refusal) = node.gate.try_enter() {
            if refusal == Refusal::Full {
                node.metrics.refused.increment(1);
            }
            return Err((refusal, parcel));
        }
        self.cell.push(parcel).map_err(|parcel| (Refusal::Closed, parcel))
    }

    /// Queues a parcel as soon as there is room. The error: the actor has ended.
    pub(crate) async fn offer_waiting<M: Message>(&self, parcel: Parcel<M>) -> Result<(), Parcel<M>>
    where
        A: Handler<M>,
    {
        match self.node().gate.enter().await {
            Ok(()) => self.cell.push(parcel),
            Err(_) => Err(parcel),
        }
    }

    /// Queues a parcel whatever the bound; lost if the actor has ended.
    pub(crate) fn push_beside<M: Message>(&self, parcel: Parcel<M>)
    where
        A: Handler<M>,
    {
        self.node().gate.enter_beside();
        // An actor that has ended does not miss its own timers.
        let _ = self.cell.push(parcel);
    }

    /// What its node keeps to be found by.
    pub(crate) fn downgrade(&self) -> WeakRef<A> {
        WeakRef { cell: Arc::downgrade(&self.cell) }
    }

    /// The reference to the actor of a node, if it is of this type and lives.
    pub(crate) fn of_node(node: &Node) -> Option<Self> {
        node.typed::<WeakRef<A>>()?.cell.upgrade().map(Self::new)
    }
}

fn back<M: Message>((refusal, parcel): (Refusal, Parcel<M>)) -> TellError<M> {
    match refusal {
        Refusal::Full => TellError::Full(parcel.message),
        Refusal::Closed => TellError::Stopped(parcel.message),
    }
}

/// A reference that does not keep the mailbox.
pub(crate) struct WeakRef<A: Actor> {
    cell: Weak<Cell<A>>,
}

impl<A: Handler<M>, M: Message> Port<M> for Cell<A> {
    fn tell(self: Arc<Self>, message: M) -> Result<(), TellError<M>> {
        ActorRef::new(self).tell(message)
    }

    fn send(self: Arc<Self>, message: M) -> BoxFuture<'static, Result<(), TellError<M>>> {
        Box::pin(async move { ActorRef::new(self).send(message).await })
    }

    fn ask(
        self: Arc<Self>,
        message: M,
        deadline: Duration,
    ) -> BoxFuture<'static, Result<M::Reply, AskError>> {
        Box::pin(async move { ActorRef::new(self).ask(message, deadline).await })
    }

    fn target(&self) -> String {
        self.node().path.to_string()
    }
}

impl<A: Actor> Clone for ActorRef<A> {
    fn clone(&self) -> Self {
        Self { cell: Arc::clone(&self.cell) }
    }
}

impl<A: Actor> fmt::Debug for ActorRef<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ActorRef({})", self.path())
    }
}
