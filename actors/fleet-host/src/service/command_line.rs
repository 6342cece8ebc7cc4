//! Splits lines into words, and puts variables into them, as systemd does. No shell is involved.
//!
//! # Source
//!
//! systemd.service(5), "Command lines"; systemd.syntax(7), "Quoting"; the behaviour of systemd 255 where the pages are
//! silent: quotes are seen in the middle of a word, an escape that is not known stays as it is.

use std::iter::Peekable;
use std::str::Chars;

/// Splits into words: blanks separate, single and double quotes hold together, `\` escapes.
pub(crate) fn split(text: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut rest = text.chars().peekable();
    while let Some(word) = next_word(&mut rest)? {
        words.push(word);
    }
    Ok(words)
}

/// Splits into commands at words that are a bare `;`, and each into words; `\;` is a word `;`.
pub(super) fn split_commands(text: &str) -> Result<Vec<Vec<String>>, String> {
    let mut commands = vec![Vec::new()];
    let mut rest = text.chars().peekable();
    loop {
        skip_blanks(&mut rest);
        let alone = |text: &str| {
            let mut ahead = rest.clone();
            let begins = text.chars().all(|c| ahead.next() == Some(c));
            begins && ahead.next().is_none_or(char::is_whitespace)
        };
        if alone(";") {
            rest.next();
            commands.push(Vec::new());
            continue;
        }
        let word = if alone("\\;") {
            rest.nth(1);
            Some(";".to_owned())
        } else {
            next_word(&mut rest)?
        };
        match (word, commands.last_mut()) {
            (Some(word), Some(command)) => command.push(word),
            _ => break,
        }
    }
    commands.retain(|command| !command.is_empty());
    Ok(commands)
}

fn skip_blanks(rest: &mut Peekable<Chars<'_>>) {
    while rest.next_if(|c| c.is_whitespace()).is_some() {}
}

/// The next word; bytes, since escapes may spell a character byte by byte.
fn next_word(rest: &mut Peekable<Chars<'_>>) -> Result<Option<String>, String> {
    skip_blanks(rest);
    if rest.peek().is_none() {
        return Ok(None);
    }
    let mut word = Vec::new();
    let mut quote: Option<char> = None;
    while let Some(c) = rest.next_if(|c| quote.is_some() || !c.is_whitespace()) {
        match (quote, c) {
            (_, '\\') => unescape(rest, &mut word),
            (Some(open), c) if c == open => quote = None,
            (None, '"' | '\'') => quote = Some(c),
            (_, c) => push(&mut word, c),
        }
    }
    if let Some(open) = quote {
        return Err(format!("a quote {open} is not closed"));
    }
    String::from_utf8(word).map(Some).map_err(|_| "its escapes make no UTF-8 text".into())
}

fn push(word: &mut Vec<u8>, c: char) {
    word.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}

/// Reads what stands behind a `\`; what is no escape stays as it is written.
fn unescape(rest: &mut Peekable<Chars<'_>>, word: &mut Vec<u8>) {
    let mut ahead = rest.clone();
    let plain = match ahead.next() {
        Some('a') => Some(7),
        Some('b') => Some(8),
        Some('f') => Some(12),
        Some('n') => Some(b'\n'),
        Some('r') => Some(b'\r'),
        Some('t') => Some(b'\t'),
        Some('v') => Some(11),
        Some('s') => Some(b' '),
        Some(c @ ('\\' | '"' | '\'')) => u8::try_from(c).ok(),
        _ => None,
    };
    if let Some(byte) = plain {
        word.push(byte);
        *rest = ahead;
        return;
    }
    let mut ahead = rest.clone();
    let numbered = match ahead.peek() {
        Some('x') => ahead.next().and_then(|_| byte(&mut ahead, 2, 16)),
        Some('u') => ahead.next().and_then(|_| character(&mut ahead, 4)),
        Some('U') => ahead.next().and_then(|_| character(&mut ahead, 8)),
        Some('0'..='7') => byte(&mut ahead, 3, 8),
        _ => None,
    };
    match numbered {
        Some(Code::Byte(byte)) => word.push(byte),
        Some(Code::Character(c)) => push(word, c),
        None => return word.push(b'\\'),
    }
    *rest = ahead;
}

enum Code {
    Byte(u8),
    Character(char),
}

fn byte(rest: &mut Peekable<Chars<'_>>, digits: usize, radix: u32) -> Option<Code> {
    u8::try_from(number(rest, digits, radix)?).ok().map(Code::Byte)
}

fn character(rest: &mut Peekable<Chars<'_>>, digits: usize) -> Option<Code> {
    char::from_u32(number(rest, digits, 16)?).map(Code::Character)
}

/// Exactly `digits` digits that are not all zero.
fn number(rest: &mut Peekable<Chars<'_>>, digits: usize, radix: u32) -> Option<u32> {
    let text: String = rest.by_ref().take(digits).collect();
    let is_whole = text.len() == digits && text.chars().all(|c| c.is_digit(radix));
    u32::from_str_radix(&text, radix).ok().filter(|code| is_whole && *code > 0)
}

