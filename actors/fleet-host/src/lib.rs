//! A one-machine cluster that speaks the Fleet API v1 over a unix socket.
//!
//! ```text
//! Fleet API (unix socket, 0600)
//!   └─ cluster    definitions and desired states, a file a unit; which units are on the machine
//!        └─ runner, a task a unit      makes what is wanted out of what is
//!             └─ keeper process        own session; holds the unit, its output and its exit status
//!                  └─ the unit's program
//! ```
//!
//! A keeper outlives this process: after a crash or an upgrade of the node the next host finds it by its control
//! socket, learns what it runs, and goes on. A lock that the keeper holds makes sure that a unit has one keeper.

mod api;
mod cluster;
mod config;
mod dependencies;
mod error;
mod gate;
mod host;
pub mod keeper;
mod metering;
mod output;
mod registry;
mod runner;
mod scheduling;
mod service;
mod short_path;
mod states;
mod storage;

#[doc(hidden)]
pub use api::read_put;
pub use config::{FleetHostConfig, KEEPER_PATIENCE, KeeperProgram, StopUnits};
pub use error::FleetHostError;
pub use host::FleetHost;
pub use storage::{HostStorage, StorageTrouble};
