//! The workflow as a state machine: data in, a plan out, nothing else.
//!
//! [`step`] says what an [`Event`] does to a [`WorkflowState`]. It reads no clock, no database and no
//! network, so recovery, tests and production go through the same function.
//!
//! ```text
//!            Execute                    last step succeeded
//!  created ──────────► scheduled ─┐   ┌────────────────────► succeeded
//!     │                   │ start │   │
//!     └───────────────────┴─────► running ◄──────► waiting   (another workflow deploys there)
//!                                   │ ▲               │
//!                     retry timer   └─┘               │
//!            permanent failure, tries or time used up │
//!                                   └─────────────────┴────► failed
//!  any open state ── Cancel ───────────────────────────────► cancelled
//! ```
//!
//! `undoing`, `parked` and `rolled_back` are known to readers of the database; no transition leads there yet.

mod dispatch;
mod draft;
mod event;
mod milestone;
mod plan;
mod state;
mod status;
mod step;
#[cfg(test)]
mod tests;
mod text;
mod waiting;

pub use event::{Event, EventKind, Ignored, TimerKind, UnknownTimer};
pub use milestone::{MAX_MILESTONES, Milestone, MilestoneError, check_milestones, plan_milestones};
pub use plan::{Command, Entry, Outgoing, Plan};
pub use state::{
    Attempt, Claim, Destinations, Spec, Step, Target, TargetView, Wait, WorkflowFailure,
    WorkflowState,
};
pub use status::{AttemptStatus, Status, StepStatus, UnknownStatus};
pub use step::{MAX_TRIES, step, targets};
pub use text::duration_text;
