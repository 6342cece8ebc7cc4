//! Fills declared names into a template. Nothing in a template is ever executed.
//!
//! `<%= name %>` and `{{ name }}` are replaced; any other code between `<% … %>` or `{{ … }}` is refused, with its
//! position. `{{{{` stands for two braces that are meant as such.

use std::fmt;

/// Names that a template may use, with their values.
#[derive(Debug, Clone, Default)]
pub(crate) struct Values {
    known: Vec<(&'static str, Result<String, String>)>,
}

impl Values {
    /// Declares a name with its value.
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.known.push((name, Ok(value.into())));
        self
    }

    /// Declares a name that has no value here; a template that uses it is refused because of `why`.
    pub(crate) fn without(mut self, name: &'static str, why: impl Into<String>) -> Self {
        self.known.push((name, Err(why.into())));
        self
    }

    fn value(&self, name: &str) -> Result<&str, String> {
        match self.known.iter().find(|(known, _)| *known == name) {
            Some((_, Ok(value))) => Ok(value),
            Some((_, Err(why))) => Err(format!("`{name}` has no value: {why}")),
            None => {
                let allowed: Vec<String> =
                    self.known.iter().map(|(known, _)| format!("`{known}`")).collect();
                let name: String = name.chars().take(60).flat_map(char::escape_default).collect();
                Err(format!(
                    "`{name}` is not a name that may be used here; use {}",
                    allowed.join(", ")
                ))
            }
        }
    }
}

/// Why a template was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}, {at}: {why}")]
pub struct TemplateError {
    /// The template.
    pub file: String,
    /// Where in it.
    pub at: Position,
    /// What is wrong and what is allowed.
    pub why: String,
}

/// A place in a text, both counted from 1; columns are characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Line.
    pub line: usize,
    /// Column.
    pub column: usize,
}

