//! Mailboxes that cannot be reached at the moment.
//!
//! One message in an outage is a probe; the others wait for what it finds, however many they are, and the outage
//! counts against none of them.

use std::collections::HashMap;
use std::time::Duration;

use oa_runtime::{Backoff, PublishError};
use tokio::time::Instant;

/// The outages that a relay knows of, by mailbox.
#[derive(Debug, Default)]
pub(super) struct Outages {
    by_mailbox: HashMap<(String, String), Outage>,
}

#[derive(Debug)]
struct Outage {
    rounds: u32,
    until: Instant,
    why: String,
}

/// What to do with a message that is due.
pub(super) enum Verdict {
    /// Publish it.
    Go,
    /// Leave it for this long.
    Wait { rest: Duration, why: String },
}

impl Outages {
    /// Whether a message may go now; in an outage whose rest is over, the first that asks becomes the probe.
    pub(super) fn admit(
        &mut self,
        mailbox: &(String, String),
        backoff: &Backoff,
        now: Instant,
    ) -> Verdict {
        let Some(outage) = self.by_mailbox.get_mut(mailbox) else { return Verdict::Go };
        if outage.until <= now {
            outage.rounds = outage.rounds.saturating_add(1);
            outage.until = now + backoff.delay(outage.rounds);
            return Verdict::Go;
        }
        Verdict::Wait { rest: outage.until - now, why: outage.why.clone() }
    }

    /// Notes that nothing gets through; returns how long to rest. Only probes make rests longer, not the many
    /// messages that fail together.
    pub(super) fn failed(
        &mut self,
        mailbox: (String, String),
        error: &PublishError,
        backoff: &Backoff,
        now: Instant,
    ) -> Duration {
        let why = error.to_string();
        match self.by_mailbox.get_mut(&mailbox) {
            None => {
                tracing::warn!(
                    exchange = mailbox.0,
                    mailbox = mailbox.1,
                    why,
                    "messages wait for their mailbox"
                );
                let rest = backoff.delay(1);
                self.by_mailbox.insert(mailbox, Outage { rounds: 1, until: now + rest, why });
                rest
            }
            Some(outage) => {
                outage.why = why;
                if outage.until <= now {
                    outage.until = now + backoff.delay(outage.rounds);
                }
                outage.until - now
            }
        }
    }

    /// Notes that a message got through; true if that ends an outage.
    pub(super) fn succeeded(&mut self, mailbox: &(String, String)) -> bool {
        let ended = self.by_mailbox.remove(mailbox).is_some();
        if ended {
            tracing::info!(
                exchange = mailbox.0,
                mailbox = mailbox.1,
                "the mailbox takes messages again"
            );
        }
        ended
    }

    /// How many mailboxes cannot be reached.
    pub(super) fn count(&self) -> usize {
        self.by_mailbox.len()
    }
}
