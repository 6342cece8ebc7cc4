//! The files of an output, for the one who writes them.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::segments;

/// Appends to the newest segment, and begins another one when it is full.
///
/// Whatever fails, the next append tries again from what is on the disk then.
#[derive(Debug)]
pub(super) struct Store {
    directory: PathBuf,
    segment_limit: u64,
    newest: Option<Segment>,
    /// Whether what is stored ends with a whole line.
    ends_line: bool,
}

#[derive(Debug)]
struct Segment {
    file: File,
    base: u64,
    length: u64,
}

impl Store {
    /// Goes on where the last writer ended.
    pub(super) fn new(directory: &Path, limit_bytes: u64) -> Self {
        let segment_limit = (limit_bytes / 2).max(1);
        Self { directory: directory.to_path_buf(), segment_limit, newest: None, ends_line: true }
    }

    /// How many of `bytes` were written, and why the rest was not.
    pub(super) fn append(&mut self, bytes: &[u8]) -> (usize, io::Result<()>) {
        let mut done = 0;
        while done < bytes.len() {
            match self.write_some(&bytes[done..]) {
                Ok(0) => return (done, Err(io::ErrorKind::WriteZero.into())),
                Ok(count) => done += count,
                Err(why) if why.kind() == io::ErrorKind::Interrupted => {}
                Err(why) => {
                    self.newest = None;
                    return (done, Err(why));
                }
            }
            self.ends_line = bytes[done - 1] == b'\n';
        }
        (done, Ok(()))
    }

    /// Writes whole lines, on lines of their own: all of them or none that anybody sees.
    pub(super) fn append_lines(&mut self, lines: &str) -> io::Result<()> {
        if self.newest.is_none() {
            self.newest = Some(self.open()?);
        }
        let text = if self.ends_line { lines.to_owned() } else { format!("\n{lines}") };
        let (written, result) = self.append(text.as_bytes());
        if result.is_err() && written > 0 {
            self.take_back(written as u64);
        }
        result
    }

    fn write_some(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut segment = match self.newest.take() {
            Some(segment) => segment,
            None => self.open()?,
        };
        if segment.length >= self.segment_limit {
            segment = self.following(&segment)?;
        }
        // A segment never grows far beyond its limit, whatever comes at once.
        let room = usize::try_from(self.segment_limit - segment.length).unwrap_or(usize::MAX);
        let count = segment.file.write(&bytes[..bytes.len().min(room.max(1))])?;
        segment.length += count as u64;
        self.newest = Some(segment);
        Ok(count)
    }

    fn open(&mut self) -> io::Result<Segment> {
        fs::create_dir_all(&self.directory)?;
        let (base, length) = segments(&self.directory)?.last().copied().unwrap_or((0, 0));
        let file = self.file(base)?;
        if let Some(last) = length.checked_sub(1) {
            let mut byte = [0];
            file.read_exact_at(&mut byte, last)?;
            self.ends_line = byte == *b"\n";
        }
        Ok(Segment { file, base, length })
    }

    /// The segment behind `full`; every one before that goes.
    fn following(&self, full: &Segment) -> io::Result<Segment> {
        let base = full.base + full.length;
        for (older, _) in segments(&self.directory)? {
            if older < full.base {
                fs::remove_file(self.directory.join(older.to_string()))?;
            }
        }
        Ok(Segment { file: self.file(base)?, base, length: 0 })
    }

    fn file(&self, base: u64) -> io::Result<File> {
        File::options()
            .create(true)
            .read(true)
            .append(true)
            .open(self.directory.join(base.to_string()))
    }

    /// Takes the last `count` bytes back, where they lie in one segment.
    fn take_back(&mut self, count: u64) {
        if let Ok(segment) = self.open()
            && let Some(length) = segment.length.checked_sub(count)
        {
            let _stays_as_half_a_line = segment.file.set_len(length);
        }
    }
}
