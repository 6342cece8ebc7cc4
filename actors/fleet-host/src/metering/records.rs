//! The file of records: one line a record, appended by a single write, read from any place on.
//!
//! A line break stands before a record, too: what a crash or a full disk left of another one is a line of its own then,
//! which cannot be read and is passed over.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use oa_fleet::metering::UnitInterval;
use rustix::fs::{FallocateFlags, SeekFrom, fallocate, seek};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::keeper::ProcessId;

/// Bytes that are read at once; no record is nearly as long.
const CHUNK: usize = 256 * 1024;

/// A record, and who is there to make the next one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) interval: UnitInterval,
    /// The keeper; `None` only if the machine did not say.
    pub(super) keeper: Option<ProcessId>,
}

/// What was read.
#[derive(Debug, Default)]
pub(super) struct Chunk {
    /// Each with its place.
    pub(super) entries: Vec<(u64, Entry)>,
    /// Where to go on.
    pub(super) next: u64,
    /// Lines that could not be read.
    pub(super) damaged: u64,
}

/// Appends a record. It is safe from a crash of this process then; [`File::sync_data`] of what is returned makes it
/// safe from a crash of the machine.
pub(super) fn append(path: &Path, entry: &Entry) -> io::Result<File> {
    let line = format!("\n{}\n", serde_json::to_string(entry)?);
    let mut file = File::options().append(true).create(true).mode(0o600).open(path)?;
    let written = file.write(line.as_bytes())?;
    if written < line.len() {
        return Err(io::Error::new(io::ErrorKind::StorageFull, "only a part could be written"));
    }
    Ok(file)
}

/// Reads at most `limit` records from `from` on; a line that has no end yet is left for later.
pub(super) fn read(path: &Path, from: u64, limit: usize) -> io::Result<Chunk> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(Chunk::default()),
        Err(why) => return Err(why),
    };
    let mut chunk = Chunk { next: from, ..Chunk::default() };
    let mut buffer = vec![0; CHUNK];
    while chunk.entries.len() < limit {
        // What was released is a hole, and is passed over.
        match seek(&file, SeekFrom::Data(chunk.next)) {
            Ok(data) => chunk.next = data,
            Err(Errno::NXIO) => break,
            Err(Errno::INVAL | Errno::OPNOTSUPP) => {}
            Err(why) => return Err(why.into()),
        }
        let length = read_at(&file, &mut buffer, chunk.next)?;
        let Some(end) = buffer[..length].iter().rposition(|&byte| byte == b'\n') else {
            if length < CHUNK {
                break;
            }
            chunk.next += length as u64;
            continue;
        };
        parse(&buffer[..=end], limit, &mut chunk);
    }
    Ok(chunk)
}

fn parse(text: &[u8], limit: usize, chunk: &mut Chunk) {
    for line in text.split_inclusive(|&byte| byte == b'\n') {
        if chunk.entries.len() == limit {
            return;
        }
        let place = chunk.next;
        chunk.next += line.len() as u64;
        // A power cut may leave zeros where a record was on its way to the disk.
        let text = line.trim_ascii();
        let zeros = text.iter().take_while(|&&byte| byte == 0).count();
        match &text[zeros..] {
            [] => {}
            text => match serde_json::from_slice(text) {
                Ok(entry) => chunk.entries.push((place, entry)),
                Err(_) => chunk.damaged += 1,
            },
        }
    }
}

fn read_at(file: &File, buffer: &mut [u8], from: u64) -> io::Result<usize> {
    let mut length = 0;
    while length < buffer.len() {
        match file.read_at(&mut buffer[length..], from + length as u64) {
            Ok(0) => break,
            Ok(count) => length += count,
            Err(why) if why.kind() == io::ErrorKind::Interrupted => {}
            Err(why) => return Err(why),
        }
    }
    Ok(length)
}

/// The end of the file; 0 if there is none.
pub(super) fn end(path: &Path) -> u64 {
    path.metadata().map_or(0, |file| file.len())
}

/// Bytes that it takes on the disk.
pub(super) fn size_on_disk(path: &Path) -> u64 {
    path.metadata().map_or(0, |file| file.blocks() * 512)
}

