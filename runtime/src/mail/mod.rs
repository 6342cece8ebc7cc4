//! Joins mailboxes of a transport to actors.
//!
//! ```text
//! Recipient ── tell, send, ask ──► PostOffice ── publish ──► Transport
//! actor ◄── accept ── Desk ◄── deliver ────────────────────────┘
//!    └── Ok: done   Err: retried or parked   crash: retried   ended: released
//! ```
//!
//! A delivery is settled after the handler's future has returned: what a message caused must be durable by then.

mod accept;
mod desk;
mod lane;
mod mailbox;
mod office;
mod remote;
mod replies;
mod seal;

pub use self::mailbox::Mailbox;
pub use self::office::PostOffice;
pub use self::seal::Seal;
