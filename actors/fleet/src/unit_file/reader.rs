//! Reads unit files.

use oa_protocol::unit::UnitOption;

use super::{MAX_FILE_BYTES, MAX_LINE_BYTES, without_dangling};

/// What is wrong with a unit file, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}:{column}: {why}")]
pub struct UnitFileError {
    /// Name of the file.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong and what is allowed.
    pub why: String,
}

/// Reads the options of a unit file, in file order.
///
/// A line that ends in `\` goes on in the next one; backslash and line break stay in the value. Lines that begin with
/// `#` or `;` are comments. An empty value is kept, since systemd uses it to reset lists. Text before the first section
/// is refused, since it would be silently lost.
///
/// # Errors
///
/// [`UnitFileError`] with line and column.
pub fn parse(text: &str, file_name: &str) -> Result<Vec<UnitOption>, UnitFileError> {
    let refuse = |line: usize, column: usize, why: &str| {
        Err(UnitFileError { file: file_name.to_owned(), line, column, why: why.to_owned() })
    };
    if text.len() > MAX_FILE_BYTES {
        return refuse(
            1,
            1,
            &format!("the file has {} bytes; {MAX_FILE_BYTES} are allowed", text.len()),
        );
    }
    let lines: Vec<&str> =
        text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line)).collect();
    let mut options = Vec::new();
    let mut section: Option<String> = None;
    let mut at = 0;
    while at < lines.len() {
        let number = at + 1;
        let first = lines[at];
        let logical = match join(&lines, &mut at) {
            Ok(logical) => logical,
            Err((line, column, why)) => return refuse(line + 1, column, &why),
        };
        let trimmed = first.trim_start();
        let indent = first.chars().count() - trimmed.chars().count();
        if trimmed.is_empty() && logical.trim().is_empty() || trimmed.starts_with(['#', ';']) {
            continue;
        }
        if let Some(rest) = trimmed.strip_prefix('[') {
            match rest.trim_end().strip_suffix(']') {
                Some(name) if is_section(name) => section = Some(name.to_owned()),
                Some(_) => {
                    return refuse(
                        number,
                        indent + 2,
                        "a section has a name, without `[`, `]` and control characters",
                    );
                }
                None => {
                    return refuse(
                        number,
                        first.chars().count(),
                        "a section ends in `]`, with nothing behind it",
                    );
                }
            }
            continue;
        }
        let Some((name, value)) = logical.split_once('=') else {
            return refuse(number, indent + 1, "expected `Name=Value`, `[Section]` or a comment");
        };
        let name = name.trim();
        if name.is_empty() || name.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return refuse(
                number,
                indent + 1,
                "an option has a name without blanks before its `=`",
            );
        }
        let Some(section) = &section else {
            return refuse(
                number,
                indent + 1,
                "an option stands in a section; begin with one such as `[Service]`",
            );
        };
        options.push(UnitOption::new(section, name, without_dangling(value.trim())));
    }
    Ok(options)
}

fn is_section(name: &str) -> bool {
    !name.is_empty() && !name.chars().any(|c| c == '[' || c == ']' || c.is_control())
}

