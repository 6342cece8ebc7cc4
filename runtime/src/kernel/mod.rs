//! Hosts actors on actix. No other module names it.
//!
//! ```text
//! Cell<A>      what a reference holds: the node, and the sending end of an actix queue without bound
//! Host<A>      the actor that actix sees; an empty shell, so that it survives what users write
//! HostContext  its context: holds the user's state while no handler runs, and decides when to pause
//! Hand         a handler that runs: it owns the user's state and brings it back, or loses it in a panic
//! Life         the task: init, serve, stop, wait for the supervisor, again; the same queue all along
//! ```
//!
//! actix gives the queue, the envelope and the loop that feeds one to the other. Bounds, fairness, panics and
//! restarts are ours: see `mailbox`, [`HostContext::waiting`](host::HostContext), [`crate::quiet`] and [`life`].
//! There is no `unsafe` here.

mod cell;
mod hand;
mod host;
mod life;

pub(crate) use self::cell::Cell;
pub(crate) use self::life::Life;
