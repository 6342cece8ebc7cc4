//! Deliveries that wait for room, in the order of their arrival.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use futures_util::future::BoxFuture;

/// Deliveries that wait for room. The transport's window bounds how many.
#[derive(Default)]
pub(super) struct Lane {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<BoxFuture<'static, ()>>,
    /// Somebody walks the lane.
    walked: bool,
}

impl Lane {
    /// Whether what arrives now must queue behind others.
    pub(super) fn is_busy(&self) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.walked || !state.waiting.is_empty()
    }

    /// Queues one. True: the caller must see to it that [`walk`](Lane::walk) runs.
    pub(super) fn push(&self, delivery: BoxFuture<'static, ()>) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.waiting.push_back(delivery);
        !std::mem::replace(&mut state.walked, true)
    }

    /// Hands over what waits, one after the other, until nothing does.
    pub(super) async fn walk(&self) {
        while let Some(delivery) = self.next() {
            delivery.await;
        }
    }

    fn next(&self) -> Option<BoxFuture<'static, ()>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let next = state.waiting.pop_front();
        state.walked = next.is_some();
        next
    }

    /// Drops what waits; each reports that it was not handled.
    pub(super) fn clear(&self) {
        let waiting = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut state.waiting)
        };
        drop(waiting);
    }
}