/// Takes the line at `at` and those that continue it; `Err` is the index, column and fault of one that cannot stand.
fn join(lines: &[&str], at: &mut usize) -> Result<String, (usize, usize, String)> {
    let mut logical = String::new();
    loop {
        let line = lines[*at];
        if line.len() > MAX_LINE_BYTES {
            let column =
                line.char_indices().take_while(|(place, _)| *place < MAX_LINE_BYTES).count();
            return Err((*at, column + 1, format!("a line has at most {MAX_LINE_BYTES} bytes")));
        }
        if let Some(place) = line.chars().position(|c| c.is_control() && c != '\t') {
            return Err((*at, place + 1, "control characters are not allowed".to_owned()));
        }
        logical.push_str(line);
        *at += 1;
        if !line.ends_with('\\') || *at >= lines.len() {
            return Ok(logical);
        }
        logical.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::unit_file::{hash, write};

    fn options(text: &str) -> Vec<(String, String, String)> {
        let parsed = parse(text, "app.service").expect("a valid unit file");
        parsed.into_iter().map(|o| (o.section, o.name, o.value)).collect()
    }

    fn one(section: &str, name: &str, value: &str) -> (String, String, String) {
        (section.into(), name.into(), value.into())
    }

    #[test]
    fn sections_options_and_comments_are_read_in_order() {
        let text =
            "# c\n[Unit]\n; c\nDescription = a = b \n\n[Service]\nExecStart=/bin/x\nExecStart=\n";
        assert_eq!(
            options(text),
            [
                one("Unit", "Description", "a = b"),
                one("Service", "ExecStart", "/bin/x"),
                one("Service", "ExecStart", "")
            ]
        );
    }

    #[test]
    fn a_continued_line_keeps_its_backslash_and_break() {
        assert_eq!(
            options("[Service]\nExecStart=/bin/x \\\n  -a\n"),
            [one("Service", "ExecStart", "/bin/x \\\n  -a")]
        );
    }

    #[test]
    fn a_continued_comment_swallows_its_next_line() {
        assert_eq!(
            options("[Service]\n# x \\\nExecStart=/bin/no\nExecStart=/bin/yes\n"),
            [one("Service", "ExecStart", "/bin/yes")]
        );
    }

    #[test]
    fn a_backslash_before_the_end_joins_nothing() {
        assert_eq!(
            options("[Service]\nA=x \\\n\nB=y \\"),
            [one("Service", "A", "x"), one("Service", "B", "y")]
        );
    }

    #[test]
    fn mistakes_are_named_with_line_and_column() {
        let long = format!("[Service]\nA={}\n", "x".repeat(MAX_LINE_BYTES));
        let cases = [
            ("[Service]\nnonsense\n", 2, "Name=Value"),
            ("[Service\n", 1, "]"),
            ("[Service] x\n", 1, "nothing behind"),
            ("A=1\n", 1, "section"),
            ("[Service]\n=1\n", 2, "name"),
            ("[Service]\nA\u{7}=1\n", 2, "control"),
            ("[Service]\nA=x \\\n\0\n", 3, "control"),
            (long.as_str(), 2, "bytes"),
        ];
        for (text, line, words) in cases {
            let why = parse(text, "app.service").expect_err(words);
            assert_eq!((why.file.as_str(), why.line), ("app.service", line), "{why}");
            assert!(why.column > 0 && why.to_string().contains(words), "{why}");
        }
    }

    #[test]
    fn the_hash_is_that_of_the_written_file() {
        // `printf '[Service]\nExecStart=/bin/true\n' | sha1sum`
        let options = [UnitOption::new("Service", "ExecStart", "/bin/true")];
        assert_eq!(hash(&options), "86943ac9f3754cb90f8dd38bf6da7b0cad074592");
        assert_eq!(write(&options), "[Service]\nExecStart=/bin/true\n");
    }

    fn any_option() -> impl Strategy<Value = UnitOption> {
        let section = prop::sample::select(vec!["Unit", "Service", "X-Fleet", "Install"]);
        let name = "[A-Za-z][A-Za-z0-9-]{0,12}";
        let value = "([!-\\[\\]-~]([ -\\[\\]-~]{0,30}[!-\\[\\]-~])?)?";
        (section, name, value)
            .prop_map(|(section, name, value)| UnitOption::new(section, name, value))
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(options in prop::collection::vec(any_option(), 0..20)) {
            let mut grouped: Vec<UnitOption> = Vec::new();
            let mut sections: Vec<String> = Vec::new();
            for option in &options {
                if !sections.contains(&option.section) { sections.push(option.section.clone()); }
            }
            for section in &sections {
                grouped.extend(options.iter().filter(|o| &o.section == section).cloned());
            }
            prop_assert_eq!(parse(&write(&options), "x.service").expect("written files are valid"), grouped);
        }

        #[test]
        fn no_value_adds_or_swallows_an_option(value in "[a=\\[\\]#; \\\\\n]{0,20}", name in "[A-Za-z]{1,5}") {
            let wild = [UnitOption::new("Service", &name, &value), UnitOption::new("Service", "Last", "x")];
            let read = parse(&write(&wild), "x.service").expect("written files are valid");
            prop_assert_eq!(read.len(), 2);
            prop_assert_eq!((&read[0].name, &read[1]), (&name, &wild[1]));
            if crate::unit_file::check(&wild).is_ok() {
                prop_assert_eq!(&read[0].value, value.trim());
            }
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in "\\PC*|[\\[\\]=\\\\#;a\n ]*") {
            let _either = parse(&text, "x.service");
        }
    }
}
