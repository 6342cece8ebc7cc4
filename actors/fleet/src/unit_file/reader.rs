//! Reads unit files.

use oa_protocol::unit::UnitOption;

use super::check::{name_fault, section_fault};
use super::{MAX_FILE_BYTES, MAX_LINE_BYTES, goes_on, is_comment, writer};

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
/// - A line that ends in `\` goes on in the next one that is no comment; backslash and line break stay in the value. A
///   `\` with nothing behind it is left out.
/// - Lines that begin with `#` or `;` are comments, also between the lines of a value. A comment ends with its line.
/// - An empty value is kept, since systemd uses it to reset lists; so are repeated and unknown options and sections.
/// - Lines may end in `\r\n`; a byte order mark at the beginning is skipped.
///
/// Refused is what systemd would skip with a warning or Fleet read otherwise: text outside of a section, a line without
/// `=`, a value that ends in an escaped `\`.
///
/// # Errors
///
/// [`UnitFileError`] with line and column.
pub fn parse(text: &str, file_name: &str) -> Result<Vec<UnitOption>, UnitFileError> {
    read(text).map_err(|Fault { line, column, why }| UnitFileError {
        file: file_name.to_owned(),
        line,
        column,
        why,
    })
}

struct Fault {
    line: usize,
    column: usize,
    why: String,
}

fn read(text: &str) -> Result<Vec<UnitOption>, Fault> {
    let too_large = |line, size_bytes| Fault {
        line,
        column: 1,
        why: format!("the file has {size_bytes} bytes; {MAX_FILE_BYTES} are allowed"),
    };
    if text.len() > MAX_FILE_BYTES {
        return Err(too_large(1, text.len()));
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let lines = text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
    let mut lines = lines.zip(1..).map(|(text, number)| Line { number, text }.checked());
    let mut options = Vec::new();
    let mut section: Option<&str> = None;
    while let Some(line) = lines.next().transpose()? {
        let start = line.text.trim_start();
        if start.is_empty() || is_comment(start) {
            continue;
        }
        if start.starts_with('[') {
            section = Some(line.section()?);
            continue;
        }
        let (name, value_at) = line.name()?;
        let Some(section) = section else {
            let why = "an option stands in a section; begin with one such as `[Service]`";
            return Err(line.fault(line.indent(), why));
        };
        options.push(UnitOption::new(section, name, value(line, value_at, &mut lines)?));
    }
    // The empty line between two sections, and the one that ends the last line, may be missing in what was read.
    let size_bytes = writer::write(&options).len();
    if size_bytes > MAX_FILE_BYTES {
        return Err(too_large(1, size_bytes));
    }
    Ok(options)
}

#[derive(Clone, Copy)]
struct Line<'a> {
    number: usize,
    text: &'a str,
}

impl<'a> Line<'a> {
    /// This line, unless no line may be so.
    fn checked(self) -> Result<Self, Fault> {
        if self.text.len() > MAX_LINE_BYTES {
            let at = self.text.floor_char_boundary(MAX_LINE_BYTES);
            return Err(self.fault(at, format!("a line has at most {MAX_LINE_BYTES} bytes")));
        }
        match self.text.find(|c: char| c.is_control() && c != '\t') {
            Some(at) => Err(self.fault(at, "control characters are not allowed")),
            None => Ok(self),
        }
    }

    /// What is wrong at a byte of this line.
    fn fault(&self, at: usize, why: impl Into<String>) -> Fault {
        let column = self.text[..at].chars().count() + 1;
        Fault { line: self.number, column, why: why.into() }
    }

    fn indent(&self) -> usize {
        self.text.len() - self.text.trim_start().len()
    }

