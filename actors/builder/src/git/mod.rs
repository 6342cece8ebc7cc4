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

mod budget;
mod checkout;
mod command;
mod complaint;
mod environment;
mod error;
mod local;
mod objects;
mod process;
mod processes;
mod push;
mod reference;
mod url;
mod version;

pub use error::{GitError, GitSetupError};
pub use reference::{CommitId, GitRef};
pub use url::{GitUrl, UrlRules};

pub(crate) use budget::Budget;
pub(crate) use checkout::{Fetched, Mirror, Origin, Part};
pub(crate) use command::Git;
pub(crate) use complaint::redact;
pub(crate) use objects::{Commit, Objects, Tree, TreeEntry};
pub(crate) use process::Programs;
pub(crate) use processes::end_those_at_home_in;
pub(crate) use push::{NewCommit, NewFile, Pushed};
