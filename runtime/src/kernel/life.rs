//! The task of one actor, from its first `init` to its end.
//!
//! ```text
//!        ┌──────────────────────────── go ───────────────────────────┐
//!        ▼                                                           │
//! init ──► serve ──► stopping ──► children stop ──► state drops ──► verdict ── end ──► close
//!   │        │ failed    ▲              ▲
//!   └────────┴───────────┼──────────────┘  a failure leaves out `stopping`
//!            └ ordered ──┘                 an order drains the queue first
//! ```
//!
//! The queue is the same all along: its messages wait while the actor is down.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, Waker};
use std::time::{Duration, Instant};

use actix::dev::{ContextFut, ContextParts, Mailbox};
use actix::prelude::ActorContext;
use tokio::time::{Sleep, sleep_until, timeout, timeout_at};

use super::cell::{Cell, Receiver};
use super::host::{Body, Host, HostContext};
use crate::actor::Actor;
use crate::actor_ref::ActorRef;
use crate::context::{Context, Exit};
use crate::failure::Failure;
use crate::node::Node;
use crate::quiet::{Caught, Held, drop_quietly};
use crate::signals::{Interrupt, Orders, Verdict};
use crate::supervision::Ending;
use crate::system::ActorState;
use crate::task::TaskSet;

type HostFuture<A> = ContextFut<Host<A>, HostContext<A>>;

/// The task of one actor.
pub(crate) struct Life<A: Actor> {
    cell: Arc<Cell<A>>,
    node: Arc<Node>,
    args: A::Args,
    host: Option<HostFuture<A>>,
    tasks: Option<Rc<TaskSet>>,
    /// When the orderly end that is under way must be over.
    stop_by: Option<tokio::time::Instant>,
}

/// Left for `stopping` when the queue has used up the drain limit.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// An order to end that is being followed.
struct Drain {
    ending: Ending,
    limit: Pin<Box<Sleep>>,
}

impl<A: Actor> Life<A> {
    pub(crate) fn new(cell: Arc<Cell<A>>, args: A::Args, receiver: Receiver<A>) -> Self {
        let node = Arc::clone(cell.node());
        let mailbox = Mailbox::new(receiver.take().expect("a receiver is taken once, here"));
        let parts = ContextParts::new(mailbox.sender_producer());
        let ctx = HostContext::new(parts, Arc::clone(&node), Arc::clone(cell.system().inner()));
        let host = Some(ContextFut::new(ctx, Host::new(), mailbox));
        node.metrics.alive.increment(1.0);
        Self { cell, node, args, host, tasks: None, stop_by: None }
    }

    /// Runs until the actor has ended for good.
    pub(crate) async fn run(mut self) {
        loop {
            let ending = self.incarnation().await;
            self.node.set_state(ActorState::Down);
            if let Ending::Failed(failure) = &ending {
                self.node.metrics.crashed.increment(1);
                self.node.remember_failure(failure);
                tracing::error!(actor = %self.node.path, "failed: {failure:#}");
            }
            if self.verdict(ending).await == Verdict::End {
                break;
            }
            tracing::info!(actor = %self.node.path, "starts again");
        }
        self.close();
    }

    /// One `init` and what follows, until nothing of it is left.
    async fn incarnation(&mut self) -> Ending {
        let incarnation = self.node.begin_incarnation();
        self.stop_by = None;
        self.node.children().reopen();
        let tasks = TaskSet::new(Arc::clone(&self.node));
        self.tasks = Some(Rc::clone(&tasks));
        let ending = match self.init(tasks, incarnation).await {
            Ok(body) => {
                self.with_host(|ctx| ctx.begin(body, incarnation));
                self.node.set_state(ActorState::Running);
                self.node.first_init.set(Ok(()));
                self.node.report_started();
                self.serve().await
            }
            Err(ending) => ending,
        };
        self.node.set_state(ActorState::Stopping);
        let ending = self.stop_orderly(ending).await;
        self.stop_children().await;
        if let Some(tasks) = self.tasks.take() {
            tasks.end();
        }
        self.with_host(HostContext::drop_body);
        ending
    }

    async fn init(&mut self, tasks: Rc<TaskSet>, incarnation: u64) -> Result<Box<Body<A>>, Ending> {
        let (me, system) = (ActorRef::new(Arc::clone(&self.cell)), self.cell.system().clone());
        let args = self.args.clone();
        let mut init = Caught::new(async move {
            let mut ctx = Context::new(me, system, tasks, incarnation);
            A::init(&args, &mut ctx).await.map(|actor| Box::new(Body { actor, ctx }))
        });
        let node = Arc::clone(&self.node);
        let made = poll_fn(|cx| match node.signals.poll(cx, Orders::interrupt) {
            Poll::Ready(interrupt) => Poll::Ready(Err(interrupt)),
            Poll::Pending => init.poll(cx).map(Ok),
        })
        .await;
        let failure = match made {
            Ok(Ok(Ok(body))) => return Ok(body),
            Ok(Ok(Err(failure)) | Err(failure)) | Err(Interrupt::Fail(failure)) => failure,
            Err(Interrupt::Stop) => return Err(Ending::Ordered),
            Err(Interrupt::Halt) => return Err(Ending::Halted),
        };
        node.first_init.set(Err(failure.clone()));
        // Somebody waits for the first start and decides about a failure himself.
        if incarnation == 1 && node.must_start {
            Err(Ending::Ordered)
        } else {
            Err(Ending::Failed(failure))
        }
    }

