//! The output of a unit: bounded, and addressed by offsets that never move.
//!
//! ```text
//! output/<unit>/<offset of its first byte>   at most two files; the older one goes when the newer is half the limit
//! ```
//!
//! What a unit prints beyond its rate, or while the disk is full, is left out and counted; the output says so itself.

mod collector;
mod limit;
mod state;
mod store;
mod writer;

pub(crate) use collector::collect;
pub(crate) use state::{OutputMeter, OutputState};
pub(crate) use writer::OutputWriter;

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use oa_fleet::unit::LogPage;

/// Most bytes that one page holds.
const PAGE_BYTES: u64 = 256 * 1024;

/// The segments of an output, oldest first: offset and length of each.
fn segments(directory: &Path) -> io::Result<Vec<(u64, u64)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)?.flatten() {
        let base = entry.file_name().to_str().and_then(|name| name.parse::<u64>().ok());
        if let (Some(base), Ok(metadata)) = (base, entry.metadata()) {
            found.push((base, metadata.len()));
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// Where the output ends now.
pub(crate) fn end(directory: &Path) -> u64 {
    let known = segments(directory).unwrap_or_default();
    known.last().map_or(0, |(base, length)| base + length)
}

/// What came after `after`; the next page after that goes on where this one ends.
pub(crate) fn read_after(directory: &Path, after: u64) -> io::Result<LogPage> {
    let (oldest, bytes) = read(directory, after)?;
    // Nothing lies behind the end: the place is from an output that is lost, and following begins anew.
    let after = after.min(end(directory));
    let from = after.max(oldest);
    let whole = whole_characters(&bytes);
    let text = String::from_utf8_lossy(&bytes[..whole]).into_owned();
    Ok(LogPage { text, next: from + whole as u64, dropped: from - after })
}

/// The last `lines` lines.
pub(crate) fn read_last(directory: &Path, lines: u32) -> io::Result<LogPage> {
    let mut page = read_after(directory, end(directory).saturating_sub(PAGE_BYTES))?;
    let keep = page.text.lines().count().saturating_sub(lines as usize);
    page.text = page.text.split_inclusive('\n').skip(keep).collect();
    page.dropped = 0;
    Ok(page)
}

/// Up to a page of bytes from `after`, or from the oldest that is kept, whose place is returned.
///
/// The keeper may drop a segment between the listing and the reading; then the next listing tells.
fn read(directory: &Path, after: u64) -> io::Result<(u64, Vec<u8>)> {
    loop {
        let known = match segments(directory) {
            Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok((0, Vec::new())),
            known => known?,
        };
        let oldest = known.first().map_or(0, |(base, _)| *base);
        match read_segments(directory, &known, after.max(oldest)) {
            Err(why) if why.kind() == io::ErrorKind::NotFound => {}
            bytes => return Ok((oldest, bytes?)),
        }
    }
}

fn read_segments(directory: &Path, known: &[(u64, u64)], from: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for (base, length) in known {
        let at = from + bytes.len() as u64;
        if at >= *base && at < base + length {
            let mut file = File::open(directory.join(base.to_string()))?;
            file.seek(SeekFrom::Start(at - base))?;
            let room = PAGE_BYTES - bytes.len() as u64;
            file.take(room.min(base + length - at)).read_to_end(&mut bytes)?;
        }
    }
    Ok(bytes)
}

/// The length of `bytes` without a character that is cut off at the end; the next page brings it whole.
fn whole_characters(bytes: &[u8]) -> usize {
    match std::str::from_utf8(bytes) {
        Ok(_) => bytes.len(),
        Err(_) => {
            // A character has at most four bytes, so an unfinished one is among the last three.
            let tail = bytes.len().saturating_sub(3);
            let cut = (tail..bytes.len()).find(|&at| {
                std::str::from_utf8(&bytes[at..])
                    .is_err_and(|why| why.valid_up_to() == 0 && why.error_len().is_none())
            });
            cut.unwrap_or(bytes.len())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::store::Store;
    use super::*;

    fn append(store: &mut Store, bytes: &[u8]) {
        let (written, result) = store.append(bytes);
        result.expect("it is written");
        assert_eq!(written, bytes.len());
    }

    #[test]
    fn output_is_bounded_and_offsets_never_move() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let mut writer = Store::new(directory.path(), 1000);
        for number in 0..150_u32 {
            append(&mut writer, format!("line {number:04}\n").as_bytes());
        }

        let kept: u64 =
            segments(directory.path()).expect("segments").iter().map(|(_, length)| length).sum();
        assert!(kept <= 1000, "{kept} bytes are kept");
        let page = read_after(directory.path(), 0).expect("a page");
        assert_eq!(page.next, 1500);
        assert!(page.dropped > 0 && page.text.ends_with("line 0149\n"));
        assert_eq!(read_after(directory.path(), 1490).expect("a page").text, "line 0149\n");
    }

    #[test]
    fn a_character_is_never_cut_in_two() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let mut writer = Store::new(directory.path(), 10_000);
        let euro = "€".as_bytes();
        append(&mut writer, b"\xff");
        append(&mut writer, &euro[..2]);

        let first = read_after(directory.path(), 0).expect("a page");
        assert_eq!((first.text.as_str(), first.next), ("\u{fffd}", 1));
        append(&mut writer, &euro[2..]);
        assert_eq!(read_after(directory.path(), first.next).expect("a page").text, "€");
    }

    #[test]
    fn a_place_behind_the_end_leads_back_to_the_end() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        assert_eq!(read_after(directory.path(), 500).expect("a page"), LogPage::default());
        let mut writer = Store::new(directory.path(), 10_000);
        append(&mut writer, b"a\n");
        let page = read_after(directory.path(), 500).expect("a page");
        assert_eq!((page.text.as_str(), page.next, page.dropped), ("", 2, 0));
    }

    #[test]
    fn the_last_lines_are_the_last_lines() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let mut writer = Store::new(directory.path(), 10_000);
        append(&mut writer, b"a\nb\nc\n");

        assert_eq!(read_last(directory.path(), 2).expect("a page").text, "b\nc\n");
    }

    #[test]
    fn a_new_writer_goes_on_where_the_last_one_ended() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        append(&mut Store::new(directory.path(), 100), b"a\n");
        append(&mut Store::new(directory.path(), 100), b"b\n");

        assert_eq!(read_after(directory.path(), 0).expect("a page").text, "a\nb\n");
    }
}
