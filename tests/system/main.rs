//! Stories on the real system: real nodes, real git, real units, a file per story.
//!
//! `make test` builds the binaries first and starts the services.

mod bad_input;
mod crash;
mod demo;
mod deploy;
mod exit_codes;
mod hostile;
mod https;
mod keeper;
mod lifecycle;
mod ssh;
mod stage;
mod trouble;
mod usage;
mod why;
mod why_units;
