//! Tells whether options can be written as a unit file and read back.

use oa_protocol::unit::UnitOption;

use super::{MAX_FILE_BYTES, MAX_LINE_BYTES};

/// An option that cannot stand in a unit file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the option `{option}` cannot stand in a unit file: {why}")]
pub struct InvalidOption {
    /// Section and name, such as `[Service] ExecStart`.
    pub option: String,
    /// What is wrong and what is allowed.
    pub why: String,
}

/// Checks that each option is exactly one option of the file that [`super::write`] makes.
///
/// A Fleet server writes values as they are: one with a bare line break would add a line of its own, such as
/// `User=root`.
///
/// # Errors
///
/// [`InvalidOption`] for the first option that is not.
pub fn check(options: &[UnitOption]) -> Result<(), InvalidOption> {
    let mut size_bytes = 0;
    for option in options {
        let refuse = |why: String| Err(InvalidOption { option: label(option), why });
        if let Some(why) = section_fault(&option.section).or_else(|| name_fault(&option.name)) {
            return refuse(why.to_owned());
        }
        if let Some(why) = value_fault(&option.value) {
            return refuse(why.to_owned());
        }
        let first = option.name.len() + 1;
        let too_long = |(at, line): (usize, &str)| {
            line.len() + if at == 0 { first } else { 0 } > MAX_LINE_BYTES
        };
        if option.value.split('\n').enumerate().any(too_long) {
            return refuse(format!("line too long (max {MAX_LINE_BYTES} bytes)"));
        }
        size_bytes += first + option.value.len() + 1;
        if size_bytes > MAX_FILE_BYTES {
            return refuse(format!(
                "the options before it fill the {MAX_FILE_BYTES} bytes that a unit file may have"
            ));
        }
    }
    Ok(())
}

fn label(option: &UnitOption) -> String {
    let cut = |text: &str| text.chars().take(80).flat_map(char::escape_debug).collect::<String>();
    format!("[{}] {}", cut(&option.section), cut(&option.name))
}

fn section_fault(section: &str) -> Option<&'static str> {
    let fine = !section.is_empty() && !section.chars().any(|c| c.is_control() || "[]".contains(c));
    (!fine).then_some("its section must be named, without `[`, `]` and control characters")
}

fn name_fault(name: &str) -> Option<&'static str> {
    let fine = !name.is_empty()
        && !name.starts_with(['[', '#', ';'])
        && !name.chars().any(|c| c.is_control() || c.is_whitespace() || c == '=');
    (!fine).then_some("it must have a name, without blanks, `=` and control characters, that begins with none of `[#;`")
}

fn value_fault(value: &str) -> Option<&'static str> {
    if value.chars().any(|c| c.is_control() && c != '\t' && c != '\n') {
        return Some("its value has control characters; only tabs and continued lines are allowed");
    }
    if value.split('\n').rev().skip(1).any(|line| !line.ends_with('\\')) {
        return Some("its value has a line break; a line that goes on ends in `\\`");
    }
    if value.trim_end().ends_with('\\') {
        return Some("its value ends in `\\`, which would join it with the next line");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unit_file::{parse, write};

    fn fault(section: &str, name: &str, value: &str) -> Option<String> {
        check(&[UnitOption::new(section, name, value)]).err().map(|fault| fault.to_string())
    }

    #[test]
    fn what_a_unit_file_may_hold_is_accepted() {
        for value in ["", "/bin/x -a", "a = b", "/bin/x \\\n  -a", "# no comment", "é"] {
            assert_eq!(fault("Service", "ExecStart", value), None, "{value}");
        }
    }

    #[test]
    fn what_would_add_or_swallow_a_line_is_refused_by_name() {
        let long = "x".repeat(MAX_LINE_BYTES);
        let cases = [
            ("Service", "ExecStart", "/bin/true\nUser=root", "line break"),
            ("Service", "ExecStart", "/bin/true \\", "join"),
            ("Service", "ExecStart", "/bin/true \\\n", "join"),
            ("Service", "ExecStart", "a\0b", "control"),
            ("Service", "ExecStart", "a\rb", "control"),
            ("Service", "ExecStart", long.as_str(), "too long"),
            ("Service", "", "x", "name"),
            ("Service", "A=B", "x", "name"),
            ("Service", "#A", "x", "name"),
            ("", "A", "x", "section"),
            ("Service]\n[X", "A", "x", "section"),
        ];
        for (section, name, value, words) in cases {
            let why = fault(section, name, value).unwrap_or_default();
            assert!(why.contains(words), "{section:?} {name:?} {value:?}: {why}");
        }
    }

    #[test]
    fn a_checked_option_with_a_continuation_reads_back() {
        let options = [
            UnitOption::new("Service", "ExecStart", "/bin/x \\\n  -a"),
            UnitOption::new("Service", "User", "app"),
        ];
        check(&options).expect("fine options");
        assert_eq!(parse(&write(&options), "x.service").expect("a valid file"), options);
    }
}
