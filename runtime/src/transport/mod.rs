//! What carries envelopes between processes.
//!
//! ```text
//! PostOffice ── publish(envelope) ──► Transport ── deliver(delivery) ──► Sink
//!                  resolves on confirm                │
//!                                 Settlement: done │ retry │ park │ release
//! ```
//!
//! A [`Transport`] knows queues, confirms and settlements, and nothing about actors; that is [`PostOffice`](crate::PostOffice).

mod address;
mod dedup;
mod delivery;
mod envelope;
mod error;
mod frame;
mod health;
mod message_id;
mod parked;
mod subscription;
mod topology;

use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio::sync::watch;

pub use self::address::{Address, InvalidAddress};
pub use self::dedup::{Admission, DedupWindow};
pub use self::delivery::{Delivery, Settled, Settlement, Sink};
pub(crate) use self::envelope::now_ms;
pub use self::envelope::{Envelope, MAX_HOPS};
pub use self::error::{DecodeError, EncodeError, PublishError, TransportError};
pub use self::frame::{COMPRESS_ABOVE, Frame, MAX_BODY};
pub use self::health::Health;
pub use self::message_id::{IdSource, MessageId};
pub use self::parked::ParkedMail;
pub use self::subscription::{Subscription, SubscriptionControl};
pub use self::topology::{Capabilities, MailboxKind, MailboxSpec, Topology};

/// Carries envelopes to mailboxes: in this process, or through a broker.
///
/// Every implementation passes the suite of `oa-transport-conformance`. Calls may come from any tokio context.
pub trait Transport: Send + Sync + 'static {
    /// What this transport can do.
    fn capabilities(&self) -> Capabilities;

    /// Makes sure that the mailboxes exist. Doing it again changes nothing.
    fn declare(&self, topology: Topology) -> BoxFuture<'_, Result<(), TransportError>>;

    /// Hands an envelope over. Resolves once the transport is responsible for it (the confirm).
    ///
    /// An error other than [`PublishError::NoRoute`], [`PublishError::TooLarge`] or [`PublishError::Full`] may come
    /// after the envelope was taken: publishing it again with the same id is right, the receiver deduplicates.
    fn publish(&self, envelope: Envelope) -> BoxFuture<'_, Result<(), PublishError>>;

    /// Like [`publish`](Transport::publish), but resolves once no crash of this process can lose the envelope: what an
    /// outbox waits for before it forgets a message.
    ///
    /// A transport whose mailboxes outlive the process is that far with its confirm. One that keeps them in memory has
    /// to wait until the delivery is settled.
    fn publish_for_good(&self, envelope: Envelope) -> BoxFuture<'_, Result<(), PublishError>> {
        self.publish(envelope)
    }

    /// Feeds the deliveries of a mailbox to `sink`, at most `window` unsettled ones at any time.
    fn subscribe(
        &self,
        address: Address,
        window: usize,
        sink: Arc<dyn Sink>,
    ) -> BoxFuture<'_, Result<Subscription, TransportError>>;

    /// How the transport does, and every change of it.
    fn health(&self) -> watch::Receiver<Health>;

    /// The parked deliveries of a mailbox, oldest first, at most `limit`.
    fn parked(
        &self,
        address: Address,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<ParkedMail>, TransportError>>;

    /// Puts a parked delivery back into its mailbox, as attempt 1. False: there was none.
    fn replay(
        &self,
        address: Address,
        message_id: MessageId,
    ) -> BoxFuture<'_, Result<bool, TransportError>>;

    /// Throws a parked delivery away. False: there was none.
    fn discard(
        &self,
        address: Address,
        message_id: MessageId,
    ) -> BoxFuture<'_, Result<bool, TransportError>>;
}