    /// Handles messages until the actor or somebody else ends it.
    async fn serve(&mut self) -> Ending {
        let node = Arc::clone(&self.node);
        let mut drain: Option<Drain> = None;
        let mut first = true;
        poll_fn(move |cx| {
            let order = node.signals.poll_fresh(cx, std::mem::take(&mut first), Orders::interrupt);
            match order {
                Poll::Ready(Interrupt::Fail(failure)) => {
                    self.cut_off(cx);
                    return Poll::Ready(Ending::Failed(failure));
                }
                Poll::Ready(Interrupt::Stop) => {
                    node.gate.close();
                    self.begin_drain(&mut drain, Ending::Ordered);
                }
                Poll::Ready(Interrupt::Halt) => self.begin_drain(&mut drain, Ending::Halted),
                Poll::Pending => {}
            }
            self.run_host(cx);
            if let Some(exit) = self.with_host(|ctx| ctx.exit.take()).flatten() {
                return Poll::Ready(ending_of(exit, drain.take()));
            }
            if let Some(drain) = &mut drain
                && self.is_drained(drain, cx)
            {
                return Poll::Ready(drain.ending.clone());
            }
            if self.with_host(|ctx| ctx.is_budget_spent()) == Some(true) {
                cx.waker().wake_by_ref();
            }
            Poll::Pending
        })
        .await
    }

    fn begin_drain(&mut self, drain: &mut Option<Drain>, ending: Ending) {
        // A halt leaves the queue for the next incarnation, a stop empties it first.
        let paused = matches!(ending, Ending::Halted);
        self.with_host(|ctx| ctx.paused = paused);
        self.node.set_state(ActorState::Stopping);
        let stop_by = *self
            .stop_by
            .get_or_insert_with(|| tokio::time::Instant::now() + self.node.policy.drain);
        match drain {
            Some(drain) => drain.ending = ending,
            None => *drain = Some(Drain { ending, limit: Box::pin(sleep_until(stop_by)) }),
        }
    }

    fn is_drained(&mut self, drain: &mut Drain, cx: &mut TaskContext<'_>) -> bool {
        let in_hand = self.with_host(|ctx| ctx.in_hand) == Some(true);
        if !in_hand && (matches!(drain.ending, Ending::Halted) || self.node.gate.depth() == 0) {
            return true;
        }
        if drain.limit.as_mut().poll(cx).is_pending() {
            return false;
        }
        let (limit, left) = (self.node.policy.drain, self.node.gate.depth());
        tracing::warn!(actor = %self.node.path, ?limit, left, in_hand, "is cut off: the drain limit has passed");
        self.cut_off(cx);
        true
    }

