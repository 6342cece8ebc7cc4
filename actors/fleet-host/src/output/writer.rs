//! Takes what a unit prints: counts it, limits it, writes it, and says in the output itself what is missing there.

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use super::limit::RateLimit;
use super::state::{OutputMeter, OutputState};
use super::store::Store;

/// Writes an output; one at a time, which is the unit's keeper.
pub(crate) struct OutputWriter {
    store: Store,
    limit: RateLimit,
    meter: OutputMeter,
    suppressed: Tally,
    lost: Tally,
    tell: Box<dyn Fn() + Send>,
}

/// What was left out since it was last said.
#[derive(Debug, Default)]
struct Tally {
    bytes: u64,
    lines: u64,
}

impl Tally {
    fn add(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        self.lines += bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
    }

    fn is_empty(&self) -> bool {
        self.bytes == 0
    }
}

impl OutputWriter {
    /// Goes on where the last writer ended.
    pub(crate) fn open(directory: &Path, limit_bytes: u64) -> Self {
        Self {
            store: Store::new(directory, limit_bytes),
            limit: RateLimit::default(),
            meter: OutputMeter::new(Instant::now()),
            suppressed: Tally::default(),
            lost: Tally::default(),
            tell: Box::new(|| {}),
        }
    }

    /// What counts here, for others to read.
    pub(crate) fn meter(&self) -> OutputMeter {
        self.meter.clone()
    }

    /// Calls `tell` whenever output begins or ends to be left out.
    pub(crate) fn tell(&mut self, tell: impl Fn() + Send + 'static) {
        self.tell = Box::new(tell);
    }

    /// The keeper's own words, which are few: never limited.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.store.append_lines(&String::from_utf8_lossy(bytes))
    }

    /// Whether what the unit prints is left out just now.
    pub(crate) fn is_suppressed(&self) -> bool {
        !self.suppressed.is_empty()
    }

    /// Keeps what the unit printed at `now`.
    pub(super) fn take(&mut self, bytes: &[u8], now: Instant) {
        self.meter.count(bytes.len(), now);
        self.settle(now);
        let (admitted, beyond) = bytes.split_at(self.limit.admit(bytes.len(), now));
        if !admitted.is_empty() {
            self.write(admitted);
        }
        if !beyond.is_empty() {
            self.suppress(beyond, now);
        }
    }

    /// When there is something to say although the unit prints nothing.
    pub(super) fn due(&self, now: Instant) -> Option<Duration> {
        self.is_suppressed().then(|| self.limit.remaining(now).unwrap_or_default())
    }

    /// Says what was suppressed when the interval is over.
    pub(super) fn settle(&mut self, now: Instant) {
        if self.is_suppressed() && self.limit.remaining(now).is_none() {
            self.say_suppressed();
        }
    }

    /// Says what is still to be said: the unit ended.
    pub(super) fn finish(&mut self) {
        if self.is_suppressed() {
            self.say_suppressed();
        }
        self.say_lost();
    }

    fn suppress(&mut self, beyond: &[u8], now: Instant) {
        let begins = self.suppressed.is_empty();
        if begins {
            let left = self.limit.remaining(now).unwrap_or_default().as_secs();
            let text = format!(
                "it printed {} bytes in less than {:?}; what it prints in the next {left} s is not kept",
                self.limit.burst_bytes, self.limit.interval
            );
            self.say(&text);
        }
        self.suppressed.add(beyond);
        let lines = beyond.iter().filter(|byte| **byte == b'\n').count() as u64;
        self.change(begins, |state| {
            state.suppressed_bytes += beyond.len() as u64;
            state.suppressed_lines += lines;
            state.is_suppressed = true;
        });
    }

    fn say_suppressed(&mut self) {
        let Tally { bytes, lines } = std::mem::take(&mut self.suppressed);
        self.say(&format!("{lines} lines ({bytes} bytes) were not kept: it printed too much"));
        self.change(true, |state| state.is_suppressed = false);
    }

    /// What cannot be written is counted; that is said once, and in the output when there is room again.
    fn write(&mut self, bytes: &[u8]) {
        if !self.say_lost() {
            self.lost.add(bytes);
            self.change(false, |state| state.lost_bytes += bytes.len() as u64);
            return;
        }
        let (written, result) = self.store.append(bytes);
        if let Err(why) = result {
            let rest = &bytes[written..];
            self.lost.add(rest);
            self.change(true, |state| {
                state.lost_bytes += rest.len() as u64;
                state.trouble = Some(why.to_string());
            });
        }
    }

    /// Says what was lost; whether there is nothing left to say.
    fn say_lost(&mut self) -> bool {
        if self.lost.is_empty() {
            return true;
        }
        let why = self.meter.state(Instant::now()).trouble.unwrap_or_default();
        let Tally { bytes, lines } = &self.lost;
        let text = format!("{lines} lines ({bytes} bytes) were lost: {why}");
        if self.store.append_lines(&words(&text)).is_err() {
            return false;
        }
        self.lost = Tally::default();
        self.change(true, |state| state.trouble = None);
        true
    }

    fn say(&mut self, text: &str) {
        let _full_disk = self.store.append_lines(&words(text));
    }

    fn change(&self, is_news: bool, change: impl FnOnce(&mut OutputState)) {
        self.meter.change(change);
        if is_news {
            (self.tell)();
        }
    }
}

