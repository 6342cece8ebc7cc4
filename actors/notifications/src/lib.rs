//! Tells people what happened.
//!
//! It registers with Management and stays registered; what happened is in the event log of each workflow.

mod actor;

pub use actor::{Notifications, NotificationsArgs, child_spec};
