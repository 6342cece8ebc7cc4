//! Unit files, as systemd and Fleet read and write them.
//!
//! What is not known is kept: this module knows the grammar, not the options.
//!
//! # Source
//!
//! coreos/go-systemd `unit/deserialize.go` and `unit/serialize.go`, which Fleet uses; systemd.syntax(7).

mod check;
mod reader;
mod writer;

pub use check::{InvalidOption, check};
pub use reader::{UnitFileError, parse};
pub use writer::{hash, write};

/// Longest line of a unit file, in bytes, its continuation lines counted each for itself.
pub const MAX_LINE_BYTES: usize = 2048;
/// Largest unit file, in bytes.
pub const MAX_FILE_BYTES: usize = 256 * 1024;

/// The value without what would join it with the next line: a `\` at its end.
fn without_dangling(value: &str) -> &str {
    let end = value.trim_end();
    if end.ends_with('\\') {
        end.trim_end_matches(|c: char| c == '\\' || c.is_whitespace())
    } else {
        value
    }
}
