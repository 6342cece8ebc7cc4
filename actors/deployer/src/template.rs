//! Fills in `dst_port`, the one name that only the Deployer knows.
//!
//! `<%= dst_port %>` and `{{ dst_port }}` become the port of the instance. Any other `<% … %>` is refused: nothing
//! is ever evaluated. Other `{{ … }}` stay, since `docker inspect --format` writes its own that way, and
//! %-specifiers such as `%i` are the host's.

/// Why a value cannot be filled in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("column {column}: {why}")]
pub struct TemplateError {
    /// Where the tag begins, from 1.
    pub column: usize,
    /// What is wrong with it.
    pub why: String,
}

/// A value, cut at its tags.
#[derive(Debug, PartialEq, Eq)]
enum Piece<'a> {
    Text(&'a str),
    Port,
}

/// Whether `value` needs a port.
///
/// # Errors
///
/// [`TemplateError`] if the value holds a tag other than `dst_port`.
pub(crate) fn uses_port(value: &str) -> Result<bool, TemplateError> {
    Ok(cut(value)?.contains(&Piece::Port))
}

/// Writes `port` wherever `value` asks for it.
///
/// # Errors
///
/// [`TemplateError`] if the value holds a tag other than `dst_port`.
pub(crate) fn fill(value: &str, port: Option<u16>) -> Result<String, TemplateError> {
    let port = port.map_or_else(String::new, |port| port.to_string());
    Ok(cut(value)?
        .into_iter()
        .map(|piece| if let Piece::Text(text) = piece { text } else { port.as_str() })
        .collect())
}

fn cut(value: &str) -> Result<Vec<Piece<'_>>, TemplateError> {
    let mut pieces = Vec::new();
    let mut plain_from = 0;
    let mut at = 0;
    while let Some(found) = value[at..].find(['<', '{']) {
        let start = at + found;
        match tag(value, start)? {
            Some(end) => {
                pieces.push(Piece::Text(&value[plain_from..start]));
                pieces.push(Piece::Port);
                (plain_from, at) = (end, end);
            }
            None => at = start + 1,
        }
    }
    pieces.push(Piece::Text(&value[plain_from..]));
    Ok(pieces)
}

/// The end of the `dst_port` tag that begins at `start`; `None` if that is ordinary text.
fn tag(value: &str, start: usize) -> Result<Option<usize>, TemplateError> {
    let rest = &value[start..];
    if let Some(inner) = rest.strip_prefix("{{") {
        let named = inner.split_once("}}").filter(|(name, _)| name.trim() == "dst_port");
        return Ok(named.map(|(_, after)| value.len() - after.len()));
    }
    let Some(inner) = rest.strip_prefix("<%") else { return Ok(None) };
    let refuse =
        |why: String| Err(TemplateError { column: value[..start].chars().count() + 1, why });
    let Some((code, after)) = inner.split_once("%>") else {
        return if inner.starts_with('=') { refuse("`<%=` without `%>`".into()) } else { Ok(None) };
    };
    match code.strip_prefix('=').map(str::trim) {
        Some("dst_port") => Ok(Some(value.len() - after.len())),
        _ => {
            let shown: String = code.chars().take(40).collect();
            refuse(format!("only `<%= dst_port %>` can be filled in here, not `<%{shown}%>`"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(value: &str) -> String {
        fill(value, Some(45_000)).expect("a proper template")
    }

    #[test]
    fn both_notations_become_the_port() {
        assert_eq!(filled("-p <%= dst_port %>:8080"), "-p 45000:8080");
        assert_eq!(filled("-p {{ dst_port }}:8080 {{dst_port}}"), "-p 45000:8080 45000");
        assert_eq!(filled("<%=dst_port%>"), "45000");
    }

    #[test]
    fn specifiers_and_the_formats_of_other_programs_stay() {
        for value in [
            "/srv/%i --name %p",
            "inspect --format '{{ .State.Pid }}'",
            "a < b {x} {{",
            "%% <%i",
            "ü{{é}}<",
        ] {
            assert_eq!(filled(value), value);
            assert_eq!(uses_port(value), Ok(false), "{value}");
        }
    }

    #[test]
    fn any_other_code_is_refused_where_it_stands() {
        let refusal = uses_port("ü <%= System.halt() %>").expect_err("code");
        assert_eq!(refusal.column, 3);
        assert!(refusal.why.contains("System.halt()"), "{refusal}");
        for value in ["<% dst_port %>", "<%= dst_port", "<%= dst_port + 1 %>", "<%# note %>"] {
            assert!(uses_port(value).is_err(), "{value}");
        }
    }
}
