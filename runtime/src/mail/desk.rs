//! Takes the deliveries of one mailbox and sees to it that each is settled.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::accept::{Accept, Handled, Report};
use super::lane::Lane;
use super::mailbox::Mailbox;
use super::office::PostOffice;
use super::replies::Question;
use crate::failure::Failure;
use crate::parcel::Outcome;
use crate::supervision::Backoff;
use crate::transport::{
    Address, Admission, DedupWindow, Delivery, Envelope, Settled, Settlement, Sink,
};

/// How long a delivery is held when its actor has ended, before somebody else gets it.
const HOLD_FOR_ENDED: Duration = Duration::from_secs(1);
/// How long a delivery rests that failed for no fault of its own.
const REST_WITHOUT_BLAME: Duration = Duration::from_secs(1);

/// Takes the deliveries of one mailbox.
pub(super) struct Desk {
    office: PostOffice,
    address: Address,
    accepted: HashMap<&'static str, Box<dyn Accept>>,
    attempts: u32,
    retry: Backoff,
    seen: Mutex<DedupWindow>,
    lane: Lane,
    closing: AtomicBool,
    /// Deliveries that nobody here will handle, since the system has ended while the subscription is open. They are
    /// held until it is closed: given back now they would come again at once, for ever.
    stranded: Mutex<Vec<Slip>>,
    me: Weak<Desk>,
}

/// What is needed to settle a delivery once it was handled.
struct Slip {
    settlement: Settlement,
    /// Key in the window of seen messages; absent for questions, which are answered each time.
    key: Option<String>,
    attempt: u32,
    question: Option<Question>,
}

impl Desk {
    pub(super) fn new(office: PostOffice, mailbox: Mailbox) -> Arc<Self> {
        let Mailbox { address, accepted, attempts, retry, dedup: (keys, period), .. } = mailbox;
        Arc::new_cyclic(|me| Self {
            office,
            address,
            accepted,
            attempts,
            retry,
            seen: Mutex::new(DedupWindow::new(keys, period)),
            lane: Lane::default(),
            closing: AtomicBool::new(false),
            stranded: Mutex::default(),
            me: me.clone(),
        })
    }

    /// No delivery waits for an actor any more; those that do are given back.
    pub(super) fn close(&self) {
        self.closing.store(true, Ordering::Release);
        self.lane.clear();
        let stranded =
            std::mem::take(&mut *self.stranded.lock().unwrap_or_else(PoisonError::into_inner));
        stranded.into_iter().for_each(|slip| self.settle(slip, Settled::Release));
    }

    /// Why a delivery must not be handled, if it must not.
    fn objection(&self, envelope: &Envelope) -> Option<String> {
        if let Err(why) = self.office.verify(envelope) {
            return Some(format!("not trusted: {why}"));
        }
        if !self.accepted.contains_key(envelope.name.as_str()) {
            return Some(format!("`{}` has no handler for `{}`", self.address, envelope.name));
        }
        None
    }

    fn admit(&self, envelope: &Envelope, settlement: Settlement) -> Option<Slip> {
        let attempt = envelope.attempt;
        if let Some(question) = Question::of(envelope) {
            return Some(Slip { settlement, key: None, attempt, question: Some(question) });
        }
        let key = envelope.idempotency_key();
        let admission = {
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            seen.admit(&key, settlement, Instant::now())
        };
        match admission {
            Admission::New(settlement) => {
                Some(Slip { settlement, key: Some(key), attempt, question: None })
            }
            Admission::Duplicate(settlement) => {
                settlement.done();
                None
            }
            Admission::Joined => None,
        }
    }

    /// Settles a delivery by what became of it.
    fn handled(&self, slip: Slip, handled: Handled) {
        if let Some(answer) = slip.question.as_ref().and_then(|question| question.answer(&handled))
        {
            self.answer(answer, slip);
            return;
        }
        let how = match handled {
            Outcome::Handled(Ok(_)) => Settled::Done,
            Outcome::Handled(Err(failure)) | Outcome::Crashed(failure) => {
                self.after_failure(&failure, slip.attempt)
            }
            Outcome::NotHandled => {
                self.give_back(slip);
                return;
            }
        };
        self.settle(slip, how);
    }

