//! Does things later.
//!
//! A thread of its own, begun with the first thing: a message that is held back must come whichever runtime its
//! consumer lived on, also when that one has ended.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

type Action = Box<dyn FnOnce() + Send>;

/// Does things later. What is left when it is dropped is not done.
#[derive(Default)]
pub(crate) struct Timer {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    entries: BinaryHeap<Reverse<Entry>>,
    next: u64,
    runs: bool,
    over: bool,
}

struct Entry {
    due: Instant,
    /// Keeps the order of entries that are due together.
    number: u64,
    action: Action,
}

impl Entry {
    fn key(&self) -> (Instant, u64) {
        (self.due, self.number)
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

impl Timer {
    pub(crate) fn after(&self, delay: Duration, action: impl FnOnce() + Send + 'static) {
        let mut state = self.shared.lock();
        let number = state.next;
        state.next += 1;
        let due = Instant::now() + delay;
        state.entries.push(Reverse(Entry { due, number, action: Box::new(action) }));
        if !state.runs {
            let shared = Arc::clone(&self.shared);
            let begun = thread::Builder::new()
                .name("oa-memory-timer".to_owned())
                .spawn(move || shared.run());
            state.runs = begun
                .inspect_err(|cause| tracing::error!("no thread for the timer: {cause}"))
                .is_ok();
        }
        drop(state);
        self.shared.changed.notify_one();
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.shared.lock().over = true;
        self.shared.changed.notify_one();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) {
        let mut state = self.lock();
        while !state.over {
            let now = Instant::now();
            let due = state.entries.peek().map(|Reverse(entry)| entry.due);
            state = match due {
                Some(due) if due <= now => {
                    let entry = state.entries.pop();
                    drop(state);
                    if let Some(Reverse(entry)) = entry {
                        (entry.action)();
                    }
                    self.lock()
                }
                Some(due) => {
                    self.changed
                        .wait_timeout(state, due - now)
                        .unwrap_or_else(PoisonError::into_inner)
                        .0
                }
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn things_are_done_in_the_order_they_are_due() {
        let (timer, (sender, mut done)) =
            (Timer::default(), tokio::sync::mpsc::unbounded_channel());
        for delay_ms in [30, 1, 15] {
            let sender = sender.clone();
            timer.after(Duration::from_millis(delay_ms), move || {
                sender.send(delay_ms).expect("the test listens");
            });
        }
        for expected in [1, 15, 30] {
            assert_eq!(done.recv().await, Some(expected));
        }
    }

    #[tokio::test]
    async fn what_is_left_is_not_done() {
        let (timer, (sender, mut done)) =
            (Timer::default(), tokio::sync::mpsc::unbounded_channel::<()>());
        timer.after(Duration::from_millis(20), move || {
            sender.send(()).expect("the test listens");
        });
        drop(timer);
        assert_eq!(done.recv().await, None);
    }
}
