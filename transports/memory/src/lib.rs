//! A transport inside one process, with a faulty mode for tests.
//!
//! Nodes that share a [`MemoryTransport`] exchange mail through it. Every message is written to bytes and read back,
//! so that what works here works over a broker. Nothing outlives the process: what must, lies in an outbox.
//!
//! A publish hands the message to the consumer on the spot, in the publisher's thread: no task, no polling, a few
//! microseconds. Each mailbox is bounded; a publish to a full one is refused.
//!
//! ```
//! use std::sync::Arc;
//! use oa_runtime::{PostOffice, System};
//! use oa_transport_memory::MemoryTransport;
//!
//! let system = System::builder("docs").arbiters(1).build();
//! let transport = Arc::new(MemoryTransport::new());
//! let office = PostOffice::new(&system, "node-1", "", transport);
//! assert_eq!(office.address("builder").to_string(), "/builder");
//! ```

mod faults;
mod queue;
mod subscription;
mod timer;
mod transport;

pub use self::faults::Faults;
pub use self::transport::MemoryTransport;
