//! A value that is set once and can be awaited.

use std::sync::OnceLock;

use tokio::sync::Notify;

/// A value that is set once and can be awaited by any number of tasks.
#[derive(Debug)]
pub(crate) struct Latch<T> {
    value: OnceLock<T>,
    set: Notify,
}

impl<T> Default for Latch<T> {
    fn default() -> Self {
        Self { value: OnceLock::new(), set: Notify::new() }
    }
}

impl<T: Clone> Latch<T> {
    /// Sets the value, unless it is set already.
    pub(crate) fn set(&self, value: T) {
        if self.value.set(value).is_ok() {
            self.set.notify_waiters();
        }
    }

    pub(crate) fn is_set(&self) -> bool {
        self.value.get().is_some()
    }

    pub(crate) async fn wait(&self) -> T {
        loop {
            // Registered before the look, so that a value set in between is not missed.
            let mut set = std::pin::pin!(self.set.notified());
            set.as_mut().enable();
            if let Some(value) = self.value.get() {
                return value.clone();
            }
            set.await;
        }
    }
}
