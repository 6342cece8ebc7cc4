//! The actor and the context that actix sees.

use std::marker::PhantomData;
use std::sync::Arc;
use std::task::Waker;

use actix::dev::{AsyncContextParts, ContextParts};
use actix::prelude::{ActorContext, ActorFuture, Addr, AsyncContext, SpawnHandle};

use crate::actor::Actor;
use crate::context::{Context, Exit};
use crate::failure::Failure;
use crate::node::Node;
use crate::quiet::drop_quietly;
use crate::system::SystemInner;
use crate::watch::Tally;

/// Messages that are handled before the neighbours on the same thread get a turn.
const BUDGET: u32 = 64;

/// Messages of one run that share a look at the clock.
const CLOCK_EVERY: u32 = 8;

/// The actor that actix sees. It is empty: what users write lives in the context and can be lost there.
pub(crate) struct Host<A> {
    _kind: PhantomData<fn() -> A>,
}

impl<A> Host<A> {
    pub(super) fn new() -> Self {
        Self { _kind: PhantomData }
    }
}

impl<A: Actor> actix::Actor for Host<A> {
    type Context = HostContext<A>;
}

/// The user's state with its context.
pub(super) struct Body<A: Actor> {
    pub(super) actor: A,
    pub(super) ctx: Context<A>,
}

/// The context that actix sees.
pub(crate) struct HostContext<A: Actor> {
    parts: ContextParts<Host<A>>,
    pub(super) node: Arc<Node>,
    pub(super) system: Arc<SystemInner>,
    /// The user's state, while no handler has it.
    pub(super) body: Option<Box<Body<A>>>,
    pub(super) incarnation: u64,
    /// How the actor wants to end, once it does.
    pub(super) exit: Option<Exit>,
    /// A handler is on its way and has the body.
    pub(super) in_hand: bool,
    /// No further message is begun.
    pub(super) paused: bool,
    /// The handler that is on its way is to be dropped.
    pub(super) cut_off: bool,
    /// Messages are dropped instead of handled: the actor has ended.
    pub(super) discarding: bool,
    pub(super) tally: Tally,
    /// Wakes the actor's task.
    pub(super) waker: Waker,
    budget: u32,
    last_message: &'static str,
    /// When the clock was read last, as [`InHand`](crate::node::InHand) tells time.
    clock: u64,
}

impl<A: Actor> HostContext<A> {
    pub(super) fn new(
        parts: ContextParts<Host<A>>,
        node: Arc<Node>,
        system: Arc<SystemInner>,
    ) -> Self {
        Self {
            parts,
            node,
            system,
            body: None,
            incarnation: 0,
            exit: None,
            in_hand: false,
            paused: false,
            cut_off: false,
            discarding: false,
            tally: Tally::default(),
            waker: Waker::noop().clone(),
            budget: BUDGET,
            last_message: "",
            clock: 0,
        }
    }

    /// Begins another incarnation.
    pub(super) fn begin(&mut self, body: Box<Body<A>>, incarnation: u64) {
        self.body = Some(body);
        self.incarnation = incarnation;
        self.exit = None;
        self.paused = false;
        self.cut_off = false;
    }

    /// Begins another run of the task that `waker` wakes.
    pub(super) fn refill(&mut self, waker: &Waker) {
        self.budget = BUDGET;
        if !self.waker.will_wake(waker) {
            self.waker.clone_from(waker);
        }
    }

    /// Whether messages may be left that were not begun for the sake of the neighbours.
    pub(super) fn is_budget_spent(&self) -> bool {
        self.budget == 0
    }

    /// A message was taken out of the queue.
    pub(super) fn taken(&mut self) {
        self.node.gate.leave();
        self.budget = self.budget.saturating_sub(1);
    }

    /// A handler begins; it gets the body.
    pub(super) fn take_body(&mut self, message: &'static str) -> Option<Box<Body<A>>> {
        let body = self.body.take()?;
        if !std::ptr::eq(self.last_message, message) {
            self.node.in_hand.set_name(message);
            self.last_message = message;
        }
        // Reading the clock costs as much as a short handler; a person who looks at ages does not miss a few of those.
        if self.budget % CLOCK_EVERY == CLOCK_EVERY - 1 {
            self.clock = self.node.in_hand.now();
        }
        self.node.in_hand.begin(self.clock);
        Some(body)
    }

    /// A handler has ended and brings the body back.
    pub(super) fn put_back(&mut self, mut body: Box<Body<A>>) {
        self.node.in_hand.end();
        body.ctx.delivery = None;
        if let Some(exit) = body.ctx.exit.take() {
            self.exit = Some(exit);
        }
        self.body = Some(body);
    }

    /// A handler has panicked; the body is gone.
    pub(super) fn lost(&mut self, failure: Failure) {
        self.node.in_hand.end();
        self.exit = Some(Exit::Failed(failure));
    }

    /// Drops the user's state.
    pub(super) fn drop_body(&mut self) {
        if let Some(body) = self.body.take() {
            drop_quietly(body);
        }
    }

    fn is_resting(&self) -> bool {
        self.paused || self.exit.is_some() || self.body.is_none() || self.budget == 0
    }
}

impl<A: Actor> ActorContext for HostContext<A> {
    fn stop(&mut self) {
        self.parts.stop();
    }

    fn terminate(&mut self) {
        self.parts.terminate();
    }

    fn state(&self) -> actix::ActorState {
        self.parts.state()
    }
}

impl<A: Actor> AsyncContext<Host<A>> for HostContext<A> {
    fn address(&self) -> Addr<Host<A>> {
        self.parts.address()
    }

    fn spawn<F>(&mut self, future: F) -> SpawnHandle
    where
        F: ActorFuture<Host<A>, Output = ()> + 'static,
    {
        self.parts.spawn(future)
    }

    fn wait<F>(&mut self, future: F)
    where
        F: ActorFuture<Host<A>, Output = ()> + 'static,
    {
        self.parts.wait(future);
    }

    /// What actix's loop asks before each message: true makes it leave the rest in the queue.
    fn waiting(&self) -> bool {
        self.parts.waiting() || (!self.discarding && self.is_resting())
    }

    fn cancel_future(&mut self, handle: SpawnHandle) -> bool {
        self.parts.cancel_future(handle)
    }
}

impl<A: Actor> AsyncContextParts<Host<A>> for HostContext<A> {
    fn parts(&mut self) -> &mut ContextParts<Host<A>> {
        &mut self.parts
    }
}
