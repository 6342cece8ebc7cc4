//! What a flush costs on this disk: figures about durability mean nothing without it.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::connect::directory;
use crate::database::Database;

/// Flushes that are measured.
const ROUNDS: usize = 9;
/// Bytes before each flush: a page of the write-ahead log.
const BYTES: [u8; 4096] = [0x5a; 4096];

impl Database {
    /// Measures a flush beside the database file: the median of nine, each after a write of 4 KiB.
    ///
    /// # Errors
    ///
    /// What the system said.
    pub async fn flush_time(&self) -> io::Result<Duration> {
        let probe = directory(self.path()).join(format!(".flush-{}", std::process::id()));
        tokio::task::spawn_blocking(move || measure(&probe)).await.map_err(io::Error::other)?
    }
}

fn measure(probe: &Path) -> io::Result<Duration> {
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(probe)?;
    let mut times = Vec::with_capacity(ROUNDS);
    let mut flushed = Ok(());
    for _ in 0..ROUNDS {
        let began = Instant::now();
        flushed = file.write_all(&BYTES).and_then(|()| file.sync_data());
        if flushed.is_err() {
            break;
        }
        times.push(began.elapsed());
    }
    fs::remove_file(probe)?;
    flushed?;
    times.sort();
    Ok(times[ROUNDS / 2])
}
