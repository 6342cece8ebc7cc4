//! The post office of a node.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::{OnceCell, OwnedSemaphorePermit, Semaphore};

use super::desk::Desk;
use super::mailbox::Mailbox;
use super::remote::Remote;
use super::replies::{Questions, ReplySink, Ticket};
use super::seal::Seal;
use crate::message::Wire;
use crate::recipient::Recipient;
use crate::send_error::AskError;
use crate::system::System;
use crate::transport::{
    Address, Envelope, MAX_BODY, MAX_HOPS, MailboxSpec, MessageId, PublishError, Subscription,
    SubscriptionControl, Topology, Transport, TransportError,
};

/// How long a confirm may take.
const CONFIRM_LIMIT: Duration = Duration::from_secs(30);
/// How many tells may be on their way to the transport.
const OUTGOING: usize = 1024;
/// How many answers may arrive before the first is taken; taking one is a look into a map.
const REPLY_WINDOW: usize = 256;

/// Publishes what a node sends and serves its mailboxes. One per node; cheap to clone.
#[derive(Clone)]
pub struct PostOffice {
    inner: Arc<Inner>,
}

struct Inner {
    system: System,
    node: String,
    exchange: String,
    transport: Arc<dyn Transport>,
    seal: Option<Arc<dyn Seal>>,
    outgoing: Arc<Semaphore>,
    publishing: AtomicUsize,
    questions: Arc<Questions>,
    replies: OnceCell<(Address, Subscription)>,
}

impl PostOffice {
    /// The post office of the node of that name, at the place `exchange`.
    #[must_use]
    pub fn new(
        system: &System,
        node: impl Into<String>,
        exchange: impl Into<String>,
        transport: Arc<dyn Transport>,
    ) -> Self {
        Self::open(system, node.into(), exchange.into(), transport, None)
    }

    /// Like [`new`](PostOffice::new), with signatures.
    #[must_use]
    pub fn sealed(
        system: &System,
        node: impl Into<String>,
        exchange: impl Into<String>,
        transport: Arc<dyn Transport>,
        seal: Arc<dyn Seal>,
    ) -> Self {
        Self::open(system, node.into(), exchange.into(), transport, Some(seal))
    }

