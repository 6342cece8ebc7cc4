//! Turns a git revision into deployable units: the `config` milestone.
//!
//! ```text
//! ConfigCommand ─► Worker ─► journal ─► job ─► ConfigMilestone ─► git, templates, units
//!                                                     │
//!                            StepReport ◄─ outbox ◄───┘
//! ```
//!
//! The [`Builder`] is a worker (`oa_worker_journal::Worker`) with a [`ConfigCraft`]: a crash at any point loses nothing and
//! pushes nothing twice. What a repository holds is data: it is read from git's object database and never executed.

mod attempt;
mod config;
mod craft;
mod error;
mod git;
#[cfg(test)]
mod hostile;
mod milestone;
mod repository;
mod revision;
mod template;

pub use config::BuilderConfig;
pub use craft::{Builder, ConfigCraft, child_spec};
pub use error::BuildError;
pub use git::{CommitId, GitError, GitRef, GitSetupError, GitUrl, UrlRules};
pub use milestone::ConfigMilestone;
pub use template::{Position, TemplateError};
