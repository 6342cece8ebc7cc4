//! How each option is read: a table a topic.
//!
//! An option that is not in a table is refused: by its reason if systemd knows it, else with the names that are near.
//! `docs/units.md` shows the tables; a test compares.

mod commands;
mod environment;
mod kill;
mod kind;
mod limits;
mod process;
mod timing;
mod unsupported;

use super::draft::Draft;

/// Why an option is refused; whoever calls knows its name.
pub(super) struct Refused(pub(super) String);

/// An option and how it is read.
struct Known {
    name: &'static str,
    read: fn(&mut Draft<'_>, &str) -> Result<(), String>,
}

const fn known(name: &'static str, read: fn(&mut Draft<'_>, &str) -> Result<(), String>) -> Known {
    Known { name, read }
}

const TABLES: &[&[Known]] = &[
    commands::OPTIONS,
    kind::OPTIONS,
    environment::OPTIONS,
    process::OPTIONS,
    timing::OPTIONS,
    kill::OPTIONS,
    limits::OPTIONS,
];

/// Options of `[Unit]` that this host follows, or that only say something.
const UNIT_SECTION: &[&str] = &[
    "Description",
    "Documentation",
    "SourcePath",
    "Requires",
    "BindsTo",
    "Wants",
    "After",
    "Before",
    "StartLimitBurst",
    "StartLimitInterval",
    "StartLimitIntervalSec",
];

fn names() -> impl Iterator<Item = &'static str> {
    TABLES.iter().flat_map(|table| table.iter()).map(|option| option.name)
}

/// Reads one option of `[Service]` into the draft.
pub(super) fn read(draft: &mut Draft<'_>, name: &str, value: &str) -> Result<(), Refused> {
    if name.starts_with("X-") {
        return Ok(());
    }
    let option = TABLES.iter().flat_map(|table| table.iter()).find(|option| option.name == name);
    match option {
        Some(option) => (option.read)(draft, value).map_err(Refused),
        None => Err(Refused(unsupported::why(name, names()))),
    }
}

/// Refuses what a `[Unit]` section asks for and this host does not do.
pub(super) fn check_unit_section(name: &str) -> Result<(), Refused> {
    if name.starts_with("X-") || UNIT_SECTION.contains(&name) {
        return Ok(());
    }
    Err(Refused(unsupported::why(name, UNIT_SECTION.iter().copied())))
}

/// One of the words of a table.
fn one_of<T: Copy>(value: &str, known: &[(&str, T)]) -> Result<T, String> {
    let found = known.iter().find(|(word, _)| *word == value).map(|(_, meaning)| *meaning);
    found.ok_or_else(|| {
        let words: Vec<&str> = known.iter().map(|(word, _)| *word).collect();
        format!("`{value}` is not supported; use one of {}", words.join(", "))
    })
}

fn boolean(value: &str) -> Result<bool, String> {
    match value.to_ascii_lowercase().as_str() {
        "yes" | "y" | "true" | "t" | "on" | "1" => Ok(true),
        "no" | "n" | "false" | "f" | "off" | "0" => Ok(false),
        _ => Err(format!("`{value}` is neither yes nor no")),
    }
}

fn absolute(path: &str) -> Result<&str, String> {
    let fine = path.starts_with('/') && !path.split('/').any(|part| part == "..");
    fine.then_some(path).ok_or_else(|| format!("`{path}` is no absolute path without `..`"))
}

/// A value that changes nothing here, but must be one that systemd takes.
fn without_effect(_: &mut Draft<'_>, _: &str) -> Result<(), String> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The first column of the table below `heading` in the documentation, a cell with several names taken apart.
    fn documented(heading: &str) -> BTreeSet<String> {
        let page = include_str!("../../../../../docs/units.md");
        let part = page.split(heading).nth(1).expect(heading);
        let part = part.split("\n## ").next().unwrap_or_default();
        let rows = part.lines().filter_map(|line| line.strip_prefix("| `")?.split(" | ").next());
        rows.flat_map(|cell| cell.split(['`', ',', ' ']).map(str::to_owned))
            .filter(|name| !name.is_empty())
            .collect()
    }

    fn set<'a>(names: impl Iterator<Item = &'a str>) -> BTreeSet<String> {
        names.map(str::to_owned).collect()
    }

    #[test]
    fn the_documentation_lists_exactly_what_is_read() {
        assert_eq!(documented("\n## Options of [Service]"), set(names()));
        assert_eq!(documented("\n## Options of [Unit]"), set(UNIT_SECTION.iter().copied()));
    }

    #[test]
    fn the_documentation_lists_exactly_what_is_refused() {
        assert_eq!(documented("\n## What is refused"), set(unsupported::names()));
    }

    #[test]
    fn an_option_stands_in_one_table_only() {
        let mut seen = BTreeSet::new();
        for name in names().chain(unsupported::names()) {
            assert!(seen.insert(name), "{name}");
        }
    }
}
