//! How programs on one machine find the node that runs there.
//!
//! A node writes two files into its data directory: [`NODE_FILE`] says where it listens, [`ADMIN_TOKEN_FILE`]
//! (mode 0600) holds the token of its administrator.

use std::env;
use std::fs::File;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

/// File in the data directory that says where the node listens; a [`NodeFile`].
pub const NODE_FILE: &str = "node.json";
/// File in the data directory that holds the administrator's token.
pub const ADMIN_TOKEN_FILE: &str = "admin-token";
/// File in the data directory that a running node holds locked.
pub const LOCK_FILE: &str = "lock";
/// Variable that names the data directory, for the node and for `oa`.
pub const DATA_DIR_VARIABLE: &str = "OA_DATA_DIR";
/// Where a node listens unless told otherwise.
pub const DEFAULT_LISTEN: &str = "127.0.0.1:4000";
/// Where a node is looked for if nothing says where it is.
pub const DEFAULT_URL: &str = "http://127.0.0.1:4000";

/// The content of [`NODE_FILE`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeFile {
    /// Base URL of its REST API.
    pub url: String,
    /// Its process.
    pub pid: u32,
    /// Its name.
    pub node: String,
}

/// The data directory: `OA_DATA_DIR`, else `/var/lib/openaperture` for root, else `openaperture` in the user's
/// data directory. `None` if there is no home directory to put it in.
#[must_use]
pub fn data_dir() -> Option<PathBuf> {
    let variable =
        |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    choose_data_dir(variable, rustix::process::geteuid().is_root())
}

/// Whether a node works in the data directory now: it holds the lock there for as long as it does.
#[must_use]
pub fn is_in_use(data_dir: &Path) -> bool {
    File::open(data_dir.join(LOCK_FILE))
        .is_ok_and(|lock| flock(&lock, FlockOperation::NonBlockingLockShared).is_err())
}

fn choose_data_dir(variable: impl Fn(&str) -> Option<PathBuf>, is_root: bool) -> Option<PathBuf> {
    if let Some(dir) = variable(DATA_DIR_VARIABLE) {
        return Some(dir);
    }
    if is_root {
        return Some(PathBuf::from("/var/lib/openaperture"));
    }
    // The XDG specification says that a relative path is to be ignored.
    let share = variable("XDG_DATA_HOME").filter(|dir| dir.is_absolute());
    let share = share.or_else(|| variable("HOME").map(|home| home.join(".local/share")))?;
    Some(share.join("openaperture"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(variables: &[(&str, &str)], is_root: bool) -> Option<PathBuf> {
        let variable = |name: &str| {
            variables.iter().find(|(n, _)| *n == name).map(|(_, value)| PathBuf::from(value))
        };
        choose_data_dir(variable, is_root)
    }

    #[test]
    fn the_data_directory_follows_variable_then_user() {
        let home = ("HOME", "/home/ann");
        assert_eq!(chosen(&[("OA_DATA_DIR", "/d"), home], true), Some("/d".into()));
        assert_eq!(chosen(&[home], true), Some("/var/lib/openaperture".into()));
        assert_eq!(chosen(&[("XDG_DATA_HOME", "/x"), home], false), Some("/x/openaperture".into()));
        assert_eq!(
            chosen(&[("XDG_DATA_HOME", "x"), home], false),
            Some("/home/ann/.local/share/openaperture".into())
        );
        assert_eq!(chosen(&[], false), None);
    }
}
