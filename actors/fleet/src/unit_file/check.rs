//! Tells whether options can be written as a unit file and read back.

use oa_protocol::unit::UnitOption;

use super::{MAX_FILE_BYTES, MAX_LINE_BYTES, goes_on, is_comment};

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
    for option in options {
        let fault = section_fault(&option.section)
            .or_else(|| name_fault(&option.name))
            .or_else(|| value_fault(&option.value))
            .map(str::to_owned)
            .or_else(|| length_fault(option));
        if let Some(why) = fault {
            return Err(InvalidOption { option: label(option), why });
        }
    }
    match options.last() {
        Some(last) if super::write(options).len() > MAX_FILE_BYTES => Err(InvalidOption {
            option: label(last),
            why: format!("with it the file has more than {MAX_FILE_BYTES} bytes"),
        }),
        _ => Ok(()),
    }
}

fn length_fault(option: &UnitOption) -> Option<String> {
    let first = option.name.len() + 1;
    let mut lines = option.value.split('\n').enumerate();
    lines
        .any(|(at, line)| line.len() + if at == 0 { first } else { 0 } > MAX_LINE_BYTES)
        .then(|| format!("line too long (max {MAX_LINE_BYTES} bytes)"))
}

fn label(option: &UnitOption) -> String {
    let cut = |text: &str| text.chars().take(80).flat_map(char::escape_debug).collect::<String>();
    format!("[{}] {}", cut(&option.section), cut(&option.name))
}

pub(super) fn section_fault(section: &str) -> Option<&'static str> {
    let fine = !section.is_empty() && !section.chars().any(|c| c.is_control() || "[]".contains(c));
    (!fine).then_some("a section has a name, without `[`, `]` and control characters")
}

pub(super) fn name_fault(name: &str) -> Option<&'static str> {
    let fine = !name.is_empty()
        && !name.starts_with(['[', '#', ';'])
        && !name.chars().any(|c| c.is_control() || c.is_whitespace() || c == '=');
    (!fine).then_some("an option has a name, without blanks, `=` and control characters, that begins with none of `[#;`")
}

pub(super) fn value_fault(value: &str) -> Option<&'static str> {
    if value.chars().any(|c| c.is_control() && c != '\t' && c != '\n') {
        return Some("its value has control characters; only tabs and continued lines are allowed");
    }
    if value.split('\n').rev().skip(1).any(|line| !goes_on(line)) {
        return Some("its value has a line break; a line that goes on ends in one `\\`");
    }
    if value.trim_end().ends_with('\\') {
        return Some("its value ends in `\\`, which would join it with the next line");
    }
    if value.split('\n').skip(1).any(is_comment) {
        return Some("a line of its value begins with `#` or `;`, which makes it a comment");
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
            ("Service", "ExecStart", "/bin/true \\\\\n-a", "line break"),
            ("Service", "ExecStart", "/bin/true \\\n # -a", "comment"),
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
    fn a_file_with_too_much_is_refused() {
        let line = UnitOption::new("Service", "ExecStartPre", "x".repeat(1000));
        let why = check(&vec![line; 300]).expect_err("300 kB");
        assert!(why.to_string().contains("more than"), "{why}");
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
