//! Supervised actors whose mailboxes can be bridged to a transport.
//!
//! An [`Actor`] is state that one task owns and one bounded mailbox feeds. Whoever has an [`ActorRef`] can tell it
//! something or ask it. Actors form a tree: each supervises the children that it spawns, by the rules of Erlang/OTP.
//! A [`PostOffice`] joins mailboxes of a [`Transport`] to actors, so that a message can come from another process and
//! the reference that sends it, a [`Recipient`], does not show the difference.
//!
//! # Example
//!
//! ```
//! use std::time::Duration;
//!
//! use oa_runtime::{Actor, ChildSpec, Context, Failure, Handler, Message, System};
//!
//! /// Counts what it is told to.
//! struct Counter {
//!     sum: u64,
//! }
//!
//! struct Add(u64);
//!
//! impl Message for Add {
//!     type Reply = u64;
//! }
//!
//! impl Actor for Counter {
//!     const KIND: &'static str = "counter";
//!     type Args = u64;
//!
//!     async fn init(first: &u64, _ctx: &mut Context<Self>) -> Result<Self, Failure> {
//!         Ok(Self { sum: *first })
//!     }
//! }
//!
//! impl Handler<Add> for Counter {
//!     async fn handle(&mut self, Add(n): Add, _ctx: &mut Context<Self>) -> Result<u64, Failure> {
//!         self.sum += n;
//!         Ok(self.sum)
//!     }
//! }
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! let system = System::builder("example").arbiters(1).build();
//! let counter = system.spawn(ChildSpec::<Counter>::new(40))?;
//! assert_eq!(counter.ask(Add(2), Duration::from_secs(1)).await?, 42);
//! println!("{}", system.tree());
//! assert!(system.shutdown(Duration::from_secs(5)).await.is_clean());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What holds
//!
//! **Handlers are sequential.** The next message waits until the future of the last one has ended. An actor that
//! awaits for long keeps its mailbox waiting; what takes longer goes into [`Context::spawn_task`] or
//! [`Context::pipe`]. Messages of one sender to one actor are handled in the order in which they were sent.
//!
//! **Mailboxes are bounded.** [`ActorRef::tell`] never waits and gives the message back when there is no room;
//! [`ActorRef::send`] waits. Orders (stop, restart) go beside the mailbox, and so do the timers and task results that
//! an actor sends to itself. After 64 messages an actor leaves its thread to its neighbours.
//!
//! **A failure costs the state, not the address.** A panic, a [`Context::fail`], a failed [`Actor::init`] and a panic
//! in a task are the same: the state is dropped, with its timers, tasks and children, and by its [`RestartPolicy`] the
//! actor begins again from [`Actor::init`]. References stay valid and the messages that wait stay in the mailbox; the
//! one in hand is lost, and its asker is told. A handler that returns `Err` has failed its message only.
//!
//! | ends by | permanent | transient | temporary |
//! |---|---|---|---|
//! | a failure | begins again | begins again | is gone |
//! | [`Context::stop`] | begins again | is gone | is gone |
//! | an order: [`ActorRef::stop`], [`Context::stop_child`], a shutdown | is gone | is gone | is gone |
//!
//! **Failures climb.** A supervisor forgives so many failures of its children in a period
//! ([`ChildSpec::intensity`]); one more and it fails itself. When the root has had enough, [`System::terminated`]
//! resolves and the process should end.
//!
//! **Ends are orderly and limited.** Children end before their parent, the last started first. Each handles what is
//! queued and runs [`Actor::stopping`], within its [`ChildSpec::drain`]; then it is cut off. What does not end even so,
//! because it blocks its thread, is given up and named in the [`ShutdownReport`].
//!
//! **No wait is for ever.** An ask has a deadline, and an actor that ends answers what it leaves behind. The one thing
//! that cannot be helped is code that blocks its thread: other actors on that thread stand still with it. It belongs on
//! [`Affinity::Dedicated`] or into `tokio::task::spawn_blocking`.
//!
//! **Deliveries are at least once, effects are seen once.** A delivery is settled after its handler has returned: `Ok`
//! is done; an error is retried after a while or, if it is permanent or too many, parked for a person; a crash is
//! retried; a delivery that its actor did not live to handle is given back uncounted. Repeated messages are dropped
//! by their idempotency key, within a window in memory; what must hold across a restart of the process needs an inbox
//! table, for which [`Context::delivery`] gives the id. A local tell is at most once.
//!
//! # Modules
//!
//! The public names are all here, except those that only a transport needs, in [`transport`], and those that only a
//! test needs, in [`testkit`].

mod actor;
mod actor_ref;
mod context;
mod dead_letter;
mod failure;
mod kernel;
mod latch;
mod mail;
mod mailbox;
mod message;
mod node;
mod parcel;
mod path;
mod quiet;
mod recipient;
mod send_error;
mod signals;
mod supervision;
mod system;
mod task;
pub mod testkit;
pub mod transport;
mod watch;

pub use self::actor::{Actor, Handler};
pub use self::actor_ref::ActorRef;
pub use self::context::{Context, DeliveryInfo};
pub use self::dead_letter::DeadLetter;
pub use self::failure::Failure;
pub use self::mail::{Mailbox, PostOffice, Seal};
pub use self::message::{Message, Wire};
pub use self::path::ActorPath;
pub use self::recipient::{Recipient, Switch};
pub use self::send_error::{AskError, TellError};
pub use self::supervision::{Affinity, Backoff, ChildSpec, RestartPolicy, Strategy};
pub use self::system::{ActorState, ShutdownReport, SpawnError, System, SystemBuilder, TreeNode};
pub use self::task::{TaskHandle, TimerHandle};
pub use self::transport::{
    Address, DecodeError, EncodeError, Envelope, MessageId, PublishError, Subscription, Transport,
    TransportError,
};
