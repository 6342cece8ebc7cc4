//! Unit files, as systemd and Fleet read and write them.
//!
//! What is not known is kept: this module knows the grammar, not the options. Quotes and escapes stay in the value as
//! they are written; they mean something to whoever runs the unit.
//!
//! A value that goes on over several lines keeps its backslashes and line breaks, as Fleet sends and stores it (and
//! counts them in its hash). Whoever acts on a value reads it [`joined`].
//!
//! Where systemd and Fleet read the same text differently, [`parse`] follows systemd, or refuses what Fleet would then
//! misread; so what it returns means the same to both.
//!
//! # Source
//!
//! systemd.syntax(7) and the behaviour of systemd 252; coreos/go-systemd `unit/deserialize.go` and `unit/serialize.go`,
//! which Fleet uses.

mod check;
#[cfg(test)]
mod properties;
mod reader;
mod writer;

use std::borrow::Cow;

pub use check::{InvalidOption, check};
pub use reader::{UnitFileError, parse};
pub use writer::{hash, write};

/// Longest line of a unit file, in bytes, its continuation lines counted each for itself.
pub const MAX_LINE_BYTES: usize = 2048;
/// Largest unit file, in bytes.
pub const MAX_FILE_BYTES: usize = 256 * 1024;

/// A value as systemd acts on it: its lines joined, with a blank for each backslash and line break, and none around it.
///
/// # Source
///
/// systemd.syntax(7): "Lines ending in a backslash are concatenated with the following non-comment line while reading
/// and the backslash is replaced by a space character."
#[must_use]
pub fn joined(value: &str) -> Cow<'_, str> {
    if value.contains('\n') {
        value.replace("\\\n", " ").trim().to_owned().into()
    } else {
        value.trim().into()
    }
}

/// Whether a line goes on in the next one: a `\` at its end that is not itself escaped.
fn goes_on(line: &str) -> bool {
    let rest = line.trim_end_matches('\\');
    (line.len() - rest.len()) % 2 == 1
}

/// Whether a line is a comment, within a value too.
fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with(['#', ';'])
}

#[cfg(test)]
mod tests {
    use super::joined;

    #[test]
    fn the_lines_of_a_value_are_joined_by_a_blank_each() {
        assert_eq!(joined("/bin/x -a"), "/bin/x -a");
        assert_eq!(joined("/bin/x \\\n  -a\\\n-b"), "/bin/x    -a -b");
        assert_eq!(joined("\"two \\\nwords\""), "\"two  words\"");
        assert_eq!(joined("\\\n  yes"), "yes");
    }
}
