//! Writes unit files.

use oa_protocol::unit::UnitOption;
use sha1::{Digest, Sha1};

/// Writes options as a unit file: sections in order of first appearance, options in the given order inside, an empty
/// line between sections.
///
/// One option stays one option: a line break in a value becomes a continuation, a `\` that would join the value with
/// the next option is left out, and what cannot stand in the name of an option or section is left out of it. What
/// [`super::check`] accepts is written as it is.
///
/// # Source
///
/// coreos/go-systemd, `unit/serialize.go`.
#[must_use]
pub fn write(options: &[UnitOption]) -> String {
    let mut sections: Vec<&str> = Vec::new();
    for option in options {
        if !sections.contains(&option.section.as_str()) {
            sections.push(&option.section);
        }
    }
    let mut text = String::new();
    for (at, section) in sections.iter().enumerate() {
        if at > 0 {
            text.push('\n');
        }
        text.push('[');
        text.extend(section.chars().filter(|c| !c.is_control() && !"[]".contains(*c)));
        text.push_str("]\n");
        for option in options.iter().filter(|option| option.section == *section) {
            text.extend(option.name.chars().filter(|c| !c.is_control() && *c != '='));
            text.push('=');
            push_value(&mut text, &option.value);
            text.push('\n');
        }
    }
    text
}

fn push_value(text: &mut String, value: &str) {
    let value = super::without_dangling(value);
    for (at, line) in value.split('\n').enumerate() {
        if at > 0 {
            if !text.ends_with('\\') {
                text.push('\\');
            }
            text.push('\n');
        }
        text.push_str(line);
    }
}

/// The hash by which Fleet tells two contents of a unit apart: SHA-1 of the written file, in lower-case hex.
#[must_use]
pub fn hash(options: &[UnitOption]) -> String {
    Sha1::digest(write(options).as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}
