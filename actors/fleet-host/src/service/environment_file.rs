//! Reads files of variables.
//!
//! # Source
//!
//! systemd.exec(5), "EnvironmentFile="; systemd 255 where the page is silent.

use super::is_variable;

/// What the reader is in the middle of.
enum At {
    Name,
    Comment,
    CommentEscape,
    /// Behind the `=`, or behind a quoted part.
    Before,
    Plain,
    PlainEscape,
    Single,
    Double,
    DoubleEscape,
}

/// The variables in `text`, in order, a later one winning over an earlier one.
///
/// A value may be quoted; `\` takes the next character as it is, and at the end of a line goes on in the next. What is
/// no assignment, or has a name that no variable may have, is left out, as systemd does.
pub(crate) fn parse(text: &str) -> Vec<(String, String)> {
    let mut reader =
        Reader { name: String::new(), value: String::new(), solid: 0, found: Vec::new() };
    let mut at = At::Name;
    for c in text.chars() {
        at = reader.step(at, c);
    }
    if !matches!(at, At::Name | At::Comment | At::CommentEscape) {
        reader.finish_line();
    }
    reader.found
}

struct Reader {
    name: String,
    value: String,
    /// How much of the value is not merely blanks at its end.
    solid: usize,
    found: Vec<(String, String)>,
}

impl Reader {
    fn step(&mut self, at: At, c: char) -> At {
        let is_end = matches!(c, '\n' | '\r');
        match at {
            At::Comment if is_end => At::Name,
            At::Comment if c == '\\' => At::CommentEscape,
            At::Comment => At::Comment,
            At::CommentEscape if is_end => At::Name,
            At::CommentEscape => At::Comment,
            At::Name => self.in_name(c, is_end),
            At::Before | At::Plain if is_end => {
                self.finish_line();
                At::Name
            }
            At::Before if c == '\'' => At::Single,
            At::Before if c == '"' => At::Double,
            At::Before if c.is_ascii_whitespace() => At::Before,
            At::Before | At::Plain if c == '\\' => At::PlainEscape,
            At::Plain if c.is_ascii_whitespace() => {
                self.value.push(c);
                At::Plain
            }
            At::Before | At::Plain => self.push(c, At::Plain),
            At::PlainEscape if is_end => At::Plain,
            At::PlainEscape => self.push(c, At::Plain),
            At::Single if c == '\'' => At::Before,
            At::Single => self.push(c, At::Single),
            At::Double if c == '"' => At::Before,
            At::Double if c == '\\' => At::DoubleEscape,
            At::Double => self.push(c, At::Double),
            At::DoubleEscape if is_end => At::Double,
            At::DoubleEscape => {
                if !matches!(c, '"' | '\\' | '`' | '$') {
                    self.value.push('\\');
                }
                self.push(c, At::Double)
            }
        }
    }

    fn in_name(&mut self, c: char, is_end: bool) -> At {
        match c {
            '#' | ';' if self.name.is_empty() => return At::Comment,
            '=' if !self.name.is_empty() => return At::Before,
            _ if is_end => self.name.clear(),
            _ if self.name.is_empty() && c.is_ascii_whitespace() => {}
            _ => self.name.push(c),
        }
        At::Name
    }

    fn push(&mut self, c: char, next: At) -> At {
        self.value.push(c);
        self.solid = self.value.len();
        next
    }

    fn finish_line(&mut self) {
        let name = std::mem::take(&mut self.name);
        let mut value = std::mem::take(&mut self.value);
        value.truncate(std::mem::take(&mut self.solid));
        let name = name.trim_end();
        if is_variable(name) && !value.contains('\0') {
            self.found.retain(|(other, _)| other != name);
            self.found.push((name.to_owned(), value));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_as_systemd_reads_it() {
        let cases: &[(&str, &[(&str, &str)])] = &[
            ("A=1\nB=2\n", &[("A", "1"), ("B", "2")]),
            ("A=1", &[("A", "1")]),
            ("# c\n; c\n\n  A = 1 2  \nno assignment\n", &[("A", "1 2")]),
            ("A=\"x y \"\nB='x \" $HOME'\n", &[("A", "x y "), ("B", "x \" $HOME")]),
            ("A=\"a\\\"b\\$c\\nd\"", &[("A", "a\"b$c\\nd")]),
            ("A='a\\nb'", &[("A", "a\\nb")]),
            ("A=a\\ \\\"b\\n", &[("A", "a \"bn")]),
            ("A=one \\\n  two\nB=\"x\\\ny\"", &[("A", "one   two"), ("B", "xy")]),
            ("A=\"two\nlines\"\n", &[("A", "two\nlines")]),
            ("A=\"x\"'y'z\n", &[("A", "xyz")]),
            ("A=x # no comment\n", &[("A", "x # no comment")]),
            ("A=1\nA=2\n", &[("A", "2")]),
            ("A=\nB=''\n", &[("A", ""), ("B", "")]),
            ("1A=x\nB-C=x\nexport D=x\nE=1\n", &[("E", "1")]),
            ("# c \\\nA=1\n", &[("A", "1")]),
            ("A=b=c\r\nB=2\r\n", &[("A", "b=c"), ("B", "2")]),
            ("A=\"open", &[("A", "open")]),
        ];
        for (text, variables) in cases {
            let found = parse(text);
            let found: Vec<(&str, &str)> =
                found.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            assert_eq!(found, *variables, "{text:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic_and_every_name_is_one(text in "\\PC*|[A='\"\\\\#;$\n ]*") {
            for (name, _) in parse(&text) {
                proptest::prop_assert!(is_variable(&name), "{name}");
            }
        }
    }
}
