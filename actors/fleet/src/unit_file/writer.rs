//! Writes unit files.

use std::collections::HashMap;

use oa_protocol::unit::UnitOption;
use sha1::{Digest, Sha1};

use super::check::value_fault;

/// Writes options as a unit file: sections in order of first appearance, options in the given order inside, an empty
/// line between sections.
///
/// What [`super::check`] accepts is written as it is. Of anything else, too, one option stays one option: a value that
/// is none is written as one line, and what cannot stand in the name of an option or section is left out of it.
///
/// # Source
///
/// coreos/go-systemd, `unit/serialize.go`.
#[must_use]
pub fn write(options: &[UnitOption]) -> String {
    let mut sections: Vec<&str> = Vec::new();
    let mut members: HashMap<&str, Vec<&UnitOption>> = HashMap::new();
    for option in options {
        let of_section = members.entry(&option.section).or_insert_with(|| {
            sections.push(&option.section);
            Vec::new()
        });
        of_section.push(option);
    }
    let mut text = String::new();
    for (at, section) in sections.iter().enumerate() {
        if at > 0 {
            text.push('\n');
        }
        text.push('[');
        text.extend(section.chars().filter(|c| !c.is_control() && !"[]".contains(*c)));
        text.push_str("]\n");
        for option in &members[section] {
            let name = option.name.trim_start_matches(['[', '#', ';']);
            let fine = |c: &char| !c.is_control() && !c.is_whitespace() && *c != '=';
            text.extend(name.chars().filter(fine));
            text.push('=');
            push_value(&mut text, &option.value);
            text.push('\n');
        }
    }
    text
}

fn push_value(text: &mut String, value: &str) {
    if value_fault(value).is_none() {
        text.push_str(value);
        return;
    }
    let value = value.trim_end_matches(|c: char| c == '\\' || c.is_whitespace() || c.is_control());
    text.extend(value.chars().map(|c| if c.is_control() && c != '\t' { ' ' } else { c }));
}

/// The hash by which Fleet tells two contents of a unit apart: SHA-1 of the written file, in lower-case hex.
#[must_use]
pub fn hash(options: &[UnitOption]) -> String {
    Sha1::digest(write(options).as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_that_of_the_written_file() {
        // `printf '[Service]\nExecStart=/bin/true\n' | sha1sum`
        let options = [UnitOption::new("Service", "ExecStart", "/bin/true")];
        assert_eq!(hash(&options), "86943ac9f3754cb90f8dd38bf6da7b0cad074592");
        assert_eq!(write(&options), "[Service]\nExecStart=/bin/true\n");
    }

    #[test]
    fn sections_are_gathered_in_order_of_first_appearance() {
        let options = [("B", "1"), ("A", "2"), ("B", "3")]
            .map(|(section, value)| UnitOption::new(section, "X", value));
        assert_eq!(write(&options), "[B]\nX=1\nX=3\n\n[A]\nX=2\n");
    }
}
