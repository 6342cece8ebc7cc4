//! The store on a real SQLite file.

mod crash;
mod crowd;
mod fidelity;
mod journal;
mod repositories;
mod support;
mod usage;
mod workflows;
