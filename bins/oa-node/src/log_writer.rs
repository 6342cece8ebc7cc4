//! Lines on their way to standard error, which may be a pipe that nobody reads.
//!
//! ```text
//! whoever logs ──► room for 4096 lines ──► a thread of its own ──► standard error
//!                    └ no room: the line is dropped and counted; the count is said as soon as a line gets through
//! ```
//!
//! So a reader that has stopped costs lines, and never time.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

/// Lines that may wait.
const ROOM: usize = 4096;
/// How long the end of the program waits for the last lines.
const LAST_LINES: Duration = Duration::from_secs(1);

enum Item {
    Line(Vec<u8>),
    /// Told once everything before it is written.
    Written(SyncSender<()>),
}

/// Takes lines without ever waiting. Cheap to clone.
#[derive(Clone)]
pub(crate) struct LogWriter {
    items: SyncSender<Item>,
    dropped: Arc<AtomicU64>,
}

/// Waits for the last lines when it is dropped.
pub(crate) struct LastLines {
    items: SyncSender<Item>,
}

/// Starts the thread that writes to `sink`.
pub(crate) fn start(sink: impl Write + Send + 'static) -> io::Result<(LogWriter, LastLines)> {
    let (items, queue) = sync_channel(ROOM);
    let dropped = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&dropped);
    std::thread::Builder::new()
        .name("oa-log".into())
        .spawn(move || write_all(&queue, &counter, sink))?;
    Ok((LogWriter { items: items.clone(), dropped }, LastLines { items }))
}

fn write_all(queue: &Receiver<Item>, dropped: &AtomicU64, mut sink: impl Write) {
    for item in queue {
        match item {
            Item::Line(line) => {
                // Whoever reads the log may have gone; there is nobody to tell.
                let _ = sink.write_all(&line);
                let missing = dropped.swap(0, Ordering::Relaxed);
                if missing > 0 {
                    let _ = writeln!(
                        sink,
                        "{missing} lines of the log were dropped here: its reader did not keep up"
                    );
                }
                let _ = sink.flush();
            }
            Item::Written(told) => {
                let _ = told.try_send(());
            }
        }
    }
}

/// One event is one write.
impl Write for LogWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if let Err(TrySendError::Full(_)) = self.items.try_send(Item::Line(line.to_vec())) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            metrics::counter!("oa_log_lines_dropped_total").increment(1);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for LogWriter {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Drop for LastLines {
    fn drop(&mut self) {
        let (told, written) = sync_channel(1);
        if self.items.try_send(Item::Written(told)).is_ok() {
            let _reader_has_stopped = written.recv_timeout(LAST_LINES);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn a_reader_that_has_stopped_costs_lines_and_no_time_and_their_number_is_said() {
        let (sink, reader) = UnixStream::pair().expect("a pair of sockets");
        let (mut writer, last_lines) = start(sink).expect("a thread");
        let line = [b"a line of the log ".repeat(50).as_slice(), b"\n"].concat();
        // Far more than the socket and the queue hold; this would never end if it waited for the reader.
        for _ in 0..5 * ROOM {
            writer.write_all(&line).expect("it takes everything");
        }
        assert!(writer.dropped.load(Ordering::Relaxed) > 0, "some did not fit");

        let reads = std::thread::spawn(move || {
            let lines = BufReader::new(reader).lines().map_while(Result::ok);
            lines.filter(|line| line.contains("lines of the log were dropped here")).count()
        });
        // Once it reads again, the next line gets through and the number with it.
        while writer.dropped.load(Ordering::Relaxed) > 0 {
            writer.write_all(b"another line\n").expect("it takes everything");
            std::thread::yield_now();
        }
        drop((writer, last_lines));
        assert!(reads.join().expect("the reader ends") >= 1, "it is said how many are missing");
    }
}
