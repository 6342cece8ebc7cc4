//! Messages that their actor did not live to handle.

use tokio::sync::broadcast;

use crate::path::ActorPath;

/// A message that was queued and then not handled, since its actor ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeadLetter {
    /// Where it waited.
    pub path: ActorPath,
    /// Type of the message.
    pub message: &'static str,
}

/// How many dead letters a slow listener may be behind before it misses some.
const KEPT: usize = 256;

/// Tells listeners about dead letters.
pub(crate) struct DeadLetters {
    sender: broadcast::Sender<DeadLetter>,
}

impl Default for DeadLetters {
    fn default() -> Self {
        Self { sender: broadcast::channel(KEPT).0 }
    }
}

impl DeadLetters {
    pub(crate) fn listen(&self) -> broadcast::Receiver<DeadLetter> {
        self.sender.subscribe()
    }

    pub(crate) fn report(&self, path: &ActorPath, message: &'static str) {
        tracing::debug!(%path, message, "a message was not handled: its actor has ended");
        // Nobody needs to listen.
        let _ = self.sender.send(DeadLetter { path: path.clone(), message });
    }
}
