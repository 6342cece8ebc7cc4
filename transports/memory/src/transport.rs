//! The transport: mailboxes by address.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use futures_util::future::{BoxFuture, ready};
use oa_runtime::transport::{
    Capabilities, Frame, Health, MAX_BODY, MailboxSpec, MessageId, ParkedMail, Sink, Topology,
};
use oa_runtime::{Address, Envelope, PublishError, Subscription, Transport, TransportError};
use tokio::sync::{oneshot, watch};

use crate::faults::{Dice, Faults, PublishFault};
use crate::queue::Queue;
use crate::subscription::Consuming;
use crate::timer::Timer;

/// How many messages a mailbox holds by default.
const CAPACITY: usize = 100_000;

/// Carries mail between the nodes of one process that share it. Cheap to clone.
#[derive(Clone)]
pub struct MemoryTransport {
    shared: Arc<Shared>,
}

/// What all clones share.
pub(crate) struct Shared {
    mailboxes: RwLock<HashMap<Address, Arc<Queue>>>,
    capacity: usize,
    health: watch::Sender<Health>,
    pub(crate) dice: Dice,
    pub(crate) timer: Timer,
}

impl MemoryTransport {
    /// A transport without faults; each mailbox holds 100,000 messages.
    #[must_use]
    pub fn new() -> Self {
        Self::with(CAPACITY, Faults::default())
    }

    /// A transport whose mailboxes hold `messages` each.
    #[must_use]
    pub fn with_capacity(messages: usize) -> Self {
        Self::with(messages, Faults::default())
    }

    /// A transport that does things wrong, to see whether what stands on it bears that.
    #[must_use]
    pub fn faulty(faults: Faults) -> Self {
        Self::with(CAPACITY, faults)
    }

    fn with(capacity: usize, faults: Faults) -> Self {
        let shared = Shared {
            mailboxes: RwLock::default(),
            capacity,
            health: watch::Sender::new(Health::Up),
            dice: Dice::new(faults),
            timer: Timer::default(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Refuses publishes from now on, as a broker does that cannot be reached. Consumers keep what they have.
    pub fn go_down(&self, reason: impl Into<String>) {
        self.shared.health.send_replace(Health::Down { reason: reason.into() });
    }

    /// Takes publishes again.
    pub fn come_up(&self) {
        self.shared.health.send_replace(Health::Up);
    }

    /// `settled` is told once what the message caused is durable.
    fn put(
        &self,
        envelope: Envelope,
        settled: Option<oneshot::Sender<()>>,
    ) -> Result<(), PublishError> {
        if let Health::Down { reason } | Health::Blocked { reason } = &*self.shared.health.borrow()
        {
            return Err(PublishError::Unavailable { reason: reason.clone() });
        }
        let address = envelope.to.clone();
        let Some(queue) = self.shared.find(&address) else {
            return Err(PublishError::NoRoute { address });
        };
        let attempt = envelope.attempt;
        let waiter = settled.map(|settled| (envelope.message_id, settled));
        let frame = Frame::seal(envelope)?;
        let fault = self.shared.dice.publish();
        if fault != PublishFault::Lost && !queue.push(frame, attempt, self.shared.capacity, waiter)
        {
            return Err(PublishError::Full { address });
        }
        match fault {
            PublishFault::None => Ok(()),
            PublishFault::Lost | PublishFault::ConfirmLost => {
                Err(PublishError::Unavailable { reason: "the connection was lost".to_owned() })
            }
        }
    }

    fn mailbox(&self, address: &Address) -> Result<Arc<Queue>, TransportError> {
        self.shared
            .find(address)
            .ok_or_else(|| TransportError::NoRoute { address: address.clone() })
    }

    fn consume(
        &self,
        address: Address,
        window: usize,
        sink: Arc<dyn Sink>,
    ) -> Result<Subscription, TransportError> {
        let queue = self.mailbox(&address)?;
        let Some((consumer, idle)) = queue.consume(window, sink) else {
            return Err(TransportError::InUse { address });
        };
        let shared = Arc::downgrade(&self.shared);
        Ok(Subscription::new(Consuming { shared, address, queue, consumer, idle }))
    }
}

impl Shared {
    fn find(&self, address: &Address) -> Option<Arc<Queue>> {
        self.mailboxes.read().unwrap_or_else(PoisonError::into_inner).get(address).cloned()
    }

    /// Forgets a mailbox, unless another of that name has taken its place.
    pub(crate) fn remove(&self, address: &Address, queue: &Arc<Queue>) {
        let mut mailboxes = self.mailboxes.write().unwrap_or_else(PoisonError::into_inner);
        if mailboxes.get(address).is_some_and(|known| Arc::ptr_eq(known, queue)) {
            mailboxes.remove(address);
        }
    }
}

impl Transport for MemoryTransport {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            name: "memory",
            durable: false,
            delayed_retry: true,
            max_body_bytes: MAX_BODY,
        }
    }

    fn declare(&self, topology: Topology) -> BoxFuture<'_, Result<(), TransportError>> {
        let mut mailboxes = self.shared.mailboxes.write().unwrap_or_else(PoisonError::into_inner);
        for MailboxSpec { address, kind } in topology.mailboxes {
            let shared = Arc::downgrade(&self.shared);
            mailboxes.entry(address).or_insert_with(|| Queue::new(kind, shared));
        }
        Box::pin(ready(Ok(())))
    }

    fn publish(&self, envelope: Envelope) -> BoxFuture<'_, Result<(), PublishError>> {
        Box::pin(async move { self.put(envelope, None) })
    }

    fn publish_for_good(&self, envelope: Envelope) -> BoxFuture<'_, Result<(), PublishError>> {
        Box::pin(async move {
            let (settle, settled) = oneshot::channel();
            self.put(envelope, Some(settle))?;
            settled.await.map_err(|_| PublishError::Unavailable {
                reason: "the mailbox is gone and so is the message".to_owned(),
            })
        })
    }

    fn subscribe(
        &self,
        address: Address,
        window: usize,
        sink: Arc<dyn Sink>,
    ) -> BoxFuture<'_, Result<Subscription, TransportError>> {
        Box::pin(async move { self.consume(address, window, sink) })
    }

    fn health(&self) -> watch::Receiver<Health> {
        self.shared.health.subscribe()
    }

    fn parked(
        &self,
        address: Address,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<ParkedMail>, TransportError>> {
        Box::pin(async move { Ok(self.mailbox(&address)?.parked(limit)) })
    }

    fn replay(
        &self,
        address: Address,
        message_id: MessageId,
    ) -> BoxFuture<'_, Result<bool, TransportError>> {
        Box::pin(async move { Ok(self.mailbox(&address)?.replay(message_id)) })
    }

    fn discard(
        &self,
        address: Address,
        message_id: MessageId,
    ) -> BoxFuture<'_, Result<bool, TransportError>> {
        Box::pin(async move { Ok(self.mailbox(&address)?.discard(message_id)) })
    }
}

impl Default for MemoryTransport {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mailboxes = self.shared.mailboxes.read().unwrap_or_else(PoisonError::into_inner);
        write!(f, "MemoryTransport({} mailboxes)", mailboxes.len())
    }
}
