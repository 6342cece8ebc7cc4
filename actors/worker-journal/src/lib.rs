//! Workers, and their local tasks and effects.
//!
//! A worker never sees the management database. It writes a command down in a small SQLite file of its own,
//! acknowledges the delivery, works as long as it takes, and sends the result from its own outbox. Whatever ends
//! the process in between, the next one finds the task and goes on.
//!
//! ```text
//! delivery ─► accept ──────── one commit: message seen, task, "accepted" report ─► acknowledge
//!               │
//!              job ─► begin ─► probe, act ─► finish ── one commit: task finished, effects done, result report
//!               ▲                               │
//!  restart ─────┘ open_tasks                    └─► outbox ─► relay ─► whoever gave the command
//! ```
//!
//! Commands may come twice, late and out of order. A second copy is recognised by its message id and by its
//! attempt; a command that was decided before one that is known already is refused as stale.

mod cancellation;
mod effect;
mod error;
mod fence;
mod journal;
mod patience;
mod report;
mod retention;
mod schema;
mod task;
mod worker;

pub use cancellation::CancelToken;
pub use effect::{DoneEffect, EffectState};
pub use error::JournalError;
pub use journal::{Accepted, Cancelled, WorkerJournal};
pub use retention::JournalRetention;
pub use task::Task;
pub use worker::{
    Claim, Craft, Hands, Line, Progress, Worker, WorkerArgs, cancellation, child_spec,
};
