//! From the queue into a handler and back.

use std::any::type_name;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::task::{Context as TaskContext, Poll, Waker};

use actix::dev::{Envelope, EnvelopeProxy, OneshotSender, ToEnvelope};
use actix::prelude::{ActorFuture, AsyncContext};

use super::host::{Body, Host, HostContext};
use crate::actor::{Actor, Handler};
use crate::failure::Failure;
use crate::message::Message;
use crate::parcel::{Answer, Origin, Outcome, Parcel};
use crate::quiet::{Caught, Held, drop_quietly};

/// A parcel as actix sends it.
pub(super) struct Posted<M: Message>(pub(super) Parcel<M>);

impl<M: Message> actix::Message for Posted<M> {
    type Result = ();
}

/// Lets actix send it; the work is done by [`InQueue`].
impl<A: Handler<M>, M: Message> actix::Handler<Posted<M>> for Host<A> {
    type Result = ();

    fn handle(&mut self, posted: Posted<M>, ctx: &mut HostContext<A>) {
        InQueue(Some(posted.0)).handle(self, ctx);
    }
}

impl<A: Handler<M>, M: Message> ToEnvelope<Host<A>, Posted<M>> for HostContext<A> {
    fn pack(posted: Posted<M>, _: Option<OneshotSender<()>>) -> Envelope<Host<A>> {
        Envelope::with_proxy(Box::new(InQueue(Some(posted.0))))
    }
}

/// A parcel in the queue: the one allocation of a message that waits.
struct InQueue<M: Message>(Option<Parcel<M>>);

impl<A: Handler<M>, M: Message> EnvelopeProxy<Host<A>> for InQueue<M> {
    fn handle(&mut self, _: &mut Host<A>, ctx: &mut HostContext<A>) {
        let Some(parcel) = self.0.take() else { return };
        ctx.taken();
        if let Origin::Itself { queued: Some(queued), .. } = &parcel.origin {
            queued.store(false, Ordering::Release);
        }
        if parcel.origin.is_past(ctx.incarnation) || parcel.answer.is_unwanted() {
            ctx.tally.dropped += 1;
            drop_quietly(parcel);
            return;
        }
        match ctx.take_body(type_name::<M>()) {
            Some(body) => begin(body, parcel, ctx),
            None => discard(parcel, ctx),
        }
    }
}

/// The actor has ended: tells the asker, or the listeners to dead letters.
fn discard<A: Actor, M: Message>(parcel: Parcel<M>, ctx: &mut HostContext<A>) {
    ctx.tally.dropped += 1;
    if parcel.answer.is_nobody() && matches!(parcel.origin, Origin::Elsewhere) {
        ctx.system.dead_letters.report(&ctx.node.path, type_name::<M>());
    }
    let Parcel { message, answer, .. } = parcel;
    answer.give(Outcome::NotHandled);
    drop_quietly(message);
}

fn begin<A: Handler<M>, M: Message>(
    mut body: Box<Body<A>>,
    parcel: Parcel<M>,
    ctx: &mut HostContext<A>,
) {
    let Parcel { message, mut answer, origin } = parcel;
    if let Origin::Delivery(info) = origin {
        body.ctx.delivery = Some(info);
    }
    answer.taken_in_hand();
    let mut hand =
        Hand { handler: Caught::new(run(body, message)), answer: Some(answer), fresh: true };
    // Most handlers are done at once; only the others go through actix's queue of futures.
    let waker = std::mem::replace(&mut ctx.waker, Waker::noop().clone());
    let polled = hand.advance(ctx, &mut TaskContext::from_waker(&waker));
    ctx.waker = waker;
    if polled.is_pending() {
        ctx.in_hand = true;
        ctx.wait(hand);
    }
}

type Handled<A, R> = (Box<Body<A>>, Result<R, Failure>);

async fn run<A: Handler<M>, M: Message>(body: Box<Body<A>>, message: M) -> Handled<A, M::Reply> {
    let mut body = Held::new(body);
    let Body { actor, ctx } = &mut **body.get();
    let result = actor.handle(message, ctx).await;
    (body.take(), result)
}

/// A handler that runs. It owns the user's state until it ends.
struct Hand<F, R> {
    handler: Caught<F>,
    answer: Option<Answer<R>>,
    /// Was polled a moment ago, with the same waker.
    fresh: bool,
}

impl<F, R> Hand<F, R> {
    fn advance<A: Actor>(
        &mut self,
        ctx: &mut HostContext<A>,
        task: &mut TaskContext<'_>,
    ) -> Poll<()>
    where
        F: Future<Output = Handled<A, R>>,
    {
        let Poll::Ready(ended) = self.handler.poll(task) else { return Poll::Pending };
        ctx.tally.handled += 1;
        match ended {
            Ok((body, result)) => {
                ctx.put_back(body);
                self.report(ctx, &result);
                self.answer(Outcome::Handled(result));
            }
            Err(panic) => {
                ctx.lost(panic.clone());
                self.answer(Outcome::Crashed(panic));
            }
        }
        Poll::Ready(())
    }

    fn report<A: Actor>(&self, ctx: &mut HostContext<A>, result: &Result<R, Failure>) {
        let Err(failure) = result else { return };
        ctx.tally.failed += 1;
        if failure.is_blameless() {
            tracing::debug!(actor = %ctx.node.path, "a message failed for no fault of its own: {failure:#}");
        } else if self.answer.as_ref().is_none_or(Answer::is_nobody) {
            tracing::warn!(actor = %ctx.node.path, "a message failed: {failure:#}");
        }
    }

    fn answer(&mut self, outcome: Outcome<R>) {
        if let Some(answer) = self.answer.take() {
            answer.give(outcome);
        }
    }
}

impl<A, F, R> ActorFuture<Host<A>> for Hand<F, R>
where
    A: Actor,
    F: Future<Output = Handled<A, R>>,
{
    type Output = ();

    fn poll(
        mut self: Pin<&mut Self>,
        _: &mut Host<A>,
        ctx: &mut HostContext<A>,
        task: &mut TaskContext<'_>,
    ) -> Poll<()> {
        let this = &mut *self;
        if ctx.cut_off {
            this.handler.abort();
            drop(this.answer.take());
            ctx.node.in_hand.end();
            ctx.in_hand = false;
            return Poll::Ready(());
        }
        // actix polls right after it was queued; nothing can have happened since.
        if std::mem::take(&mut this.fresh) && ctx.waker.will_wake(task.waker()) {
            return Poll::Pending;
        }
        let polled = this.advance(ctx, task);
        if polled.is_ready() {
            ctx.in_hand = false;
        }
        polled
    }
}