/// Puts variables into words: `${NAME}` anywhere, `$NAME` where it is a whole word and then as the words of its value;
/// `$$` is a plain `$`. An unknown variable is empty. The program itself is left alone.
pub(crate) fn with_variables(
    words: &[String],
    variable: impl Fn(&str) -> Option<String>,
) -> Vec<String> {
    let mut done: Vec<String> = words.iter().take(1).cloned().collect();
    for word in words.iter().skip(1) {
        match word.strip_prefix('$') {
            Some(name) if is_variable(name) => {
                let value = variable(name).unwrap_or_default();
                done.extend(words_of(&value));
            }
            _ => done.push(within_word(word, &variable)),
        }
    }
    done
}

/// The words of a value: quotes hold together and are taken off, a `\` takes the next character as it is, and a quote
/// that is not closed reaches to the end.
fn words_of(value: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    let mut rest = value.chars();
    while let Some(c) = rest.next() {
        match (quote, c) {
            (_, '\\') => word.get_or_insert_default().extend(rest.next()),
            (Some(open), c) if c == open => quote = None,
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

fn within_word(word: &str, variable: &impl Fn(&str) -> Option<String>) -> String {
    let mut done = String::with_capacity(word.len());
    let mut rest = word;
    while let Some((before, after)) = rest.split_once('$') {
        done.push_str(before);
        let braced = after.strip_prefix('{').and_then(|text| text.split_once('}'));
        match braced.filter(|(name, _)| is_variable(name)) {
            Some((name, behind)) => {
                done.push_str(&variable(name).unwrap_or_default());
                rest = behind;
            }
            None => {
                done.push('$');
                rest = after.strip_prefix('$').unwrap_or(after);
            }
        }
    }
    done + rest
}

/// Whether `name` may name a variable.
pub(crate) fn is_variable(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_as_systemd_splits_them() {
        let cases: &[(&str, &[&str])] = &[
            ("/bin/x -a  b", &["/bin/x", "-a", "b"]),
            ("/bin/x \"a b\" 'c d'", &["/bin/x", "a b", "c d"]),
            ("/bin/x a\"b c\"d", &["/bin/x", "ab cd"]),
            ("/bin/x \"\"", &["/bin/x", ""]),
            ("/bin/x \"a\\\"b\" 'a\\'b'", &["/bin/x", "a\"b", "a'b"]),
            ("/bin/x \\x41\\s\\n \\u20ac \\U0001F600 \\101", &["/bin/x", "A \n", "€", "😀", "A"]),
            ("/bin/x \\xc3\\xa9", &["/bin/x", "é"]),
            ("/bin/x \\q \\x0 \\000 \\x4", &["/bin/x", "\\q", "\\x0", "\\000", "\\x4"]),
            ("/bin/x a\\ b \\", &["/bin/x", "a\\", "b", "\\"]),
            ("/bin/x $(id); rm", &["/bin/x", "$(id);", "rm"]),
            ("", &[]),
        ];
        for (text, words) in cases {
            assert_eq!(split(text).expect(text), *words, "{text}");
        }
        for text in ["/bin/x \"a", "/bin/x 'a", "/bin/x \\xff"] {
            assert!(split(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_bare_semicolon_ends_a_command() {
        let cases: &[(&str, &[&[&str]])] = &[
            ("/bin/a 1 ; /bin/b 2", &[&["/bin/a", "1"], &["/bin/b", "2"]]),
            ("/bin/a 1; /bin/b", &[&["/bin/a", "1;", "/bin/b"]]),
            ("/bin/a \\; /bin/b", &[&["/bin/a", ";", "/bin/b"]]),
            ("/bin/a \";\" /bin/b", &[&["/bin/a", ";", "/bin/b"]]),
            (" ; /bin/a ; ", &[&["/bin/a"]]),
            (";x", &[&[";x"]]),
        ];
        for (text, commands) in cases {
            assert_eq!(split_commands(text).expect(text), *commands, "{text}");
        }
    }

    #[test]
    fn variables_are_put_in_as_systemd_does() {
        let words = |text: &str| {
            with_variables(&split(text).expect(text), |name| match name {
                "ONE" => Some("one".into()),
                "TWO" => Some("'two two' too".into()),
                "THREE" => Some(String::new()),
                _ => None,
            })
        };
        let cases: &[(&str, &[&str])] = &[
            // The example of systemd.service(5).
            ("/bin/x $ONE $TWO $THREE", &["/bin/x", "one", "two two", "too"]),
            ("/bin/x ${ONE} ${TWO} ${THREE}", &["/bin/x", "one", "'two two' too", ""]),
            ("/bin/x a${ONE}b $NONE ${NONE}", &["/bin/x", "aoneb", ""]),
            ("/bin/x $$ONE $${ONE} a$ONE", &["/bin/x", "$ONE", "${ONE}", "a$ONE"]),
            ("/bin/x $(id) ${ONE", &["/bin/x", "$(id)", "${ONE"]),
            ("/bin/$ONE $ONE", &["/bin/$ONE", "one"]),
        ];
        for (text, expected) in cases {
            assert_eq!(words(text), *expected, "{text}");
        }
    }
}
