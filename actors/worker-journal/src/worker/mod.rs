//! A worker: takes commands, writes them down, runs each as a job, reports.
//!
//! ```text
//! command ─► journal ─► acknowledged ─► job ─► journal ─► outbox ─► StepReport
//!                          │ a crash, an upgrade: open tasks begin again at the next start
//!                          └ CancelStep: the job hears of it, ends, and reports
//! ```
//!
//! What a component does with a command is its [`Craft`]; everything around it is the same for all and stands here.

mod actor;
mod command;
mod craft;
mod job;
mod queue;

pub use actor::{Worker, WorkerArgs, child_spec};
pub use craft::{Claim, Craft, Hands, Line, Progress, cancellation};
