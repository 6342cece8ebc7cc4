//! How `oa demo` fails. How it succeeds is told by the system tests, which have a node.

#![allow(missing_docs)]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// A directory with `oa` and what stands in for its neighbours, and a place for the demo itself.
struct Programs {
    directory: TempDir,
}

impl Programs {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        // As root the demo wants a place that other users may pass through.
        fs::set_permissions(directory.path(), Permissions::from_mode(0o755))
            .expect("own directory");
        fs::create_dir(directory.path().join("tmp")).expect("a directory");
        let programs = Self { directory };
        programs.install(env!("CARGO_BIN_EXE_oa").as_ref(), "oa");
        programs
    }

    /// Puts a program beside `oa`.
    fn install(&self, program: &Path, name: &str) {
        fs::copy(program, self.path(name)).expect("a copy");
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Runs the demo and returns its exit code and what it said.
    fn demo(&self, path: &str) -> (Option<i32>, String) {
        let mut command = Command::new(self.path("oa"));
        command.arg("demo").env("DEMO_ONCE", "1").env("PATH", path).stdin(Stdio::null());
        command.env("TMPDIR", self.path("tmp")).env_remove("XDG_RUNTIME_DIR");
        let output = command.output().expect("oa runs");
        assert!(output.stdout.is_empty(), "a demo that fails shows no result");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

fn path_of_this_test() -> String {
    std::env::var("PATH").expect("a PATH")
}

#[test]
fn without_its_programs_the_demo_says_what_builds_them() {
    let (code, stderr) = Programs::new().demo(&path_of_this_test());
    assert_eq!(code, Some(1));
    assert!(stderr.contains("oa-node does not exist") && stderr.contains("make demo"), "{stderr}");
}

#[test]
fn without_git_the_demo_says_how_to_install_it() {
    let (code, stderr) = Programs::new().demo("/nonexistent");
    assert_eq!(code, Some(1));
    assert!(stderr.contains("the demo needs git") && stderr.contains("install"), "{stderr}");
}

#[test]
fn a_node_that_ends_fails_the_demo_and_its_log_stays() {
    let programs = Programs::new();
    programs.install(Path::new("/bin/false"), "oa-node");
    programs.install(Path::new("/bin/true"), "hello-server");
    let (code, stderr) = programs.demo(&path_of_this_test());
    assert_eq!(code, Some(1));
    assert!(stderr.contains("error: the node"), "{stderr}");
    let log = stderr
        .lines()
        .find_map(|line| line.strip_prefix("--- the last of "))
        .expect("the log is named");
    assert!(Path::new(log).is_file(), "{log}");
}
