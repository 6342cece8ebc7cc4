//! Runs and drops what users wrote without letting a panic out.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::failure::Failure;

/// Drops a value; a panic in its `Drop` is logged, since there is nobody to tell.
pub(crate) fn drop_quietly<T>(value: T) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(value))) {
        let failure = Failure::from_panic(&*panic);
        tracing::error!("dropping a value {failure}");
        // What the panic carries may panic in turn; forgetting a few bytes is the lesser harm.
        std::mem::forget(panic);
    }
}

/// Holds a value that must not be dropped while a panic unwinds through its owner: a panic in its `Drop` would then
/// abort the process.
pub(crate) struct Held<T> {
    value: Option<T>,
}

impl<T> Held<T> {
    pub(crate) fn new(value: T) -> Self {
        Self { value: Some(value) }
    }

    pub(crate) fn get(&mut self) -> &mut T {
        self.value.as_mut().expect("the value is taken once, at the end")
    }

    pub(crate) fn take(mut self) -> T {
        self.value.take().expect("the value is taken once, at the end")
    }
}

impl<T> Drop for Held<T> {
    fn drop(&mut self) {
        if let Some(value) = self.value.take() {
            drop_quietly(value);
        }
    }
}

/// A future whose panic is its output. It is dropped as soon as it ends.
pub(crate) struct Caught<F> {
    future: Option<Pin<Box<F>>>,
}

impl<F: Future> Caught<F> {
    pub(crate) fn new(future: F) -> Self {
        Self { future: Some(Box::pin(future)) }
    }

    /// Drops the future before its end.
    pub(crate) fn abort(&mut self) {
        if let Some(future) = self.future.take() {
            drop_quietly(future);
        }
    }

    /// Like `Future::poll`. After the end, or an abort, it stays pending.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<F::Output, Failure>> {
        let Some(future) = &mut self.future else { return Poll::Pending };
        let outcome = match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(output)) => Ok(output),
            Err(panic) => {
                let failure = Failure::from_panic(&*panic);
                drop_quietly(panic);
                Err(failure)
            }
        };
        self.abort();
        Poll::Ready(outcome)
    }
}

impl<F> Drop for Caught<F> {
    fn drop(&mut self) {
        if let Some(future) = self.future.take() {
            drop_quietly(future);
        }
    }
}
