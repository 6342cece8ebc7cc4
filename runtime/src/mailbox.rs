//! How many messages may wait.
//!
//! The queue itself is the kernel's and has no bound; the bound is kept here, by a count of what is in it.
//! Messages that an actor sends to itself (timers, results of its tasks) are counted and never refused.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::Notify;

/// Why a message may not enter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    Full,
    Closed,
}

/// The bound of one mailbox.
#[derive(Debug)]
pub(crate) struct Gate {
    capacity: usize,
    depth: AtomicUsize,
    open: AtomicBool,
    waiting: AtomicUsize,
    room: Notify,
}

impl Gate {
    pub(crate) fn new(capacity: usize) -> Self {
        let (depth, waiting) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Self { capacity, depth, open: AtomicBool::new(true), waiting, room: Notify::new() }
    }

    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    /// Messages that wait.
    pub(crate) fn depth(&self) -> usize {
        self.depth.load(Ordering::Acquire)
    }

    pub(crate) fn is_open(&self) -> bool {
        self.open.load(Ordering::Acquire)
    }

    /// Counts a message in, if there is room.
    pub(crate) fn try_enter(&self) -> Result<(), Refusal> {
        if !self.is_open() {
            return Err(Refusal::Closed);
        }
        // Never above the bound, not even for a moment: a count that is taken back would wake nobody.
        let below = |depth| (depth < self.capacity).then_some(depth + 1);
        match self.depth.fetch_update(Ordering::SeqCst, Ordering::Relaxed, below) {
            Ok(_) => Ok(()),
            Err(_) => Err(Refusal::Full),
        }
    }

    /// Counts a message in, whatever the bound.
    pub(crate) fn enter_beside(&self) {
        self.depth.fetch_add(1, Ordering::SeqCst);
    }

    /// Counts a message in as soon as there is room.
    pub(crate) async fn enter(&self) -> Result<(), Refusal> {
        loop {
            match self.try_enter() {
                Err(Refusal::Full) => {}
                other => return other,
            }
            // Announce, then look again: whoever leaves in between sees the announcement.
            let _announced = Announced::new(&self.waiting);
            let mut room = std::pin::pin!(self.room.notified());
            room.as_mut().enable();
            match self.try_enter() {
                Err(Refusal::Full) => room.await,
                other => return other,
            }
        }
    }

    /// Counts a message out.
    pub(crate) fn leave(&self) {
        self.depth.fetch_sub(1, Ordering::SeqCst);
        if self.waiting.load(Ordering::SeqCst) > 0 {
            self.room.notify_one();
        }
    }

    /// Refuses everything from now on and tells those who wait.
    pub(crate) fn close(&self) {
        self.open.store(false, Ordering::SeqCst);
        self.room.notify_waiters();
    }
}

/// One more that waits for room.
struct Announced<'a>(&'a AtomicUsize);

impl<'a> Announced<'a> {
    fn new(waiting: &'a AtomicUsize) -> Self {
        waiting.fetch_add(1, Ordering::SeqCst);
        Self(waiting)
    }
}

impl Drop for Announced<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn the_message_after_the_last_free_place_is_refused() {
        let gate = Gate::new(2);
        assert_eq!((gate.try_enter(), gate.try_enter()), (Ok(()), Ok(())));
        assert_eq!(gate.try_enter(), Err(Refusal::Full));
        gate.leave();
        assert_eq!(gate.try_enter(), Ok(()));
    }

    #[tokio::test]
    async fn one_who_waits_enters_when_another_leaves() {
        let gate = Arc::new(Gate::new(1));
        gate.try_enter().expect("empty");
        let waiting = tokio::spawn({
            let gate = Arc::clone(&gate);
            async move { gate.enter().await }
        });
        tokio::task::yield_now().await;
        gate.leave();
        assert_eq!(waiting.await.expect("no panic"), Ok(()));
    }

    #[tokio::test]
    async fn one_who_waits_is_told_when_the_mailbox_closes() {
        let gate = Arc::new(Gate::new(1));
        gate.try_enter().expect("empty");
        let waiting = tokio::spawn({
            let gate = Arc::clone(&gate);
            async move { gate.enter().await }
        });
        tokio::task::yield_now().await;
        gate.close();
        assert_eq!(waiting.await.expect("no panic"), Err(Refusal::Closed));
    }

    #[test]
    fn what_an_actor_sends_to_itself_is_not_refused() {
        let gate = Gate::new(1);
        gate.enter_beside();
        gate.enter_beside();
        assert_eq!(gate.depth(), 2);
        assert_eq!(gate.try_enter(), Err(Refusal::Full));
    }
}