/// Gives the room before `to` back to the disk; places stay what they are. A file system that cannot do that keeps it.
pub(super) fn release(path: &Path, to: u64) -> io::Result<()> {
    let file = File::options().write(true).open(path)?;
    let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    tolerant(fallocate(&file, flags, 0, to))
}

/// Holds `bytes` of the disk ready behind the end of the file, so that a full disk stops no record.
pub(super) fn reserve(path: &Path, bytes: u64) -> io::Result<()> {
    let file = File::options().append(true).create(true).mode(0o600).open(path)?;
    let end = file.metadata()?.len();
    tolerant(fallocate(&file, FallocateFlags::KEEP_SIZE, end, bytes))
}

fn tolerant(result: rustix::io::Result<()>) -> io::Result<()> {
    match result {
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(()),
        other => Ok(other?),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use oa_fleet::metering::IntervalEnd;
    use oa_fleet::{IntervalId, UnitName};

    use super::*;

    pub(in super::super) fn entry(ran_ms: u64) -> Entry {
        let interval = UnitInterval {
            id: IntervalId::new(),
            unit: UnitName::new("app.service").expect("a valid name"),
            unit_hash: String::new(),
            product: None,
            generation: None,
            workflow_id: None,
            machine_id: String::new(),
            boot_id: String::new(),
            started_at_ms: 0,
            ran_ms,
            end: IntervalEnd::Running,
            cpu_ms: None,
            memory_peak_bytes: None,
        };
        Entry { interval, keeper: None }
    }

    fn append_raw(path: &Path, bytes: &[u8]) {
        let file = File::options().append(true).create(true).open(path);
        file.and_then(|mut file| file.write_all(bytes)).expect("it is written");
    }

    fn ran(chunk: &Chunk) -> Vec<u64> {
        chunk.entries.iter().map(|(_, entry)| entry.interval.ran_ms).collect()
    }

    #[test]
    fn records_are_read_in_order_and_from_any_place_on() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("records");
        assert_eq!(read(&path, 0, 10).expect("no file is no record").next, 0);
        for at in 0..5 {
            append(&path, &entry(at)).expect("it is written");
        }
        let first = read(&path, 0, 2).expect("readable");
        let rest = read(&path, first.next, 10).expect("readable");
        assert_eq!((ran(&first), ran(&rest)), (vec![0, 1], vec![2, 3, 4]));
        assert_eq!(rest.next, end(&path));
        assert!(ran(&read(&path, rest.next, 10).expect("readable")).is_empty());
    }

    #[test]
    fn what_a_crash_left_of_a_record_is_passed_over() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("records");
        append(&path, &entry(1)).expect("it is written");
        append_raw(&path, b"\n{\"interval\":{\"id\":\"0193");
        let torn = read(&path, 0, 10).expect("readable");
        assert_eq!((ran(&torn), torn.damaged), (vec![1], 0), "its end may still come");
        append(&path, &entry(2)).expect("it is written");
        append_raw(&path, &[0; 5000]);
        append(&path, &entry(3)).expect("it is written");
        let all = read(&path, torn.next, 10).expect("readable");
        assert_eq!((ran(&all), all.damaged), (vec![2, 3], 1));
    }

    #[test]
    fn what_is_released_is_gone_and_places_stay() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("records");
        for at in 0..100 {
            append(&path, &entry(at)).expect("it is written");
        }
        let half = read(&path, 0, 50).expect("readable").next;
        let (length, size) = (end(&path), size_on_disk(&path));
        release(&path, half).expect("it is released");
        assert_eq!(end(&path), length);
        assert!(size_on_disk(&path) < size, "{size}");
        assert_eq!(ran(&read(&path, 0, 1000).expect("readable")), (50..100).collect::<Vec<_>>());
        assert_eq!(ran(&read(&path, half, 1).expect("readable")), [50]);
    }

    #[test]
    fn room_behind_the_end_is_no_record() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("records");
        reserve(&path, 1 << 20).expect("there is room");
        assert_eq!(end(&path), 0);
        append(&path, &entry(7)).expect("it is written");
        assert_eq!(ran(&read(&path, 0, 10).expect("readable")), [7]);
    }
}
