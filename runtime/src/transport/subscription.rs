//! A running consumer.

use std::fmt;
use std::time::Duration;

use futures_util::future::BoxFuture;

/// What a transport or a post office does when its subscription ends.
pub trait SubscriptionControl: Send + Sync {
    /// Stops taking deliveries, then waits until those in hand are settled, at most `within`.
    ///
    /// What is unsettled then goes back to the mailbox, without counting an attempt. Returns how many those were.
    fn close(&self, within: Duration) -> BoxFuture<'_, usize>;

    /// Stops taking deliveries and gives the unsettled ones back, at once.
    fn abort(&self);

    /// Deliveries in hand.
    fn in_flight(&self) -> usize;
}

/// A running consumer. Dropping it stops consuming; [`close`](Subscription::close) also waits for what is in hand.
#[must_use = "dropping a subscription stops consuming"]
pub struct Subscription {
    control: Box<dyn SubscriptionControl>,
}

/// How long [`Subscription::close`] waits for deliveries in hand.
const CLOSE_WITHIN: Duration = Duration::from_secs(5);

impl Subscription {
    /// A subscription that is ended by `control`.
    pub fn new(control: impl SubscriptionControl + 'static) -> Self {
        Self { control: Box::new(control) }
    }

    /// Stops taking deliveries and waits up to 5 s for those in hand; returns how many were given back instead.
    pub async fn close(self) -> usize {
        self.close_within(CLOSE_WITHIN).await
    }

    /// Like [`close`](Subscription::close), with another limit.
    pub async fn close_within(self, within: Duration) -> usize {
        self.control.close(within).await
    }

    /// Deliveries in hand.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.control.in_flight()
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.control.abort();
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription").field("in_flight", &self.in_flight()).finish()
    }
}
