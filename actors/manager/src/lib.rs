//! The Manager: the REST API for people and CI, and the typed mailboxes for components.
//!
//! ```text
//! HTTP ─► dispatch ─► routes ─► handlers ─► services ─► store
//!            │                                 └──────► fleet_manager, workflow_orchestration (mailboxes)
//!            └ who asks (auth), what is in the body (request)
//! ```
//!
//! The routes are the original's, with its statuses, bodies and headers; ours stand beside them. A node starts it
//! with [`child_spec`]; [`ManagerArgs::address`] says where it listens.

mod actor;
mod app;
mod auth;
mod config;
mod cors;
mod dispatch;
mod error;
mod handlers;
mod health;
mod listener;
mod mailbox;
mod request;
mod routes;
mod server;
mod services;
mod time;
mod validation;
mod views;
mod why;

pub use actor::{Manager, ManagerArgs, child_spec};
pub use auth::{AdminTokenError, Permission};
pub use config::{CompatConfig, ManagerConfig};
pub use health::{Health, Trouble};
pub use listener::ListenError;
pub use routes::inventory;
pub use server::ServerError;
