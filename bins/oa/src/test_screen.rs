//! A screen whose text a test can read.

use std::cell::RefCell;
use std::io::{self, Write};
use std::rc::Rc;

use crate::output::{Screen, Style};

/// Keeps what is written to its screens.
pub(crate) struct TestScreen {
    text: Rc<RefCell<Vec<u8>>>,
    is_terminal: bool,
}

impl TestScreen {
    pub(crate) fn terminal() -> Self {
        Self { text: Rc::default(), is_terminal: true }
    }

    pub(crate) fn file() -> Self {
        Self { text: Rc::default(), is_terminal: false }
    }

    pub(crate) fn screen(&self) -> Screen {
        Screen::new(Box::new(Shared(Rc::clone(&self.text))), Style::plain(), self.is_terminal)
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.text.borrow()).into_owned()
    }
}

struct Shared(Rc<RefCell<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
