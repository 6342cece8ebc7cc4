//! A clock that a test can set, for the programs that it starts.
//!
//! The programs get Debian's `libfaketime` in front of the C library. Only the time of day is changed: clocks that measure
//! durations go on as they do, as on a machine whose time of day is set.

use std::path::PathBuf;

use tempfile::TempDir;

use crate::node::NodeHome;

/// A clock that begins with the right time.
#[derive(Debug)]
pub struct TestClock {
    directory: TempDir,
}

impl Default for TestClock {
    fn default() -> Self {
        Self::new()
    }
}

impl TestClock {
    /// A fresh one.
    ///
    /// # Panics
    ///
    /// If no temporary directory can be made.
    #[must_use]
    pub fn new() -> Self {
        let directory = TempDir::with_prefix("oa-test-clock-").expect("a temporary directory");
        let clock = Self { directory };
        clock.set(0);
        clock
    }

    /// Sets it to so many seconds after (or before) the right time, for every program that runs under it.
    ///
    /// # Panics
    ///
    /// If the file cannot be written.
    pub fn set(&self, seconds: i64) {
        let fresh = self.directory.path().join("offset.new");
        let written = std::fs::write(&fresh, format!("{seconds:+}s\n"));
        // A program reads the file at any moment, so it changes as a whole.
        written.and_then(|()| std::fs::rename(fresh, self.file())).expect("a writable directory");
    }

    /// What a program's environment must hold to run under this clock.
    ///
    /// # Panics
    ///
    /// Without the package `faketime`, which `make test` installs.
    #[must_use]
    pub fn environment(&self) -> [(&'static str, String); 4] {
        [
            ("LD_PRELOAD", library().display().to_string()),
            ("FAKETIME_TIMESTAMP_FILE", self.file().display().to_string()),
            ("FAKETIME_NO_CACHE", "1".to_owned()),
            ("DONT_FAKE_MONOTONIC", "1".to_owned()),
        ]
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("offset")
    }
}

impl NodeHome {
    /// Starts the node under `clock` from now on. Keepers of units do not run under it: they get no environment.
    #[must_use]
    pub fn with_clock(self, clock: &TestClock) -> Self {
        let environment = clock.environment();
        environment.iter().fold(self, |home, (name, value)| home.with_environment(name, value))
    }
}

/// It lies in the directory of the machine's architecture.
fn library() -> PathBuf {
    let directories = std::fs::read_dir("/usr/lib").expect("/usr/lib is there").flatten();
    let found = directories
        .map(|entry| entry.path().join("faketime/libfaketime.so.1"))
        .find(|path| path.exists());
    found.expect("`make test` installs the package faketime")
}