    fn after_failure(&self, failure: &Failure, attempt: u32) -> Settled {
        let mailbox = &self.address;
        if failure.is_blameless() {
            tracing::debug!(%mailbox, attempt, "a delivery waits for what its actor needs: {failure:#}");
            return Settled::Retry { after: Some(REST_WITHOUT_BLAME) };
        }
        if failure.is_retryable() && attempt < self.attempts {
            let after = self.retry.delay(attempt);
            tracing::warn!(%mailbox, attempt, ?after, "a delivery failed and is retried: {failure:#}");
            return Settled::Retry { after: Some(after) };
        }
        tracing::error!(%mailbox, attempt, "a delivery failed and is parked: {failure:#}");
        Settled::Park { reason: failure.chain() }
    }

    /// The answer is confirmed before the question is settled.
    fn answer(&self, answer: Envelope, slip: Slip) {
        let Some(desk) = self.me.upgrade() else { return };
        self.office.run(async move {
            if let Err(error) = desk.office.publish(answer).await {
                tracing::debug!(mailbox = %desk.address, "an answer was not taken: {error}");
                // Too long, perhaps. One who waits hears at least that; one who has gone is not reached anyway.
                if let Some(question) = slip.question.as_ref().filter(|_| !error.is_retryable()) {
                    let failure = Failure::permanent(format!("the answer cannot be sent: {error}"));
                    let _ = desk.office.publish(question.failure(&failure)).await;
                }
            }
            desk.settle(slip, Settled::Done);
        });
    }

    /// The actor has ended. Somebody else may take the delivery, or it itself after a restart of the node.
    fn give_back(&self, slip: Slip) {
        let held = ReleasedOnDrop { slip: Some(slip), desk: self.me.clone() };
        if self.closing.load(Ordering::Acquire) {
            return;
        }
        tracing::warn!(mailbox = %self.address, "a delivery is given back: its actor has ended, or it came too late");
        self.office.run(async move {
            tokio::time::sleep(HOLD_FOR_ENDED).await;
            drop(held);
        });
    }

    fn settle(&self, slip: Slip, how: Settled) {
        let joined = match &slip.key {
            Some(key) => {
                let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
                seen.settled(key, &how, Instant::now())
            }
            None => Vec::new(),
        };
        // Not under the lock: a transport may deliver the next one from within.
        slip.settlement.settle(how.clone());
        joined.into_iter().for_each(|settlement| settlement.settle(how.clone()));
    }
}

impl Sink for Desk {
    fn deliver(&self, delivery: Delivery) {
        let Delivery { envelope, settlement } = delivery;
        if envelope.is_expired() {
            tracing::debug!(mailbox = %self.address, name = envelope.name, "a delivery came too late for its asker");
            settlement.done();
            return;
        }
        if let Some(reason) = self.objection(&envelope) {
            tracing::error!(mailbox = %self.address, id = %envelope.message_id, "a delivery is parked: {reason}");
            settlement.park(reason);
            return;
        }
        let Some(slip) = self.admit(&envelope, settlement) else { return };
        let Some(accept) = self.accepted.get(envelope.name.as_str()) else { return };
        let me = self.me.clone();
        let report: Report = Box::new(move |handled| {
            // Without the desk the slip is dropped, and the delivery retried.
            if let Some(desk) = me.upgrade() {
                desk.handled(slip, handled);
            }
        });
        match accept.accept(&envelope, report, self.lane.is_busy()) {
            Ok(None) => {}
            Ok(Some(waits)) => {
                if self.lane.push(waits)
                    && let Some(desk) = self.me.upgrade()
                {
                    self.office.run(async move { desk.lane.walk().await });
                }
            }
            Err((error, report)) => {
                report(Outcome::Handled(Err(Failure::from(error))));
            }
        }
    }
}

/// Releases a delivery, also when the thread that holds it ends.
struct ReleasedOnDrop {
    slip: Option<Slip>,
    desk: Weak<Desk>,
}

impl Drop for ReleasedOnDrop {
    fn drop(&mut self) {
        let Some(slip) = self.slip.take() else { return };
        match self.desk.upgrade() {
            Some(desk) if desk.office.has_ended() && !desk.closing.load(Ordering::Acquire) => {
                desk.stranded.lock().unwrap_or_else(PoisonError::into_inner).push(slip);
            }
            Some(desk) => desk.settle(slip, Settled::Release),
            None => slip.settlement.release(),
        }
    }
}
