//! What a case works with.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use oa_runtime::transport::{Delivery, MailboxKind, MailboxSpec, MessageId, Sink, Topology};
use oa_runtime::{Address, Envelope, PostOffice, Seal, Subscription, System, Transport};
use tokio::sync::mpsc;

/// Longer than anything takes; reached only when a promise is broken.
pub const SOON: Duration = Duration::from_secs(20);

/// A transport with a namespace of its own.
pub struct Fixture {
    /// What is tested.
    pub transport: Arc<dyn Transport>,
    /// Actors of the case live here.
    pub system: System,
    exchange: String,
    next: AtomicU32,
}

impl Fixture {
    /// A fixture whose mailboxes lie at the place `exchange`, which nobody else uses.
    #[must_use]
    pub fn new(transport: Arc<dyn Transport>, exchange: impl Into<String>) -> Self {
        let system = System::builder("conformance").arbiters(1).build();
        Self { transport, system, exchange: exchange.into(), next: AtomicU32::new(0) }
    }

    /// An address that nobody has used.
    #[must_use]
    pub fn fresh(&self) -> Address {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let mailbox = format!("case.{}.{number}", MessageId::next());
        Address::new(self.exchange.clone(), mailbox).expect("the exchange is valid")
    }

    /// A durable mailbox that nobody has used.
    pub async fn mailbox(&self) -> Address {
        self.mailbox_of(MailboxKind::Durable).await
    }

    /// A mailbox of this kind that nobody has used.
    pub async fn mailbox_of(&self, kind: MailboxKind) -> Address {
        let address = self.fresh();
        let topology = Topology { mailboxes: vec![MailboxSpec { address: address.clone(), kind }] };
        self.transport.declare(topology).await.expect("a mailbox can be declared");
        address
    }

    /// Publishes an envelope with this body.
    pub async fn publish(&self, to: &Address, body: &str) -> Envelope {
        let envelope = envelope(to, body);
        self.transport.publish(envelope.clone()).await.expect("the mailbox was declared");
        envelope
    }

    /// Consumes a mailbox into a channel.
    pub async fn consume(&self, address: &Address, window: usize) -> Consumer {
        let (sender, deliveries) = mpsc::unbounded_channel();
        let sink = Arc::new(Channel { sender });
        let subscription = self.transport.subscribe(address.clone(), window, sink).await;
        Consumer { subscription: subscription.expect("the mailbox was declared"), deliveries }
    }

    /// The post office of a node at this place.
    #[must_use]
    pub fn office(&self, node: &str) -> PostOffice {
        PostOffice::new(&self.system, node, self.exchange.clone(), Arc::clone(&self.transport))
    }

    /// The post office of a node that signs and checks.
    #[must_use]
    pub fn sealed_office(&self, node: &str, seal: Arc<dyn Seal>) -> PostOffice {
        PostOffice::sealed(
            &self.system,
            node,
            self.exchange.clone(),
            Arc::clone(&self.transport),
            seal,
        )
    }
}

/// An envelope with this text as its body.
#[must_use]
pub fn envelope(to: &Address, body: &str) -> Envelope {
    let body = serde_json::to_vec(body).expect("text is JSON");
    Envelope::from_parts(to.clone(), "conformance.text", 1, body)
}

/// The text of an envelope.
#[must_use]
pub fn text(envelope: &Envelope) -> String {
    serde_json::from_slice(&envelope.body).expect("it was written by the case")
}

struct Channel {
    sender: mpsc::UnboundedSender<Delivery>,
}

impl Sink for Channel {
    fn deliver(&self, delivery: Delivery) {
        // A case that has ended settles nothing.
        drop(self.sender.send(delivery));
    }
}

/// A consumer whose deliveries the case settles by hand.
pub struct Consumer {
    /// Ends the consumer.
    pub subscription: Subscription,
    deliveries: mpsc::UnboundedReceiver<Delivery>,
}

impl Consumer {
    /// The next delivery.
    pub async fn next(&mut self) -> Delivery {
        let next = tokio::time::timeout(SOON, self.deliveries.recv()).await;
        next.expect("a delivery comes soon").expect("the sink lives as long as the consumer")
    }

    /// The next text, settled as done.
    pub async fn next_text(&mut self) -> String {
        let delivery = self.next().await;
        delivery.settlement.done();
        text(&delivery.envelope)
    }

    /// A delivery that is there already.
    pub fn try_next(&mut self) -> Option<Delivery> {
        self.deliveries.try_recv().ok()
    }
}
