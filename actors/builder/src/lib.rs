//! Turns a git revision into deployable units: the `config` milestone.
//!
//! ```text
//! ConfigCommand ─► Builder ─► journal ─► Job ─► ConfigMilestone ─► git, templates, units
//!                                                     │
//!                            StepReport ◄─ outbox ◄───┘
//! ```
//!
//! The [`Builder`] writes each command down before it acknowledges it, runs it as a supervised job and hands the result
//! over from its own outbox: a crash at any point loses nothing and pushes nothing twice. What a repository holds is
//! data: it is read from git's object database and never executed.

mod actor;
mod config;
mod error;
mod git;
mod job;
mod milestone;
mod repository;
mod revision;
mod template;

pub use actor::{Builder, BuilderArgs, child_spec};
pub use config::BuilderConfig;
pub use error::BuildError;
pub use git::{CommitId, GitError, GitRef, GitSetupError, GitUrl, UrlRules};
pub use milestone::ConfigMilestone;
pub use template::{Position, TemplateError};
