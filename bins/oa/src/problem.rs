//! An error in three lines: what failed, why, what to do next.

use std::fmt;
use std::io;

use oa_api::ClientError;

use crate::exit::Exit;
use crate::output::{Style, printable, say};

/// Why a command did not do what it was asked.
#[derive(Debug)]
pub(crate) struct Problem {
    what: String,
    why: String,
    next: Option<String>,
    request_id: Option<String>,
    exit: Exit,
}

impl Problem {
    /// `what` failed because of `why`.
    pub(crate) fn new(what: impl Into<String>, why: impl fmt::Display) -> Self {
        Self {
            what: what.into(),
            why: why.to_string(),
            next: None,
            request_id: None,
            exit: Exit::Failed,
        }
    }

    /// `what` failed in a request to a node.
    pub(crate) fn client(what: impl Into<String>, error: &ClientError) -> Self {
        let mut problem = Self::new(what, chain(error)).exit_with(exit_of(error));
        problem.next = error.hint();
        problem.request_id = error.request_id().map(str::to_owned);
        problem
    }

    /// Adds what to do next.
    pub(crate) fn next(mut self, next: impl Into<String>) -> Self {
        self.next = Some(next.into());
        self
    }

    /// Adds what to do next, unless something better is known.
    pub(crate) fn or_next(mut self, next: impl Into<String>) -> Self {
        self.next.get_or_insert_with(|| next.into());
        self
    }

    /// Ends the command with `exit`.
    pub(crate) fn exit_with(mut self, exit: Exit) -> Self {
        self.exit = exit;
        self
    }

    /// How the command ends.
    pub(crate) fn exit(&self) -> Exit {
        self.exit
    }

    /// Prints it to standard error.
    pub(crate) fn print(&self, style: Style, verbose: bool) {
        if self.exit == Exit::Ok {
            return;
        }
        say(format_args!("{} {}", style.red("error:"), self.what));
        // What a unit printed last may be part of the reason.
        for (at, line) in self.why.lines().enumerate() {
            let start = if at == 0 { "  why: " } else { "       " };
            say(format_args!("{start}{}", printable(line)));
        }
        if let Some(next) = &self.next {
            say(format_args!("  try: {next}"));
        }
        if let Some(id) = self.request_id.as_ref().filter(|_| verbose) {
            say(format_args!("  request: {id}"));
        }
    }
}

/// Output that cannot be written. A closed pipe, as `oa … | head` leaves, is no failure.
impl From<io::Error> for Problem {
    fn from(error: io::Error) -> Self {
        let exit = if error.kind() == io::ErrorKind::BrokenPipe { Exit::Ok } else { Exit::Failed };
        Self::new("the result cannot be written", error).exit_with(exit)
    }
}

fn exit_of(error: &ClientError) -> Exit {
    match error {
        ClientError::Refused { status: 404, .. } => Exit::NotFound,
        ClientError::Refused { status: 400..=499, .. } | ClientError::Unauthorized { .. } => {
            Exit::Refused
        }
        ClientError::Timeout { .. } => Exit::TimedOut,
        ClientError::BadUrl { .. } | ClientError::BadToken => Exit::Usage,
        _ => Exit::Failed,
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16) -> ClientError {
        ClientError::Refused {
            request: "GET /x".into(),
            status,
            code: "x".into(),
            message: "no".into(),
            hint: None,
            request_id: None,
        }
    }

    #[test]
    fn exit_codes_tell_refused_missing_late_and_failed_apart() {
        assert_eq!(exit_of(&refused(404)), Exit::NotFound);
        assert_eq!(exit_of(&refused(409)), Exit::Refused);
        assert_eq!(exit_of(&refused(403)), Exit::Refused);
        assert_eq!(exit_of(&refused(500)), Exit::Failed);
        assert_eq!(
            exit_of(&ClientError::Unauthorized { url: "u".into(), had_token: false }),
            Exit::Refused
        );
        let late = ClientError::Timeout {
            url: "u".into(),
            request: "r".into(),
            after: std::time::Duration::ZERO,
        };
        assert_eq!(exit_of(&late), Exit::TimedOut);
    }

    #[test]
    fn a_closed_pipe_is_no_failure() {
        assert_eq!(Problem::from(io::Error::from(io::ErrorKind::BrokenPipe)).exit(), Exit::Ok);
        assert_eq!(Problem::from(io::Error::from(io::ErrorKind::StorageFull)).exit(), Exit::Failed);
    }
}
