//! What a user implements: an actor and its handlers.

use std::future::Future;

use crate::context::Context;
use crate::failure::Failure;
use crate::message::Message;

/// State that is owned by one task, fed by one mailbox and kept alive by one supervisor.
///
/// An actor lives on one arbiter thread and need not be `Send`. When it fails, its state is dropped and
/// [`init`](Actor::init) makes a new one; its address and the messages that wait in its mailbox stay.
pub trait Actor: Sized + 'static {
    /// Names the kind in paths, logs and metrics.
    const KIND: &'static str;
    /// What every incarnation begins from.
    type Args: Clone + Send + Sync + 'static;

    /// Makes the state, at the start and after each failure. Messages queue up meanwhile.
    ///
    /// # Errors
    ///
    /// A failed `init` counts as a failure of the actor: its supervisor decides.
    fn init(
        args: &Self::Args,
        ctx: &mut Context<Self>,
    ) -> impl Future<Output = Result<Self, Failure>>;

    /// Runs at an orderly stop, after the last message and before the children are stopped.
    ///
    /// It shares the drain limit of the child spec with the messages that were still queued.
    fn stopping(&mut self, ctx: &mut Context<Self>) -> impl Future<Output = ()> {
        let _ = ctx;
        async {}
    }
}

/// Handles one type of message.
pub trait Handler<M: Message>: Actor {
    /// Handles one message; the next one waits until this future has ended.
    ///
    /// To end or crash the actor use [`Context::stop`] or [`Context::fail`]; a panic crashes it too.
    ///
    /// # Errors
    ///
    /// This message failed and the actor goes on with its state: the asker gets
    /// [`AskError::Failed`](crate::AskError::Failed), a tell is logged, a delivery is retried or parked by
    /// [`Failure::is_retryable`].
    fn handle(
        &mut self,
        message: M,
        ctx: &mut Context<Self>,
    ) -> impl Future<Output = Result<M::Reply, Failure>>;
}