fn words(text: &str) -> String {
    format!("unit-keeper: {text}\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::{read_after, segments};

    fn text(directory: &Path) -> String {
        read_after(directory, 0).expect("a page").text
    }

    #[test]
    fn a_flood_is_cut_and_what_is_missing_is_counted_in_the_output() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let mut writer = OutputWriter::open(directory.path(), 1 << 20);
        writer.limit.burst_bytes = 10;
        let begin = Instant::now();
        let later = begin + writer.limit.interval;
        writer.take(b"one\ntwo\nthree\nfour\n", begin);
        writer.take(b"five\n", begin);
        assert!(writer.is_suppressed() && writer.due(begin).is_some());

        writer.take(b"six\n", later);

        let expected = "one\ntwo\nth\n\
            unit-keeper: it printed 10 bytes in less than 30s; what it prints in the next 30 s is not kept\n\
            unit-keeper: 3 lines (14 bytes) were not kept: it printed too much\nsix\n";
        assert_eq!(text(directory.path()), expected);
        let state = writer.meter().state(later);
        assert_eq!(
            (state.printed_bytes, state.suppressed_bytes, state.is_suppressed),
            (28, 14, false)
        );
    }

    #[test]
    fn what_could_not_be_written_is_said_when_it_can() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let place = directory.path().join("output");
        // A file where the directory belongs: nothing can be written, even by root.
        std::fs::write(&place, "").expect("a file");
        let mut writer = OutputWriter::open(&place, 1 << 20);
        let (sender, told) = std::sync::mpsc::channel();
        writer.tell(move || sender.send(()).expect("somebody listens"));
        let now = Instant::now();
        writer.take(b"one\n", now);
        writer.take(b"two\n", now);
        assert!(writer.meter().state(now).trouble.is_some());
        assert_eq!(told.try_iter().count(), 1, "it is said once");

        std::fs::remove_file(&place).expect("the file goes");
        writer.take(b"three\n", now);

        let kept = text(&place);
        assert!(kept.starts_with("unit-keeper: 2 lines (8 bytes) were lost: "), "{kept}");
        assert!(kept.ends_with("\nthree\n"), "{kept}");
        assert_eq!((told.try_iter().count(), writer.meter().state(now).trouble), (1, None));
    }

    #[test]
    fn a_line_without_an_end_is_bounded_like_any_other() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let mut writer = OutputWriter::open(directory.path(), 1000);
        for _ in 0..100 {
            writer.take(&[b'x'; 777], Instant::now());
        }
        let kept = segments(directory.path()).expect("segments");
        assert!(kept.iter().map(|(_, length)| length).sum::<u64>() <= 1000, "{kept:?}");
        assert_eq!(kept.last().map(|(base, length)| base + length), Some(77_700));
    }
}
