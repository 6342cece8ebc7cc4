//! Git, by the real `git` program.
//!
//! ```text
//! text ─► GitUrl, GitRef ─► Mirror::fetch ─► Objects: commit, tree, blobs   (nothing is checked out)
//!                                 │
//!                                 └─► Mirror::commit ─► Mirror::push
//! ```
//!
//! Files are read from git's object database, never from a work tree: no path of the repository becomes a path of
//! this machine, no link can be followed, no filter, attribute or hook of the repository runs.

mod checkout;
mod command;
mod environment;
mod error;
mod local;
mod objects;
mod push;
mod reference;
mod url;

pub use error::{GitError, GitSetupError};
pub use reference::{CommitId, GitRef};
pub use url::{GitUrl, UrlRules};

pub(crate) use checkout::{Fetched, Mirror, Origin};
pub(crate) use command::{Budget, Git};
pub(crate) use error::redact;
pub(crate) use objects::{Commit, Objects, Tree, TreeEntry};
pub(crate) use push::{NewCommit, NewFile, Pushed};