    /// Lets actix's loop feed messages to handlers.
    fn run_host(&mut self, cx: &mut TaskContext<'_>) {
        let Some(host) = &mut self.host else { return };
        let begun = Instant::now();
        host.ctx().refill(cx.waker());
        // What users write is caught where it runs; this is for what nobody thought of.
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| Pin::new(&mut *host).poll(cx))) {
            let failure = Failure::from_panic(&*panic);
            drop_quietly(panic);
            host.ctx().exit = Some(Exit::Failed(failure));
        }
        let ctx = host.ctx();
        ctx.tally.hand_over(&self.node.metrics);
        self.node
            .metrics
            .busy_us
            .increment(u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX));
    }

    /// Drops the handler that is on its way, if one is, and with it the state that it has.
    fn cut_off(&mut self, cx: &mut TaskContext<'_>) {
        self.with_host(|ctx| {
            ctx.cut_off = true;
            ctx.paused = true;
        });
        self.run_host(cx);
        self.with_host(|ctx| ctx.cut_off = false);
    }

    /// Runs `stopping`, unless the actor has failed or its state is gone.
    async fn stop_orderly(&mut self, ending: Ending) -> Ending {
        if matches!(ending, Ending::Failed(_)) {
            return ending;
        }
        let Some(Some(body)) = self.with_host(|ctx| ctx.body.take()) else { return ending };
        let mut stopping = Caught::new(async move {
            let mut body = Held::new(body);
            let Body { actor, ctx } = &mut **body.get();
            actor.stopping(ctx).await;
            body.take()
        });
        let now = tokio::time::Instant::now();
        let limit = self.stop_by.unwrap_or(now + self.node.policy.drain).max(now + LAST_WORDS);
        match timeout_at(limit, poll_fn(|cx| stopping.poll(cx))).await {
            Ok(Ok(body)) => {
                self.with_host(|ctx| ctx.body = Some(body));
            }
            Ok(Err(failure)) => {
                self.node.remember_failure(&failure);
                tracing::error!(actor = %self.node.path, "`stopping` {failure:#}");
            }
            Err(_) => {
                tracing::warn!(actor = %self.node.path, "`stopping` is cut off: the drain limit has passed")
            }
        }
        ending
    }

    /// Stops the children, the last one first, each within its limit.
    async fn stop_children(&mut self) {
        let node = Arc::clone(&self.node);
        node.children().close();
        loop {
            let last = node.children().last();
            let Some((key, child)) = last else { break };
            child.signals.stop();
            let limit = child.stop_limit();
            if timeout(limit, child.ended.wait()).await.is_err() {
                tracing::error!(actor = %child.path, ?limit, "does not end and is given up");
                self.cell.system().inner().abandon(&child.path);
            }
            node.children().forget(key);
        }
    }

    /// Waits, down, for what the supervisor decides.
    async fn verdict(&self, ending: Ending) -> Verdict {
        if self.node.parent.is_none() {
            self.cell.system().inner().root_ended(ending);
            return Verdict::End;
        }
        if !self.node.report(ending) {
            return Verdict::End;
        }
        loop {
            match self.node.signals.wait(Order::next).await {
                Order::Stop if !self.node.report(Ending::Ordered) => return Verdict::End,
                Order::Halt if !self.node.report(Ending::Halted) => return Verdict::End,
                Order::Stop | Order::Halt => self.node.set_state(ActorState::Down),
                Order::Verdict(Verdict::End) => return Verdict::End,
                Order::Verdict(Verdict::Go { after }) => {
                    if self.rest(after).await {
                        return Verdict::Go { after };
                    }
                }
            }
        }
    }

    /// Rests before the next start. False: another order came first.
    async fn rest(&self, after: Duration) -> bool {
        if after.is_zero() {
            return true;
        }
        self.node.set_state(ActorState::BackingOff);
        let other = self.node.signals.wait(|orders| (orders.stop || orders.halt).then_some(()));
        timeout(after, other).await.is_err()
    }

    fn with_host<T>(&mut self, f: impl FnOnce(&mut HostContext<A>) -> T) -> Option<T> {
        self.host.as_mut().map(|host| f(host.ctx()))
    }

    /// Drops what is left and tells those who wait. Also when the thread ends before the actor does.
    fn close(&mut self) {
        let Some(mut host) = self.host.take() else { return };
        self.node.gate.close();
        if let Some(tasks) = self.tasks.take() {
            tasks.end();
        }
        let ctx = host.ctx();
        ctx.drop_body();
        ctx.cut_off = true;
        ctx.discarding = true;
        let mut cx = TaskContext::from_waker(Waker::noop());
        if catch_unwind(AssertUnwindSafe(|| Pin::new(&mut host).poll(&mut cx))).is_err() {
            tracing::error!(actor = %self.node.path, "the queue could not be emptied");
        }
        let ctx = host.ctx();
        ctx.tally.hand_over(&self.node.metrics);
        ctx.terminate();
        drop_quietly(host);
        self.node.metrics.alive.decrement(1.0);
        self.node.set_state(ActorState::Stopped);
        self.node.first_init.set(Err(Failure::new("it was stopped before it had started")));
        if let Some(parent) = self.node.parent() {
            parent.children().forget(self.node.key);
        }
        self.node.ended.set(());
    }
}

impl<A: Actor> Drop for Life<A> {
    fn drop(&mut self) {
        self.close();
    }
}

/// An order to an actor that is down.
enum Order {
    Stop,
    Halt,
    Verdict(Verdict),
}

impl Order {
    fn next(orders: &mut Orders) -> Option<Self> {
        if std::mem::take(&mut orders.stop) {
            return Some(Self::Stop);
        }
        if std::mem::take(&mut orders.halt) {
            return Some(Self::Halt);
        }
        orders.verdict.take().map(Self::Verdict)
    }
}

/// An actor that ends while it is told to end has followed the order.
fn ending_of(exit: Exit, drain: Option<Drain>) -> Ending {
    match (exit, drain) {
        (Exit::Failed(failure), Some(drain)) => {
            tracing::warn!("failed while it was stopped: {failure:#}");
            drain.ending
        }
        (Exit::Failed(failure), None) => Ending::Failed(failure),
        (Exit::Normal, Some(Drain { ending: Ending::Ordered, .. })) => Ending::Ordered,
        (Exit::Normal, _) => Ending::Normal,
    }
}
