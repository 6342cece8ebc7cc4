//! For tests of what holds a [`Recipient`]: the other end, in the hands of the test.
//!
//! ```
//! use std::time::Duration;
//! use oa_runtime::{Message, testkit};
//!
//! struct Double(u32);
//! impl Message for Double {
//!     type Reply = u32;
//! }
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! let (recipient, mut inbox) = testkit::inbox::<Double>(8);
//! let asks = async { recipient.ask(Double(4), Duration::from_secs(1)).await };
//! let answers = async {
//!     let received = inbox.next().await.expect("one is asked");
//!     let answer = received.message().0 * 2;
//!     received.answer(Ok(answer));
//! };
//! let (answer, ()) = tokio::join!(asks, answers);
//! assert_eq!(answer, Ok(8));
//! # });
//! # Ok::<(), std::io::Error>(())
//! ```

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

use crate::failure::Failure;
use crate::message::Message;
use crate::parcel::{Answer, Origin, Outcome, Parcel};
use crate::recipient::{Port, Recipient};
use crate::send_error::{AskError, TellError};

/// A recipient and the end where its messages arrive; `capacity` may wait there.
#[must_use]
pub fn inbox<M: Message>(capacity: usize) -> (Recipient<M>, Inbox<M>) {
    let (sender, parcels) = mpsc::channel(capacity.max(1));
    (Recipient::new(Arc::new(Outbox { sender })), Inbox { parcels })
}

/// Where the messages arrive. When it is dropped, its recipients are told that the actor has stopped.
pub struct Inbox<M: Message> {
    parcels: mpsc::Receiver<Parcel<M>>,
}

impl<M: Message> Inbox<M> {
    /// The next message; `None` once every recipient is dropped.
    pub async fn next(&mut self) -> Option<Received<M>> {
        self.parcels.recv().await.map(Received::new)
    }

    /// A message that is there already.
    pub fn try_next(&mut self) -> Option<Received<M>> {
        self.parcels.try_recv().ok().map(Received::new)
    }
}

impl<M: Message> fmt::Debug for Inbox<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox").field("waiting", &self.parcels.len()).finish()
    }
}

/// A message that arrived. Dropping it leaves an asker without an answer, as a crash does.
pub struct Received<M: Message> {
    message: M,
    answer: Answer<M::Reply>,
}

impl<M: Message> Received<M> {
    fn new(parcel: Parcel<M>) -> Self {
        let Parcel { message, mut answer, .. } = parcel;
        answer.taken_in_hand();
        Self { message, answer }
    }

    /// The message.
    pub fn message(&self) -> &M {
        &self.message
    }

    /// The message, for tells.
    pub fn into_message(self) -> M {
        self.message
    }

    /// Answers as a handler does that returns `result`; the message is given back.
    pub fn answer(self, result: Result<M::Reply, Failure>) -> M {
        self.answer.give(Outcome::Handled(result));
        self.message
    }
}

impl<M: Message> fmt::Debug for Received<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Received")
    }
}

struct Outbox<M: Message> {
    sender: mpsc::Sender<Parcel<M>>,
}

impl<M: Message> Port<M> for Outbox<M> {
    fn tell(self: Arc<Self>, message: M) -> Result<(), TellError<M>> {
        self.sender.try_send(Parcel::tell(message)).map_err(|error| match error {
            TrySendError::Full(parcel) => TellError::Full(parcel.message),
            TrySendError::Closed(parcel) => TellError::Stopped(parcel.message),
        })
    }

    fn send(self: Arc<Self>, message: M) -> BoxFuture<'static, Result<(), TellError<M>>> {
        Box::pin(async move {
            let sent = self.sender.send(Parcel::tell(message)).await;
            sent.map_err(|error| TellError::Stopped(error.0.message))
        })
    }

    fn ask(
        self: Arc<Self>,
        message: M,
        deadline: Duration,
    ) -> BoxFuture<'static, Result<M::Reply, AskError>> {
        Box::pin(async move {
            let (asker, answer) = oneshot::channel();
            let parcel =
                Parcel { message, answer: Answer::asker(asker), origin: Origin::Elsewhere };
            match self.sender.try_send(parcel) {
                Ok(()) => {}
                Err(TrySendError::Full(_)) => return Err(AskError::Full),
                Err(TrySendError::Closed(_)) => return Err(AskError::Stopped),
            }
            match tokio::time::timeout(deadline, answer).await {
                Ok(answer) => answer.unwrap_or(Err(AskError::Stopped)),
                Err(_) => Err(AskError::Timeout { after: deadline }),
            }
        })
    }

    fn target(&self) -> String {
        "inbox of a test".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Note(u32);

    impl Message for Note {
        type Reply = u32;
    }

    const SOON: Duration = Duration::from_secs(10);

    #[tokio::test]
    async fn the_inbox_gets_what_is_told_and_is_bounded() {
        let (recipient, mut inbox) = inbox::<Note>(1);
        recipient.tell(Note(1)).expect("there is room");
        assert!(matches!(recipient.tell(Note(2)), Err(TellError::Full(Note(2)))));
        assert_eq!(inbox.next().await.expect("one was told").into_message().0, 1);
        drop(inbox);
        assert!(matches!(recipient.send(Note(3)).await, Err(TellError::Stopped(Note(3)))));
    }

    #[tokio::test]
    async fn an_asker_hears_of_an_answer_that_never_comes() {
        let (recipient, mut inbox) = inbox::<Note>(1);
        let (answer, ()) = tokio::join!(recipient.ask(Note(1), SOON), async {
            drop(inbox.next().await.expect("one is asked"));
        });
        assert!(matches!(answer, Err(AskError::Failed { .. })));
    }
}
