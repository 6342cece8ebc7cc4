//! Watches modules and clusters.
//!
//! It registers with Management and stays registered; the watching itself is Management's until the Overseer does it.

mod actor;

pub use actor::{Overseer, OverseerArgs, child_spec};
