//! What the figures were measured on.

use std::fs::{self, File};
use std::io::Write;
use std::process::Command;
use std::time::Instant;

use serde::Serialize;

/// Machine, versions and the disk's flush time.
#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    commit: String,
    processor: String,
    cores: usize,
    memory_gib: u64,
    kernel: String,
    git: String,
    sqlite_synchronous: &'static str,
    /// Median of 50 flushes of 4 KiB to the directory for temporary files.
    flush_ms: f64,
}

impl Machine {
    pub(crate) fn look() -> Self {
        Self {
            commit: output("git", &["rev-parse", "--short", "HEAD"]),
            processor: field("/proc/cpuinfo", "model name"),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            memory_gib: field("/proc/meminfo", "MemTotal")
                .split(' ')
                .next()
                .and_then(|n| n.parse::<u64>().ok())
                .unwrap_or(0)
                >> 20,
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease")
                .unwrap_or_default()
                .trim()
                .to_owned(),
            git: output("git", &["--version"]),
            sqlite_synchronous: "FULL",
            flush_ms: flush_ms().unwrap_or(f64::NAN),
        }
    }

    pub(crate) fn summary(&self) -> String {
        format!(
            "commit {}, {} × {}, {} GiB, Linux {}, {}, SQLite synchronous={}, flush {:.2} ms",
            self.commit,
            self.cores,
            self.processor,
            self.memory_gib,
            self.kernel,
            self.git,
            self.sqlite_synchronous,
            self.flush_ms
        )
    }
}

fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    output.map(|o| String::from_utf8_lossy(&o.stdout).trim().to_owned()).unwrap_or_default()
}

fn field(file: &str, name: &str) -> String {
    let text = fs::read_to_string(file).unwrap_or_default();
    let line =
        text.lines().find(|line| line.starts_with(name)).and_then(|line| line.split_once(':'));
    line.map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
}

fn flush_ms() -> std::io::Result<f64> {
    let directory = tempfile::tempdir()?;
    let mut file = File::create(directory.path().join("flush"))?;
    let mut times = Vec::new();
    for _ in 0..50 {
        file.write_all(&[7; 4096])?;
        let started = Instant::now();
        file.sync_data()?;
        times.push(started.elapsed());
    }
    Ok(crate::report::percentile(&times, 50))
}
