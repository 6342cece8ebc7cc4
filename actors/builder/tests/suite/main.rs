//! The Builder against repositories made by the real git.

mod component;
mod hostile;
mod isolation;
mod limits;
mod milestone;
mod race;
mod recorder;
mod refusals;
mod ssh;
mod support;
