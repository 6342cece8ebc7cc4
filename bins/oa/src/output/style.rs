//! Colours, where they are wanted.

use std::env;
use std::io::{self, IsTerminal};

/// Whether text is coloured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Style {
    coloured: bool,
}

impl Style {
    /// For standard error.
    pub(crate) fn stderr() -> Self {
        Self { coloured: is_lively(io::stderr().is_terminal()) }
    }

    /// For standard output.
    pub(crate) fn stdout() -> Self {
        Self { coloured: is_lively(io::stdout().is_terminal()) }
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

/// Whether colours and lines that are drawn again are wanted where standard error or output goes.
pub(super) fn is_lively(is_terminal: bool) -> bool {
    is_wanted(is_terminal, |name| env::var(name).ok())
}

/// `NO_COLOR` counts when it is there and not empty (no-color.org), `CLICOLOR` when it is `0` (bixense.com/clicolors).
fn is_wanted(is_terminal: bool, value_of: impl Fn(&str) -> Option<String>) -> bool {
    is_terminal
        && value_of("NO_COLOR").is_none_or(|value| value.is_empty())
        && value_of("CLICOLOR").is_none_or(|value| value != "0")
        && value_of("TERM").is_none_or(|value| value != "dumb")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colour_needs_a_terminal_and_no_objection() {
        let wanted = |is_terminal, name: &str, value: &str| {
            is_wanted(is_terminal, |asked| (asked == name).then(|| value.to_owned()))
        };
        assert!(wanted(true, "TERM", "xterm-256color"));
        assert!(wanted(true, "NO_COLOR", ""));
        assert!(wanted(true, "CLICOLOR", "1"));
        assert!(!wanted(true, "NO_COLOR", "1"));
        assert!(!wanted(true, "CLICOLOR", "0"));
        assert!(!wanted(true, "TERM", "dumb"));
        assert!(!wanted(false, "TERM", "xterm"));
    }
}
