//! Splits a command line as systemd does. No shell is involved.
//!
//! # Source
//!
//! systemd.service(5), "Command lines"; systemd.syntax(7), "Quoting".

/// Splits into words: blanks separate, single and double quotes hold together, `\` escapes, a `\` at the end of a line
/// joins it with the next.
pub(crate) fn split(text: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match (quote, c) {
            (_, '\\') => match rest.next() {
                Some('\n') if quote.is_none() => {
                    words.extend(word.take());
                }
                Some('\n') => {}
                Some(escaped) => {
                    let plain = unescape(escaped, &mut rest)?;
                    word.get_or_insert_default().push(plain);
                }
                None => return Err("a lone `\\` at the end".into()),
            },
            (Some(open), c) if c == open => quote = None,
            (Some(_), c) => word.get_or_insert_default().push(c),
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (None, c) => word.get_or_insert_default().push(c),
        }
    }
    if let Some(open) = quote {
        return Err(format!("a quote {open} is not closed"));
    }
    words.extend(word);
    Ok(words)
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
                done.extend(value.split_whitespace().map(str::to_owned));
            }
            _ => done.push(within_word(word, &variable)),
        }
    }
    done
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

fn unescape(
    escaped: char,
    rest: &mut std::iter::Peekable<std::str::Chars<'_>>,
) -> Result<char, String> {
    Ok(match escaped {
        'n' => '\n',
        't' => '\t',
        'r' => '\r',
        's' => ' ',
        'x' => {
            let digits: String = rest.by_ref().take(2).collect();
            let code = u8::from_str_radix(&digits, 16).ok().filter(|code| (1..128).contains(code));
            char::from(code.ok_or_else(|| format!("`\\x{digits}` is no ASCII character"))?)
        }
        '\\' | '"' | '\'' | '$' | '%' | ';' | ' ' => escaped,
        other => {
            return Err(format!(
                "`\\{other}` is no escape; there are \\\\ \\\" \\' \\n \\t \\r \\s \\x41"
            ));
        }
    })
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
            ("/bin/x \\\n  -a", &["/bin/x", "-a"]),
            ("/bin/x \\x41\\s\\n", &["/bin/x", "A \n"]),
            ("/bin/x $(id); rm", &["/bin/x", "$(id);", "rm"]),
        ];
        for (text, words) in cases {
            assert_eq!(split(text).expect(text), *words, "{text}");
        }
    }

    #[test]
    fn variables_are_put_in_as_systemd_does() {
        let words = |text: &str| {
            with_variables(&split(text).expect(text), |name| match name {
                "ONE" => Some("1".into()),
                "TWO" => Some("2 3".into()),
                _ => None,
            })
        };
        let cases: &[(&str, &[&str])] = &[
            ("/bin/x $TWO ${TWO}", &["/bin/x", "2", "3", "2 3"]),
            ("/bin/x a${ONE}b $NONE ${NONE}", &["/bin/x", "a1b", ""]),
            ("/bin/x $$ONE $${ONE} a$ONE", &["/bin/x", "$ONE", "${ONE}", "a$ONE"]),
            ("/bin/x $(id) ${ONE", &["/bin/x", "$(id)", "${ONE"]),
            ("/bin/$ONE $ONE", &["/bin/$ONE", "1"]),
        ];
        for (text, expected) in cases {
            assert_eq!(words(text), *expected, "{text}");
        }
    }

    #[test]
    fn an_open_quote_or_an_unknown_escape_is_refused() {
        for text in ["/bin/x \"a", "/bin/x 'a", "/bin/x \\q", "/bin/x \\"] {
            assert!(split(text).is_err(), "{text}");
        }
    }
}
