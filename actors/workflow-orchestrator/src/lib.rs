//! Drives workflows from their journal.
//!
//! ```text
//! workflow_orchestrator   takes reports of workers (mailroom) and keeps one actor per open workflow
//! ├─ relay                hands over what the store's outbox holds
//! ├─ clock_watch          says when the clock on the wall was set
//! └─ <workflow id>        arms the workflow's timers, ends with the workflow
//!    └─ config | deploy   stands for the step in flight
//! ```
//!
//! No decision is taken here: each is a transition of [`oa_store::workflow::step`], applied by the journal in one
//! transaction. Actors hold no state that the journal does not have, so a restart rebuilds them from it.

mod actor;
mod clock_watch;
mod relay;
mod step_in_flight;
mod voice;
mod workflow;

pub use actor::{Orchestrator, OrchestratorArgs, child_spec};