    /// The name of the section that this line begins.
    fn section(&self) -> Result<&'a str, Fault> {
        let name_at = self.indent() + 1;
        let Some(length) = self.text[name_at..].find(']') else {
            return Err(self.fault(self.text.trim_end().len(), "a section ends in `]`"));
        };
        let end = name_at + length;
        let behind = &self.text[end + 1..];
        if !behind.trim().is_empty() {
            let at = end + 1 + behind.len() - behind.trim_start().len();
            return Err(self.fault(at, "a section ends in `]`, with nothing behind it"));
        }
        let name = &self.text[name_at..end];
        match section_fault(name) {
            Some(why) => Err(self.fault(name_at + name.find('[').unwrap_or(0), why)),
            None => Ok(name),
        }
    }

    /// The name of the option that this line begins, and where its value begins.
    fn name(&self) -> Result<(&'a str, usize), Fault> {
        let indent = self.indent();
        let Some(equals) = self.text.find('=') else {
            return Err(self.fault(indent, "expected `Name=Value`, `[Section]` or a comment"));
        };
        let name = self.text[..equals].trim();
        match name_fault(name) {
            Some(why) => {
                let at = name.find(char::is_whitespace).unwrap_or(0);
                Err(self.fault(indent + at, why))
            }
            None => Ok((name, equals + 1)),
        }
    }
}

