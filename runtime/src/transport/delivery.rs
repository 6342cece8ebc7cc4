//! An envelope that arrived, and the duty to settle it.

use std::fmt;
use std::time::Duration;

use super::envelope::Envelope;

/// An envelope that arrived.
#[derive(Debug)]
pub struct Delivery {
    /// What arrived.
    pub envelope: Envelope,
    /// To be consumed once what the message caused is durable.
    pub settlement: Settlement,
}

/// Takes the deliveries of one mailbox.
pub trait Sink: Send + Sync {
    /// Takes one delivery. It must not block; the transport's window bounds how many are unsettled. A transport calls
    /// it for one delivery after the other, in order.
    fn deliver(&self, delivery: Delivery);
}

/// How a delivery ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settled {
    /// Its effects are durable: forget it.
    Done,
    /// Deliver it again, counted as another attempt. `None`: the transport's default delay.
    Retry {
        /// How long to hold it back.
        after: Option<Duration>,
    },
    /// Set it aside with its reason.
    Park {
        /// For the person who looks at it.
        reason: String,
    },
    /// It was not handled, and that says nothing about it: deliver it again, to anybody, not counted.
    Release,
}

/// The duty to settle one delivery. Dropping it counts as a crash: the delivery is retried.
#[must_use = "an unsettled delivery is retried"]
pub struct Settlement {
    settle: Option<Box<dyn FnOnce(Settled) + Send>>,
}

impl Settlement {
    /// A settlement that tells the transport through `settle`, which must not block.
    pub fn new(settle: impl FnOnce(Settled) + Send + 'static) -> Self {
        Self { settle: Some(Box::new(settle)) }
    }

    /// Its effects are durable: forget it.
    pub fn done(self) {
        self.settle(Settled::Done);
    }

    /// Deliver it again after a while, counted as another attempt.
    pub fn retry(self, after: Duration) {
        self.settle(Settled::Retry { after: Some(after) });
    }

    /// Set it aside with its reason.
    pub fn park(self, reason: impl Into<String>) {
        self.settle(Settled::Park { reason: reason.into() });
    }

    /// It was not handled, and that says nothing about it: deliver it again, to anybody, not counted.
    pub fn release(self) {
        self.settle(Settled::Release);
    }

    /// Settles it in the given way.
    pub fn settle(mut self, how: Settled) {
        if let Some(settle) = self.settle.take() {
            settle(how);
        }
    }
}

impl Drop for Settlement {
    fn drop(&mut self) {
        if let Some(settle) = self.settle.take() {
            settle(Settled::Retry { after: None });
        }
    }
}

impl fmt::Debug for Settlement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Settlement")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    fn recorded() -> (Settlement, Arc<Mutex<Vec<Settled>>>) {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&seen);
        (Settlement::new(move |how| sink.lock().expect("not poisoned").push(how)), seen)
    }

    #[test]
    fn a_dropped_settlement_is_a_retry() {
        let (settlement, seen) = recorded();
        drop(settlement);
        assert_eq!(*seen.lock().expect("not poisoned"), [Settled::Retry { after: None }]);
    }

    #[test]
    fn a_settlement_settles_once() {
        let (settlement, seen) = recorded();
        settlement.done();
        assert_eq!(*seen.lock().expect("not poisoned"), [Settled::Done]);
    }
}
