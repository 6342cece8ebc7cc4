//! What the runtime promises, through its public API.

mod actors;
mod stopping;
mod storm;
mod supervision;
mod support;
mod tasks;