/// The value that begins at a byte of `line`, with the lines that it goes on in.
fn value<'a>(
    line: Line<'a>,
    at: usize,
    lines: &mut impl Iterator<Item = Result<Line<'a>, Fault>>,
) -> Result<String, Fault> {
    // Line by line, without the `\` that leads to the next; and where each of them begins.
    let mut pieces: Vec<(Line<'a>, usize, &'a str)> = Vec::new();
    let mut next = Some((line, at));
    while let Some((line, at)) = next.take() {
        let text = &line.text[at..];
        if !goes_on(text) {
            pieces.push((line, at, text));
            break;
        }
        pieces.push((line, at, &text[..text.len() - 1]));
        for line in lines.by_ref() {
            let line = line?;
            if !is_comment(line.text) {
                next = Some((line, 0));
                break;
            }
        }
    }
    while pieces.len() > 1 && pieces.last().is_some_and(|(_, _, text)| text.trim().is_empty()) {
        pieces.pop();
    }
    if let Some((line, at, text)) = pieces.last()
        && text.trim_end().ends_with('\\')
    {
        let why =
            "a value cannot end in `\\`: systemd ends it here, Fleet goes on in the next line";
        return Err(line.fault(at + text.trim_end().len() - 1, why));
    }
    let texts: Vec<&str> = pieces.iter().map(|(_, _, text)| *text).collect();
    Ok(texts.join("\\\n").trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(text: &str) -> Vec<(String, String, String)> {
        let parsed = parse(text, "app.service").unwrap_or_else(|why| panic!("{text:?}: {why}"));
        parsed.into_iter().map(|o| (o.section, o.name, o.value)).collect()
    }

    fn one(section: &str, name: &str, value: &str) -> (String, String, String) {
        (section.into(), name.into(), value.into())
    }

    /// The value of the only option of a text.
    fn value_of(text: &str) -> String {
        let mut options = options(&format!("[Service]\n{text}"));
        assert_eq!(options.len(), 1, "{text:?}: {options:?}");
        options.remove(0).2
    }

    #[test]
    fn sections_options_and_comments_are_read_in_order() {
        let text = "# c\n[Unit]\n; c\nDescription = a = b \n\n[X-Mine]\nAny-thing=1\n[Service]\nExecStart=/bin/x\n\
                    ExecStart=\nExecStart=/bin/x\n  [Unit]  \n  After=y";
        assert_eq!(
            options(text),
            [
                one("Unit", "Description", "a = b"),
                one("X-Mine", "Any-thing", "1"),
                one("Service", "ExecStart", "/bin/x"),
                one("Service", "ExecStart", ""),
                one("Service", "ExecStart", "/bin/x"),
                one("Unit", "After", "y"),
            ]
        );
    }

    #[test]
    fn a_continued_line_keeps_its_backslash_and_break() {
        assert_eq!(value_of("ExecStart=/bin/x \\\n  -a\n"), "/bin/x \\\n  -a");
        assert_eq!(value_of("ExecStart=\\\n/bin/x \\\n\\\n -a"), "\\\n/bin/x \\\n\\\n -a");
    }

    #[test]
    fn comments_between_the_lines_of_a_value_are_left_out() {
        assert_eq!(value_of("ExecStart=/bin/x \\\n# why \\\n  ; and so\n  -a"), "/bin/x \\\n  -a");
        assert_eq!(value_of("ExecStart=/bin/x \\\n# at the end"), "/bin/x");
        assert_eq!(value_of("ExecStart=# no comment"), "# no comment");
    }

    #[test]
    fn a_comment_ends_with_its_line() {
        assert_eq!(value_of("# x \\\nExecStart=/bin/yes\n"), "/bin/yes");
    }

    #[test]
    fn a_backslash_before_the_end_or_an_empty_line_joins_nothing() {
        assert_eq!(
            options("[Service]\nA=x \\\n\nB=y \\\n  \\\n \nC=z \\"),
            [one("Service", "A", "x"), one("Service", "B", "y"), one("Service", "C", "z")]
        );
    }

    #[test]
    fn only_a_backslash_that_is_not_escaped_goes_on() {
        assert_eq!(value_of("A=x\\\\\\\n y"), "x\\\\\\\n y");
        for text in
            ["[S]\nA=\u{e9}\\\\\nB=y", "[S]\nA=\u{e9}\\ \nB=y", "[S]\nA=\u{e9}\\\\\\\n\nB=y"]
        {
            let why = parse(text, "a.service").expect_err(text);
            assert_eq!(why.line, 2, "{why}");
            assert!(why.to_string().contains("cannot end"), "{why}");
        }
    }

    #[test]
    fn line_ends_and_byte_order_marks_of_other_systems_are_read() {
        assert_eq!(
            options("\u{feff}[Service]\r\nExecStart=/bin/x \\\r\n  -a\r\n\r\nUser=app\r\n"),
            [one("Service", "ExecStart", "/bin/x \\\n  -a"), one("Service", "User", "app")]
        );
    }

    #[test]
    fn quotes_and_escapes_stay_as_they_are() {
        let line = "/bin/x \"a b\" 'c' \\x41 \\n \\\" %% $$A ${B} ; y";
        assert_eq!(value_of(&format!("ExecStart={line}")), line);
    }

    #[test]
    fn mistakes_are_named_with_line_and_column() {
        let long = format!("[Service]\nA={}\n", "x".repeat(MAX_LINE_BYTES));
        let wide = format!("[Service]\nA={}\n", "é".repeat(MAX_LINE_BYTES / 2));
        let cases = [
            ("[Service]\n  nonsense\n", 2, 3, "Name=Value"),
            ("[Service\n", 1, 9, "ends in `]`"),
            ("[Sérvice] x\n", 1, 11, "nothing behind"),
            (" []\n", 1, 3, "section"),
            ("[a[b]\n", 1, 3, "section"),
            ("# é\n A=1\n", 2, 2, "section"),
            ("[Service]\n=1\n", 2, 1, "name"),
            ("[Service]\n Ex ec=1\n", 2, 4, "name"),
            ("[Service]\nA\u{7}=1\n", 2, 2, "control"),
            ("[Service]\nA=é \\\n# é\n é\0\n", 4, 3, "control"),
            ("[Service]\nA=é \\\n  é\\\\\nB=1", 3, 5, "cannot end"),
            ("[Service]\nA=1\rB=2\n", 2, 4, "control"),
            (long.as_str(), 2, MAX_LINE_BYTES + 1, "bytes"),
            (wide.as_str(), 2, MAX_LINE_BYTES / 2 + 2, "bytes"),
        ];
        for (text, line, column, words) in cases {
            let why = parse(text, "app.service").expect_err(words);
            let place = (why.file.as_str(), why.line, why.column);
            assert_eq!(place, ("app.service", line, column), "{why}");
            assert!(why.to_string().contains(words), "{why}");
        }
    }

    #[test]
    fn a_file_is_bounded_also_by_what_writing_it_takes() {
        let line = format!("A={}\n", "x".repeat(1021));
        let full = format!("[S]\n{}", line.repeat(MAX_FILE_BYTES / line.len() - 1));
        assert!(parse(&full, "a.service").is_ok());
        assert!(parse(&line.repeat(MAX_FILE_BYTES / line.len() + 1), "a.service").is_err());
        let sections: String =
            (0..MAX_FILE_BYTES / 12).map(|n| format!("[{n:06}]\nA=\n")).collect();
        assert!(sections.len() <= MAX_FILE_BYTES);
        let why = parse(&sections, "a.service").expect_err("written, it is larger");
        assert!(why.to_string().contains("allowed"), "{why}");
    }
}
