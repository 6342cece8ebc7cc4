//! References to whatever takes one type of message, wherever it is.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::future::BoxFuture;

use crate::message::Message;
use crate::send_error::{AskError, TellError};

/// What stands behind a reference: an actor here or a mailbox elsewhere.
pub(crate) trait Port<M: Message>: Send + Sync {
    fn tell(self: Arc<Self>, message: M) -> Result<(), TellError<M>>;
    fn send(self: Arc<Self>, message: M) -> BoxFuture<'static, Result<(), TellError<M>>>;
    fn ask(
        self: Arc<Self>,
        message: M,
        deadline: Duration,
    ) -> BoxFuture<'static, Result<M::Reply, AskError>>;
    /// Names it for a person.
    fn target(&self) -> String;
}

/// A reference to whatever takes `M`: an actor here or a mailbox elsewhere. Cheap to clone.
///
/// Local and remote give the same errors, so that code does not come to depend on where it leads.
pub struct Recipient<M: Message> {
    port: Arc<dyn Port<M>>,
}

impl<M: Message> Recipient<M> {
    pub(crate) fn new(port: Arc<dyn Port<M>>) -> Self {
        Self { port }
    }

    /// Hands a message over, if there is room. Never waits.
    ///
    /// Elsewhere this means that the message is on its way; a later failure is logged. What must not be lost goes
    /// through an outbox and [`PostOffice::publish`](crate::PostOffice::publish).
    ///
    /// # Errors
    ///
    /// [`TellError`], with the message.
    pub fn tell(&self, message: M) -> Result<(), TellError<M>> {
        Arc::clone(&self.port).tell(message)
    }

    /// Hands a message over, and waits for room here, or for the transport's confirm elsewhere.
    ///
    /// # Errors
    ///
    /// [`TellError`], with the message.
    pub async fn send(&self, message: M) -> Result<(), TellError<M>> {
        Arc::clone(&self.port).send(message).await
    }

    /// Asks, and waits for the answer until `deadline` has passed.
    ///
    /// # Errors
    ///
    /// [`AskError`]. It never hangs.
    pub async fn ask(&self, message: M, deadline: Duration) -> Result<M::Reply, AskError> {
        Arc::clone(&self.port).ask(message, deadline).await
    }
}

impl<M: Message> Clone for Recipient<M> {
    fn clone(&self) -> Self {
        Self { port: Arc::clone(&self.port) }
    }
}

impl<M: Message> fmt::Debug for Recipient<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Recipient({})", self.port.target())
    }
}

/// A reference whose target can be exchanged while others hold it: how an actor moves.
///
/// Questions that are under way end at the old target; what follows goes to the new one.
pub struct Switch<M: Message> {
    target: Arc<ArcSwap<Recipient<M>>>,
}

impl<M: Message> Switch<M> {
    /// A switch that leads to `target`.
    #[must_use]
    pub fn new(target: Recipient<M>) -> Self {
        Self { target: Arc::new(ArcSwap::from_pointee(target)) }
    }

    /// A reference that follows the switch.
    #[must_use]
    pub fn recipient(&self) -> Recipient<M> {
        Recipient::new(Arc::new(Switched { target: Arc::clone(&self.target) }))
    }

    /// Leads to another target from now on.
    pub fn point_to(&self, target: Recipient<M>) {
        self.target.store(Arc::new(target));
    }
}

impl<M: Message> fmt::Debug for Switch<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Switch({:?})", self.target.load())
    }
}

struct Switched<M: Message> {
    target: Arc<ArcSwap<Recipient<M>>>,
}

impl<M: Message> Switched<M> {
    fn port(&self) -> Arc<dyn Port<M>> {
        Arc::clone(&self.target.load().port)
    }
}

impl<M: Message> Port<M> for Switched<M> {
    fn tell(self: Arc<Self>, message: M) -> Result<(), TellError<M>> {
        self.port().tell(message)
    }

    fn send(self: Arc<Self>, message: M) -> BoxFuture<'static, Result<(), TellError<M>>> {
        self.port().send(message)
    }

    fn ask(
        self: Arc<Self>,
        message: M,
        deadline: Duration,
    ) -> BoxFuture<'static, Result<M::Reply, AskError>> {
        self.port().ask(message, deadline)
    }

    fn target(&self) -> String {
        self.port().target()
    }
}
