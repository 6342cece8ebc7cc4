//! Colours, where they are wanted.

use std::env;
use std::io::{self, IsTerminal};

/// Whether text is coloured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Style {
    coloured: bool,
}

impl Style {
    /// For standard error: coloured in a terminal, unless `NO_COLOR` is set.
    pub(crate) fn stderr() -> Self {
        Self { coloured: wants_colour(io::stderr().is_terminal()) }
    }

    /// For standard output: coloured in a terminal, unless `NO_COLOR` is set.
    pub(crate) fn stdout() -> Self {
        Self { coloured: wants_colour(io::stdout().is_terminal()) }
    }

    /// Text stays as it is.
    #[cfg(test)]
    pub(crate) fn plain() -> Self {
        Self { coloured: false }
    }

    pub(crate) fn red(self, text: &str) -> String {
        self.paint("31;1", text)
    }

    pub(crate) fn green(self, text: &str) -> String {
        self.paint("32", text)
    }

    pub(crate) fn bold(self, text: &str) -> String {
        self.paint("1", text)
    }

    pub(crate) fn dim(self, text: &str) -> String {
        self.paint("2", text)
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.coloured { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

fn wants_colour(is_terminal: bool) -> bool {
    is_wanted(is_terminal, |name| env::var_os(name).map(|value| value.len())) && !is_dumb()
}

/// `NO_COLOR` counts when it is there and not empty (no-color.org).
fn is_wanted(is_terminal: bool, length_of: impl Fn(&str) -> Option<usize>) -> bool {
    is_terminal && length_of("NO_COLOR").is_none_or(|length| length == 0)
}

fn is_dumb() -> bool {
    env::var_os("TERM").is_some_and(|term| term == "dumb")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colour_needs_a_terminal_and_no_objection() {
        assert!(is_wanted(true, |_| None));
        assert!(is_wanted(true, |_| Some(0)));
        assert!(!is_wanted(true, |_| Some(1)));
        assert!(!is_wanted(false, |_| None));
    }
}
