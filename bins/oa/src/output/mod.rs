//! What a person or a program sees.
//!
//! Data goes to standard output, as a table or as the REST objects unchanged; everything else goes to standard error.

mod screen;
mod style;
mod table;
mod text;

use std::fmt::Display;
use std::io::{self, Write};

use clap::ValueEnum;
use serde::Serialize;

pub(crate) use screen::Screen;
pub(crate) use style::Style;
pub(crate) use table::Table;
pub(crate) use text::{duration, printable};

/// How data is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Columns for people; their names are those of the API.
    Table,
    /// The REST objects.
    Json,
}

/// Prints a table or, instead of it, the objects that it shows.
pub(crate) fn print(format: Format, table: &Table, objects: &impl Serialize) -> io::Result<()> {
    match format {
        Format::Table => print_text(&table.render()),
        Format::Json => print_json(objects),
    }
}

/// Prints an object as JSON.
pub(crate) fn print_json(object: &impl Serialize) -> io::Result<()> {
    let mut text = serde_json::to_string_pretty(object)?;
    text.push('\n');
    print_text(&text)
}

/// Says something beside the data. Nobody may be there to read it, which is not a failure.
pub(crate) fn say(line: impl Display) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// Prints text as it is.
pub(crate) fn print_text(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}
