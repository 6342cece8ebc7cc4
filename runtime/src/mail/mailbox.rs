//! What a node does with the deliveries of one mailbox.

use std::collections::HashMap;
use std::time::Duration;

use super::accept::{Accept, AcceptBy};
use crate::actor::Handler;
use crate::actor_ref::ActorRef;
use crate::message::Wire;
use crate::supervision::Backoff;
use crate::transport::{Address, MailboxKind};

/// Most unsettled deliveries by default, however large the mailboxes of the actors are.
const WIDEST_WINDOW: usize = 256;

/// A mailbox and the actors that take what arrives in it; given to
/// [`PostOffice::serve`](crate::PostOffice::serve).
#[must_use = "a mailbox does nothing before it is served"]
pub struct Mailbox {
    pub(super) address: Address,
    pub(super) kind: MailboxKind,
    pub(super) accepted: HashMap<&'static str, Box<dyn Accept>>,
    pub(super) room: usize,
    pub(super) window: Option<usize>,
    pub(super) attempts: u32,
    pub(super) retry: Backoff,
    pub(super) dedup: (usize, Duration),
}

impl Mailbox {
    /// A durable mailbox that accepts nothing yet.
    pub fn new(address: Address) -> Self {
        Self {
            address,
            kind: MailboxKind::Durable,
            accepted: HashMap::new(),
            room: WIDEST_WINDOW,
            window: None,
            attempts: 5,
            retry: Backoff::doubling(Duration::from_secs(1), Duration::from_secs(300)),
            dedup: (16 * 1024, Duration::from_secs(600)),
        }
    }

    /// Hands messages of this type to the actor. What no actor accepts is parked.
    pub fn accept<M: Wire, A: Handler<M>>(mut self, actor: &ActorRef<A>) -> Self {
        self.room = self.room.min(actor.node().gate.capacity());
        self.accepted.insert(M::NAME, Box::new(AcceptBy::<M, A>::new(actor.clone())));
        self
    }

    /// How many deliveries may be unsettled. Default: what fits into the smallest mailbox of the actors, at most 256.
    pub fn window(mut self, deliveries: usize) -> Self {
        self.window = Some(deliveries.max(1));
        self
    }

    /// After how many attempts a delivery that fails is parked. Default: 5.
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts.max(1);
        self
    }

    /// How long a delivery that failed is held back. Default: doubling from 1 s to 5 min.
    pub fn retry(mut self, backoff: Backoff) -> Self {
        self.retry = backoff;
        self
    }

    /// How many idempotency keys are remembered, and for how long. Default: 16,384 for 10 min.
    pub fn remember(mut self, keys: usize, period: Duration) -> Self {
        self.dedup = (keys, period);
        self
    }

    /// The mailbox belongs to this consumer and goes with it.
    pub fn private(mut self) -> Self {
        self.kind = MailboxKind::Private;
        self
    }
}
