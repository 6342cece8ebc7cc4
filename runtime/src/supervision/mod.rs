//! Keeps child actors running, by the rules of Erlang/OTP.
//!
//! Every actor supervises the children that it spawns; the root supervises the top level. Policy is data: a
//! [`ChildSpec`] says when the child is started again, what that means for *its* children, and how it is stopped.

mod backoff;
mod child_spec;
mod intensity;
mod supervisor;

pub use self::backoff::Backoff;
pub(crate) use self::child_spec::Policy;
pub use self::child_spec::{Affinity, ChildSpec, RestartPolicy, Strategy};
pub(crate) use self::supervisor::{Ending, NotAdded, Supervisor, Ward};