impl Position {
    /// The place of the byte `offset` of `text`.
    fn of(text: &str, offset: usize) -> Self {
        let before = &text[..offset];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        Self {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// Fills `values` into `text`.
///
/// # Errors
///
/// [`TemplateError`] at the first thing that is no declared name.
pub(crate) fn render(file: &str, text: &str, values: &Values) -> Result<String, TemplateError> {
    let mut rendered = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = next_marker(rest) {
        rendered.push_str(&rest[..start]);
        let marker = &rest[start..];
        if let Some(after) = marker.strip_prefix("{{{{") {
            rendered.push_str("{{");
            rest = after;
            continue;
        }
        let refuse = |why| {
            let at = Position::of(text, text.len() - marker.len());
            TemplateError { file: file.to_owned(), at, why }
        };
        let (name, after) = placeholder(marker).map_err(refuse)?;
        rendered.push_str(values.value(name).map_err(refuse)?);
        rest = after;
    }
    rendered.push_str(rest);
    Ok(rendered)
}

/// Where the next `<%` or `{{` begins. Looks at what lies before it only: a search for either one to the end of the text
/// would make the time of a text full of the other one grow with its square.
fn next_marker(text: &str) -> Option<usize> {
    text.as_bytes().windows(2).position(|pair| pair == b"<%" || pair == b"{{")
}

/// Splits `<%= name %>…` or `{{ name }}…` into the name and what follows.
fn placeholder(marker: &str) -> Result<(&str, &str), String> {
    let (body, end) = if let Some(body) = marker.strip_prefix("<%=") {
        (body, "%>")
    } else if let Some(body) = marker.strip_prefix("{{") {
        (body, "}}")
    } else {
        return Err("only `<%= name %>` and `{{ name }}` may be used, no other code".into());
    };
    let Some((inner, after)) = body.split_once(end) else {
        return Err(format!("there is no closing `{end}`"));
    };
    let name = inner.trim_matches([' ', '\t']);
    if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        let hint =
            if end == "}}" { "; write `{{{{` for two braces that are no placeholder" } else { "" };
        return Err(format!("only a name may stand here, no code{hint}"));
    }
    Ok((name, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values() -> Values {
        Values::default()
            .with("commit_hash", "abc")
            .with("dst_port", "<%= dst_port %>")
            .without("timestamp", "the workflow names no source")
    }

    fn rendered(text: &str) -> String {
        render("f.eex", text, &values()).expect(text)
    }

    fn refused(text: &str) -> TemplateError {
        render("f.eex", text, &values()).expect_err(text)
    }

    #[test]
    fn both_forms_are_filled_in() {
        assert_eq!(
            rendered("a <%= commit_hash %> {{commit_hash}} <%=commit_hash%> z"),
            "a abc abc abc z"
        );
        assert_eq!(rendered("nothing < % } to }} do %>"), "nothing < % } to }} do %>");
    }

    #[test]
    fn a_value_is_not_read_again_as_a_template() {
        assert_eq!(rendered("-p {{ dst_port }}:80"), "-p <%= dst_port %>:80");
    }

    #[test]
    fn doubled_braces_are_plain_text() {
        assert_eq!(
            rendered("docker inspect -f '{{{{.State.Pid}}'"),
            "docker inspect -f '{{.State.Pid}}'"
        );
    }

    #[test]
    fn a_text_full_of_markers_takes_as_long_as_any_other() {
        let begun = std::time::Instant::now();
        assert_eq!(rendered(&"{{{{".repeat(250_000)).len(), 500_000);
        refused(&("{{{{".repeat(250_000) + "<%"));
        assert!(begun.elapsed().as_secs() < 5, "{:?}", begun.elapsed());
    }

    #[test]
    fn code_is_refused_with_its_place() {
        let refusal = refused("first\nsecond é <% System.cmd(\"id\", []) %>\n");
        assert_eq!(refusal.at, Position { line: 2, column: 10 });
        assert!(
            refusal.to_string().starts_with("f.eex, line 2, column 10: only `<%= name %>`"),
            "{refusal}"
        );
    }

    #[test]
    fn no_form_of_code_passes() {
        for text in [
            "<% x %>",
            "<%%= commit_hash %>",
            "<%# comment %>",
            "<%= %>",
            "<%= commit_hash",
            "<%= System.halt %>",
            "<%= @commit_hash %>",
            "<%= commit_hash <> \"x\" %>",
            "<%= commit_hash; id %>",
            "<%=\ncommit_hash\n%>",
            "<%= <%= commit_hash %> %>",
            "{{",
            "{{ }}",
            "{{ a.b }}",
            "{{ 7*7 }}",
            "{{commit_hash",
            "{{ commit_hash | upper }}",
            "{{{ commit_hash }}}",
            "{{# x }}",
            "{{\"x\"}}",
            "<%",
        ] {
            refused(text);
        }
    }

    #[test]
    fn an_unknown_name_is_told_which_names_exist() {
        let refusal = refused("<%= comit_hash %>");
        assert!(
            refusal.why.contains("`comit_hash`")
                && refusal.why.contains("`commit_hash`, `dst_port`"),
            "{refusal}"
        );
    }

    #[test]
    fn a_name_without_a_value_says_why() {
        assert!(refused("{{ timestamp }}").why.contains("names no source"));
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_filled_in_or_refused_at_a_place_within_it(text in "[ -~\n\u{e9}<%={}]{0,80}") {
            match render("f.eex", &text, &values()) {
                Ok(_) => {}
                Err(refusal) => {
                    let line = text.split('\n').nth(refusal.at.line - 1).expect("a line of the text");
                    proptest::prop_assert!(refusal.at.column <= line.chars().count());
                }
            }
        }

        #[test]
        fn text_without_placeholders_stays_as_it_is(text in "[^<{]{0,80}") {
            proptest::prop_assert_eq!(rendered(&text), text);
        }
    }
}
