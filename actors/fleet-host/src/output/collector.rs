//! Reads what the programs of a unit print.

use std::io::{self, Read};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::OutputWriter;

/// Most that is read at once; all that a flood costs in memory.
const CHUNK_BYTES: usize = 16 * 1024;

/// Keeps what comes until every writing end is closed. Nothing that fails here reaches the unit.
pub(crate) fn collect(mut reader: io::PipeReader, output: &Mutex<OutputWriter>) {
    let mut buffer = vec![0; CHUNK_BYTES];
    loop {
        let due = lock(output).due(Instant::now());
        if due.is_some_and(|pause| !has_news(&reader, pause)) {
            lock(output).settle(Instant::now());
            continue;
        }
        match reader.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => lock(output).take(&buffer[..count], Instant::now()),
            Err(why) if why.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    lock(output).finish();
}

/// Whether there is something to read, or the end, within `pause`.
fn has_news(reader: &io::PipeReader, pause: Duration) -> bool {
    // A little longer, so that the interval is over when the pause is.
    let pause = Timespec::try_from(pause + Duration::from_millis(1)).ok();
    let mut ends = [PollFd::new(reader, PollFlags::IN)];
    !matches!(poll(&mut ends, pause.as_ref()), Ok(0))
}

fn lock(output: &Mutex<OutputWriter>) -> MutexGuard<'_, OutputWriter> {
    output.lock().unwrap_or_else(PoisonError::into_inner)
}
