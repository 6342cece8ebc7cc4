//! Fleet API v1: types, client, unit files, the engine trait.
//!
//! An [`Engine`] runs units on the machines of one cluster. [`FleetClient`] is the one that speaks to a Fleet server:
//! a real one over TCP, or the embedded cluster over a unix socket. [`Engines`] finds the engine of a cluster by its
//! token. [`unit_file`] reads and writes unit files as systemd and Fleet do.

mod client;
mod engine;
mod engines;
mod error;
pub mod unit_file;
mod wire;

pub use client::FleetClient;
pub use engine::{Engine, LogQuery};
pub use engines::Engines;
pub use error::EngineError;
// The wire types belong to the API: whoever serves it needs nothing else.
pub use oa_protocol::{EtcdToken, IntervalId, InvalidName, UnitName, WorkflowId, metering, unit};
