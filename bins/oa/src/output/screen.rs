//! Standard error as a place where one line can be drawn again.

use std::io::{self, IsTerminal, Write};

use super::style::{Style, is_lively};

/// Prints lines and, in a terminal, keeps a live line below them.
pub(crate) struct Screen {
    to: Box<dyn Write>,
    style: Style,
    is_terminal: bool,
    is_drawn: bool,
}

impl Screen {
    /// Standard error.
    pub(crate) fn stderr() -> Self {
        let is_lively = is_lively(io::stderr().is_terminal());
        Self::new(Box::new(io::stderr()), Style::stderr(), is_lively)
    }

    pub(crate) fn new(to: Box<dyn Write>, style: Style, is_terminal: bool) -> Self {
        Self { to, style, is_terminal, is_drawn: false }
    }

    /// Whether a live line is possible.
    pub(crate) fn is_terminal(&self) -> bool {
        self.is_terminal
    }

    pub(crate) fn style(&self) -> Style {
        self.style
    }

    /// Prints a line that stays.
    pub(crate) fn line(&mut self, text: &str) {
        self.clear();
        self.write(&format!("{text}\n"));
    }

    /// Draws the live line anew; nothing outside a terminal. A line that is too long is cut by the terminal.
    pub(crate) fn live(&mut self, text: &str) {
        if self.is_terminal {
            self.write(&format!("\r\x1b[2K\x1b[?7l{text}\x1b[?7h"));
            self.is_drawn = true;
        }
    }

    /// Takes the live line away.
    pub(crate) fn clear(&mut self) {
        if self.is_drawn {
            self.write("\r\x1b[2K");
            self.is_drawn = false;
        }
    }

    /// Chatter that nobody can read any more is not a failure.
    fn write(&mut self, text: &str) {
        let _ = self.to.write_all(text.as_bytes()).and_then(|()| self.to.flush());
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests {
    use crate::test_screen::TestScreen;

    #[test]
    fn a_live_line_makes_way_for_lines_that_stay() {
        let test = TestScreen::terminal();
        let mut screen = test.screen();
        screen.live("1 s");
        screen.line("done");
        drop(screen);
        assert_eq!(test.text(), "\r\x1b[2K\x1b[?7l1 s\x1b[?7h\r\x1b[2Kdone\n");
    }

    #[test]
    fn outside_a_terminal_only_lines_that_stay_are_printed() {
        let test = TestScreen::file();
        let mut screen = test.screen();
        screen.live("1 s");
        screen.line("done");
        drop(screen);
        assert_eq!(test.text(), "done\n");
    }
}
