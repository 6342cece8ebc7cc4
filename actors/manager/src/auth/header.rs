//! The token in an `Authorization` header.
//!
//! Clients of the original write it in four ways: `Bearer <tok>`, `Bearer access_token=<tok>`, `bearer<tok>` and
//! `<tok>`.

/// The token that `value` carries, if it carries one.
pub(crate) fn token(value: &str) -> Option<&str> {
    let rest =
        rfind_ignoring_case(value, "bearer").map_or(value, |at| &value[at + "bearer".len()..]);
    let rest = rest.strip_prefix([' ', '\t']).unwrap_or(rest);
    let rest = strip_prefix_ignoring_case(rest, "access_token=").unwrap_or(rest).trim();
    (!rest.is_empty()).then_some(rest)
}

fn rfind_ignoring_case(text: &str, word: &str) -> Option<usize> {
    let (text, word) = (text.as_bytes(), word.as_bytes());
    text.windows(word.len()).rposition(|window| window.eq_ignore_ascii_case(word))
}

fn strip_prefix_ignoring_case<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let head = text.get(..prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then(|| &text[prefix.len()..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_that_clients_write_is_read() {
        for value in [
            "Bearer abc",
            "bearer abc",
            "BEARER abc",
            "Bearer access_token=abc",
            "bearer access_token=abc",
            "Bearer Access_Token=abc",
            "bearerabc",
            "beareraccess_token=abc",
            "abc",
            "  abc ",
            "Bearer  abc",
        ] {
            assert_eq!(token(value), Some("abc"), "{value}");
        }
    }

    #[test]
    fn a_header_without_a_token_carries_none() {
        for value in ["", " ", "Bearer", "Bearer ", "Bearer access_token=", "bearer   "] {
            assert_eq!(token(value), None, "{value:?}");
        }
    }

    #[test]
    fn text_outside_ascii_is_no_accident() {
        assert_eq!(token("é"), Some("é"));
        assert_eq!(token("Bearer é"), Some("é"));
        assert_eq!(token("access_tokené"), Some("access_tokené"));
    }
}
