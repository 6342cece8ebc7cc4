//! What actors exchange.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// A message and what answers it.
///
/// A message that only tells has `Reply = ()`.
pub trait Message: Send + 'static {
    /// What [`ask`](crate::ActorRef::ask) resolves to.
    type Reply: Send + 'static;
}

/// A message that may leave the process.
///
/// Fields of wire types are only added, each with a default, so that processes of two releases understand
/// one another during an upgrade. What cannot be read that way needs a new [`NAME`](Wire::NAME).
pub trait Wire:
    Message<Reply: Serialize + DeserializeOwned> + Serialize + DeserializeOwned
{
    /// Name on the wire, such as `builder.config`; it never changes.
    const NAME: &'static str;
    /// Schema version. A receiver parks versions above its own.
    const VERSION: u16;
}
