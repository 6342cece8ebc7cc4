//! The directory of a demo: where everything lies, and what the user of the units can reach.
//!
//! ```text
//! oa-demo-…/        traversable by the user of the units
//!   bin/            the sample server, readable by everybody
//!   node/           data directory of the node, private
//!   *.git           the two repositories
//!   node.log
//! ```

use std::env;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::problem::Problem;

/// Log of the node, in the directory of the demo.
pub(super) const LOG: &str = "node.log";

const SERVER: &str = "hello-server";
const NODE: &str = "oa-node";
/// A unix socket below it must stay within 107 bytes.
const LONGEST_BASE: usize = 60;

/// The directory of one demo, removed with it.
pub(super) struct Place {
    directory: TempDir,
    node_program: PathBuf,
}

impl Place {
    /// Makes the directory and puts the sample server into it.
    pub(super) fn prepare() -> Result<Self, Problem> {
        let beside = env::current_exe()
            .map_err(|cause| Problem::new("the demo cannot find its programs", cause))?;
        let node_program = sibling(&beside, NODE)?;
        let server = sibling(&beside, SERVER)?;
        let failed = |cause: io::Error| {
            Problem::new("no directory can be made for the demo", cause)
                .next("set TMPDIR to a directory with room")
        };
        let place = Self { directory: make_directory().map_err(failed)?, node_program };
        place.install(&server).map_err(failed)?;
        Ok(place)
    }

    pub(super) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(super) fn data_dir(&self) -> PathBuf {
        self.path().join("node")
    }

    pub(super) fn log(&self) -> PathBuf {
        self.path().join(LOG)
    }

    pub(super) fn server(&self) -> PathBuf {
        self.path().join("bin").join(SERVER)
    }

    pub(super) fn node_program(&self) -> &Path {
        &self.node_program
    }

    /// Leaves the directory for somebody to look into.
    pub(super) fn keep(self) -> PathBuf {
        self.directory.keep()
    }

    fn install(&self, server: &Path) -> io::Result<()> {
        let bin = self.path().join("bin");
        fs::create_dir(&bin)?;
        fs::set_permissions(&bin, Permissions::from_mode(0o755))?;
        fs::copy(server, self.server())?;
        fs::set_permissions(self.server(), Permissions::from_mode(0o755))
    }
}

/// Line for the unit's `[Service]`: as root a unit needs a user of its own, else it runs as who runs the node.
pub(super) fn user_line() -> String {
    if !rustix::process::geteuid().is_root() {
        return String::new();
    }
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let nobody =
        if users.lines().any(|line| line.starts_with("nobody:")) { "nobody" } else { "65534" };
    format!("User={nobody}")
}

/// This program as a person would type it here.
pub(super) fn command_for_oa() -> String {
    let program = env::current_exe().unwrap_or_else(|_| PathBuf::from("oa"));
    let here = env::current_dir().ok();
    let below = here.and_then(|here| program.strip_prefix(here).ok().map(Path::to_owned));
    match below {
        Some(below) => quoted(&format!("./{}", below.display())),
        None => quoted(&program.display().to_string()),
    }
}

/// A word for a person's shell.
pub(super) fn quoted(word: &str) -> String {
    if is_plain(word) { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

fn is_plain(word: &str) -> bool {
    word.chars().all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c))
}

fn sibling(program: &Path, name: &str) -> Result<PathBuf, Problem> {
    let path = program.with_file_name(name);
    if path.is_file() {
        return Ok(path);
    }
    Err(Problem::new(
        "the demo cannot find its programs",
        format!("{} does not exist", path.display()),
    )
    .next("make demo, which builds oa, oa-node and hello-server beside one another"))
}

fn make_directory() -> io::Result<TempDir> {
    let is_root = rustix::process::geteuid().is_root();
    let mut failure = None;
    for base in bases(is_root) {
        match tempfile::Builder::new().prefix("oa-demo-").tempdir_in(&base) {
            Ok(directory) => {
                let mode = if is_root { 0o711 } else { 0o700 };
                fs::set_permissions(directory.path(), Permissions::from_mode(mode))?;
                return Ok(directory);
            }
            Err(cause) => failure = Some(cause),
        }
    }
    Err(failure.unwrap_or_else(|| io::ErrorKind::NotFound.into()))
}

/// Directories to try. For root only those that the user of the units may pass through.
fn bases(is_root: bool) -> Vec<PathBuf> {
    let runtime = env::var_os("XDG_RUNTIME_DIR").filter(|_| !is_root).map(PathBuf::from);
    let all = runtime.into_iter().chain([env::temp_dir(), PathBuf::from("/tmp")]);
    all.filter(|base| {
        base.is_absolute()
            && base.to_str().is_some_and(|text| is_plain(text) && text.len() <= LONGEST_BASE)
    })
    .filter(|base| !is_root || is_open(base))
    .collect()
}

/// Whether everybody may pass through the directory and all above it.
fn is_open(directory: &Path) -> bool {
    directory
        .ancestors()
        .all(|part| fs::metadata(part).is_ok_and(|meta| meta.permissions().mode() & 0o001 != 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_quoted_only_if_a_shell_would_read_it_otherwise() {
        assert_eq!(quoted("/tmp/oa-demo-x/node"), "/tmp/oa-demo-x/node");
        assert_eq!(quoted("/a b"), "'/a b'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }

    #[test]
    fn a_private_directory_is_not_open_to_other_users() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let inner = directory.path().join("inner");
        fs::create_dir(&inner).expect("a directory");
        fs::set_permissions(&inner, Permissions::from_mode(0o755)).expect("own directory");
        fs::set_permissions(directory.path(), Permissions::from_mode(0o700))
            .expect("own directory");
        assert!(!is_open(&inner));
    }

    #[test]
    fn a_missing_program_is_named_with_what_builds_it() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let problem = sibling(&directory.path().join("oa"), NODE).expect_err("nothing is there");
        assert!(format!("{problem:?}").contains("make demo"), "{problem:?}");
    }
}
