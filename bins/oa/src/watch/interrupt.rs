//! Ctrl-C while a workflow is watched: stop watching, or cancel it?
//!
//! The workflow goes on whatever happens here, so outside a terminal Ctrl-C only ends the watching. In a terminal a
//! person is asked once; a second Ctrl-C is the answer no.

use std::future::pending;
use std::io::{self, IsTerminal};
use std::thread;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

/// Every Ctrl-C from its making on.
pub(super) struct Interrupts {
    /// Without a handler the signal ends the program by itself.
    signal: Option<Signal>,
}

impl Interrupts {
    pub(super) fn new() -> Self {
        Self { signal: signal(SignalKind::interrupt()).ok() }
    }

    /// The next one.
    pub(super) async fn next(&mut self) {
        match &mut self.signal {
            Some(signal) => {
                signal.recv().await;
            }
            None => pending().await,
        }
    }

    /// Reads a line; another Ctrl-C, or the end of the input, is a no.
    pub(super) async fn is_yes(&mut self) -> bool {
        let (send, line) = oneshot::channel();
        // A thread of its own: nothing waits for it at the end, and it may never read a line.
        thread::spawn(move || {
            let mut line = String::new();
            let read = io::stdin().read_line(&mut line).map(|_| line);
            let _nobody_waits = send.send(read);
        });
        tokio::select! {
            line = line => {
                let line = line.ok().and_then(Result::ok).unwrap_or_default();
                ["y", "yes"].contains(&line.trim().to_lowercase().as_str())
            }
            () = self.next() => false,
        }
    }
}

/// Whether there is a person who can answer.
pub(super) fn can_ask() -> bool {
    io::stdin().is_terminal()
}
