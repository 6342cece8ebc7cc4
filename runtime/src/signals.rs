//! Orders to an actor. They go beside its mailbox, so that a full one delays none.

use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::task::AtomicWaker;

use crate::failure::Failure;

/// What a supervisor decides about a child that is down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Start again after a rest.
    Go { after: Duration },
    /// Do not start again.
    End,
}

/// The orders that were not followed yet.
#[derive(Debug, Default)]
pub(crate) struct Orders {
    /// Come to an orderly end, for good.
    pub(crate) stop: bool,
    /// Come down and wait, since a sibling failed.
    pub(crate) halt: bool,
    /// Crash: a child failed too often, or a task of the actor panicked.
    pub(crate) fail: Option<Failure>,
    pub(crate) verdict: Option<Verdict>,
}

/// What breaks into an incarnation.
#[derive(Debug)]
pub(crate) enum Interrupt {
    Fail(Failure),
    Stop,
    Halt,
}

impl Orders {
    /// The most pressing order for an actor that runs.
    pub(crate) fn interrupt(&mut self) -> Option<Interrupt> {
        if let Some(failure) = self.fail.take() {
            return Some(Interrupt::Fail(failure));
        }
        if mem::take(&mut self.stop) {
            return Some(Interrupt::Stop);
        }
        mem::take(&mut self.halt).then_some(Interrupt::Halt)
    }
}

/// The control lane of one actor.
#[derive(Debug, Default)]
pub(crate) struct Signals {
    orders: Mutex<Orders>,
    fresh: AtomicBool,
    waker: AtomicWaker,
}

impl Signals {
    pub(crate) fn stop(&self) {
        self.give(|orders| orders.stop = true);
    }

    pub(crate) fn fail(&self, failure: Failure) {
        self.give(|orders| orders.fail = Some(failure));
    }

    pub(crate) fn halt(&self) {
        self.give(|orders| {
            orders.halt = true;
            orders.verdict = None;
        });
    }

    pub(crate) fn verdict(&self, verdict: Verdict) {
        self.give(|orders| {
            orders.halt = false;
            orders.verdict = Some(verdict);
        });
    }

    /// A new incarnation does not answer for the last one.
    pub(crate) fn forget_failure(&self) {
        self.give(|orders| orders.fail = None);
    }

    fn give(&self, order: impl FnOnce(&mut Orders)) {
        order(&mut self.orders.lock().unwrap_or_else(PoisonError::into_inner));
        self.fresh.store(true, Ordering::Release);
        self.waker.wake();
    }

    /// Looks for an order; the task of `cx` is woken by the next one.
    pub(crate) fn poll<T>(
        &self,
        cx: &Context<'_>,
        look: impl FnOnce(&mut Orders) -> Option<T>,
    ) -> Poll<T> {
        self.waker.register(cx.waker());
        match look(&mut self.orders.lock().unwrap_or_else(PoisonError::into_inner)) {
            Some(found) => Poll::Ready(found),
            None => Poll::Pending,
        }
    }

    /// Like [`poll`](Self::poll), without a lock while nothing is new. Call it with `first` at the beginning of a wait.
    pub(crate) fn poll_fresh<T>(
        &self,
        cx: &Context<'_>,
        first: bool,
        look: impl FnOnce(&mut Orders) -> Option<T>,
    ) -> Poll<T> {
        self.waker.register(cx.waker());
        if !self.fresh.swap(false, Ordering::AcqRel) && !first {
            return Poll::Pending;
        }
        match look(&mut self.orders.lock().unwrap_or_else(PoisonError::into_inner)) {
            Some(found) => Poll::Ready(found),
            None => Poll::Pending,
        }
    }

    pub(crate) async fn wait<T>(&self, mut look: impl FnMut(&mut Orders) -> Option<T>) -> T {
        std::future::poll_fn(|cx| self.poll(cx, &mut look)).await
    }
}