    fn open(
        system: &System,
        node: String,
        exchange: String,
        transport: Arc<dyn Transport>,
        seal: Option<Arc<dyn Seal>>,
    ) -> Self {
        let inner = Inner {
            system: system.inside(),
            node,
            exchange,
            transport,
            seal,
            outgoing: Arc::new(Semaphore::new(OUTGOING)),
            publishing: AtomicUsize::new(0),
            questions: Arc::default(),
            replies: OnceCell::new(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Name of the node.
    #[must_use]
    pub fn node(&self) -> &str {
        &self.inner.node
    }

    /// The place of the node.
    #[must_use]
    pub fn exchange(&self) -> &str {
        &self.inner.exchange
    }

    /// What carries the mail.
    #[must_use]
    pub fn transport(&self) -> &Arc<dyn Transport> {
        &self.inner.transport
    }

    /// The mailbox of that name at this node's place. It is checked when something is sent there.
    #[must_use]
    pub fn address(&self, mailbox: &str) -> Address {
        Address { exchange: self.inner.exchange.clone(), mailbox: mailbox.to_owned() }
    }

    /// A reference to a mailbox: tell and send publish, ask waits for a reply.
    #[must_use]
    pub fn recipient<M: Wire>(&self, to: &Address) -> Recipient<M> {
        Recipient::new(Arc::new(Remote::<M>::new(self.clone(), to.clone())))
    }

    /// Hands an envelope to the transport; resolves on its confirm. Publishing the same envelope again is safe.
    ///
    /// # Errors
    ///
    /// [`PublishError`]; [`PublishError::is_retryable`] says whether to try again.
    pub async fn publish(&self, envelope: Envelope) -> Result<(), PublishError> {
        let envelope = self.prepared(envelope)?;
        self.confirmed(self.inner.transport.publish(envelope)).await
    }

    /// Like [`publish`](PostOffice::publish), but resolves once no crash of this process can lose the envelope.
    ///
    /// # Errors
    ///
    /// As [`publish`](PostOffice::publish).
    pub async fn publish_for_good(&self, envelope: Envelope) -> Result<(), PublishError> {
        let envelope = self.prepared(envelope)?;
        self.confirmed(self.inner.transport.publish_for_good(envelope)).await
    }

    /// Checks an envelope and signs it.
    fn prepared(&self, mut envelope: Envelope) -> Result<Envelope, PublishError> {
        if envelope.hops >= MAX_HOPS {
            return Err(PublishError::TooManyHops { hops: envelope.hops });
        }
        if envelope.body.len() > MAX_BODY {
            return Err(PublishError::TooLarge {
                size_bytes: envelope.body.len(),
                limit_bytes: MAX_BODY,
            });
        }
        envelope.to.check().map_err(|error| PublishError::Refused { reason: error.to_string() })?;
        envelope.hops += 1;
        envelope.origin.get_or_insert_with(|| self.inner.node.clone());
        if let Some(seal) = &self.inner.seal {
            seal.sign(&mut envelope).map_err(|reason| PublishError::Refused { reason })?;
        }
        Ok(envelope)
    }

    async fn confirmed(
        &self,
        publish: BoxFuture<'_, Result<(), PublishError>>,
    ) -> Result<(), PublishError> {
        let _counted = Counted::new(&self.inner.publishing);
        match tokio::time::timeout(CONFIRM_LIMIT, publish).await {
            Ok(result) => result,
            Err(_) => Err(PublishError::Timeout { after: CONFIRM_LIMIT }),
        }
    }

    /// Declares a mailbox and hands its deliveries to the actors that accept them.
    ///
    /// # Errors
    ///
    /// [`TransportError`] if the mailbox cannot be declared or consumed.
    pub async fn serve(&self, mailbox: Mailbox) -> Result<Subscription, TransportError> {
        let (address, kind) = (mailbox.address.clone(), mailbox.kind);
        address.check().map_err(|error| TransportError::Refused { reason: error.to_string() })?;
        let window = mailbox.window.unwrap_or(mailbox.room);
        let transport = &self.inner.transport;
        transport
            .declare(Topology { mailboxes: vec![MailboxSpec { address: address.clone(), kind }] })
            .await?;
        let desk = Desk::new(self.clone(), mailbox);
        let sink = Arc::clone(&desk);
        let subscription = transport.subscribe(address, window, sink).await?;
        Ok(Subscription::new(Served {
            desk,
            subscription: std::sync::Mutex::new(Some(subscription)),
        }))
    }

    /// Publishes without a confirm yet, and questions without an answer yet.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.inner.publishing.load(Ordering::Acquire) + self.inner.questions.count()
    }

    /// Publishes a question. The ticket gets the answer.
    pub(super) async fn ask(&self, mut envelope: Envelope) -> Result<Ticket, AskError> {
        let (address, _) =
            self.inner.replies.get_or_try_init(|| self.open_replies()).await.map_err(|error| {
                AskError::Transport {
                    reason: format!("no mailbox for replies: {error}"),
                    retryable: error.is_retryable(),
                }
            })?;
        let id = envelope.message_id;
        envelope.reply_to = Some(address.clone());
        envelope.correlation_id = Some(id);
        let ticket = self.inner.questions.open(id);
        self.publish(envelope).await.map_err(|error| match error {
            PublishError::NoRoute { address } => AskError::NoRoute { address },
            PublishError::Full { .. } => AskError::Full,
            other => {
                AskError::Transport { retryable: other.is_retryable(), reason: other.to_string() }
            }
        })?;
        Ok(ticket)
    }

    async fn open_replies(&self) -> Result<(Address, Subscription), TransportError> {
        let node: String = self
            .inner
            .node
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
            .collect();
        let node = if node.is_empty() { "node" } else { &node[..node.len().min(60)] };
        let address = self.address(&format!("replies.{node}.{}", MessageId::next()));
        let transport = &self.inner.transport;
        transport.declare(Topology::private(address.clone())).await?;
        let (questions, seal) = (Arc::clone(&self.inner.questions), self.inner.seal.clone());
        let sink = Arc::new(ReplySink { questions, seal });
        let subscription = transport.subscribe(address.clone(), REPLY_WINDOW, sink).await?;
        Ok((address, subscription))
    }

    /// A place in the window of tells; none if it is full.
    pub(super) fn outgoing(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.inner.outgoing).try_acquire_owned().ok()
    }

    pub(super) fn verify(&self, envelope: &Envelope) -> Result<(), String> {
        self.inner.seal.as_ref().map_or(Ok(()), |seal| seal.verify(envelope))
    }

    /// Whether every actor of the system has ended, for good.
    pub(super) fn has_ended(&self) -> bool {
        self.inner.system.inner().has_ended()
    }

    /// Runs a task on a thread of the system. False: it has ended.
    pub(super) fn run(&self, task: impl Future<Output = ()> + Send + 'static) -> bool {
        self.inner.system.inner().run(task)
    }
}

impl fmt::Debug for PostOffice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostOffice({} at `{}`)", self.inner.node, self.inner.exchange)
    }
}

/// A mailbox that is served.
struct Served {
    desk: Arc<Desk>,
    subscription: std::sync::Mutex<Option<Subscription>>,
}

impl Served {
    fn take(&self) -> Option<Subscription> {
        self.subscription.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take()
    }
}

impl SubscriptionControl for Served {
    fn close(&self, within: Duration) -> BoxFuture<'_, usize> {
        Box::pin(async move {
            let Some(subscription) = self.take() else { return 0 };
            let unsettled = subscription.close_within(within).await;
            self.desk.close();
            unsettled
        })
    }

    fn abort(&self) {
        drop(self.take());
        self.desk.close();
    }

    fn in_flight(&self) -> usize {
        let subscription =
            self.subscription.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        subscription.as_ref().map_or(0, Subscription::in_flight)
    }
}

/// One more publish without a confirm.
struct Counted<'a>(&'a AtomicUsize);

impl<'a> Counted<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::AcqRel);
        Self(count)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
