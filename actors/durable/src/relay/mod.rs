//! Hands over what an outbox holds.
//!
//! ```text
//! commit ──► wake-up ──► due rows ──► publish, up to 100 at once ─┬─► confirmed: marked with the next commit
//!                           ▲                                     ├─► the message is at fault: later, then parked
//!                           └── a look each second ◄──────────────┴─► its way is closed: later, until it opens
//! ```
//!
//! No row is claimed on disk: one relay serves an outbox, and what a crash makes it publish twice has the same id.
//! A message that is refused is parked, one that finds no mailbox after [`RelayConfig::tries`]. A broker that is
//! away is no fault of any message, and is waited for as long as it takes.

mod config;
mod outage;
mod outcome;

use std::collections::HashSet;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use oa_runtime::{Envelope, PostOffice, PublishError};
use sea_orm::DbErr;
use tokio::time::{Instant, sleep_until, timeout};

pub use self::config::RelayConfig;
use self::outage::{Outages, Verdict};
use self::outcome::Outcome;
use crate::database::Written;
use crate::error::WriteError;
use crate::outbox::{LONGEST_REST_MS, Outbox, OutboxRow};
use crate::sql;

/// Takes envelopes and resolves once the other side has them for good; a [`PostOffice`] in production.
pub trait Publisher: Send + Sync + 'static {
    /// Publishes one envelope.
    fn publish(&self, envelope: Envelope) -> BoxFuture<'_, Result<(), PublishError>>;
}

impl Publisher for PostOffice {
    fn publish(&self, envelope: Envelope) -> BoxFuture<'_, Result<(), PublishError>> {
        self.publish_for_good(envelope).boxed()
    }
}

/// How often the backlog is measured.
const MEASURE: Duration = Duration::from_secs(5);
/// Rows that may be on their way or wait for their mark; beyond them the relay only waits.
const HELD: usize = 1_000;
/// Outcomes that are worth a commit of their own.
const MANY: usize = 64;
/// Rest after the database refused something.
const TROUBLE: Duration = Duration::from_secs(1);

/// Hands over what one outbox holds.
pub struct Relay<P> {
    outbox: Outbox,
    publisher: Arc<P>,
    config: RelayConfig,
    /// Rows that are on their way or wait for their mark: still pending in the table.
    held: HashSet<String>,
    outcomes: Vec<Outcome>,
    outages: Outages,
    next_look: Instant,
    next_mark: Instant,
    next_measure: Instant,
}

/// A message that has been tried.
type Landed = (OutboxRow, Result<(), PublishError>);
type Flights = FuturesUnordered<BoxFuture<'static, Landed>>;
/// Writes of outcomes.
type Markings = FuturesUnordered<BoxFuture<'static, (Vec<Outcome>, Written<()>)>>;

/// The database was closed.
struct Closed;

impl<P: Publisher> Relay<P> {
    /// Runs until the database is closed or the future is dropped. What was on its way then may be published once
    /// more by the next relay.
    pub async fn run(outbox: Outbox, publisher: P, config: RelayConfig) {
        let now = Instant::now();
        let relay = Self {
            outbox,
            publisher: Arc::new(publisher),
            config,
            held: HashSet::new(),
            outcomes: Vec::new(),
            outages: Outages::default(),
            next_look: now,
            next_mark: now,
            next_measure: now,
        };
        let Err(Closed) = relay.serve().await;
    }

    async fn serve(mut self) -> Result<std::convert::Infallible, Closed> {
        let outbox = self.outbox.clone();
        let mut flights = Flights::new();
        let mut markings = Markings::new();
        loop {
            self.look(&mut flights).await?;
            self.measure().await;
            self.mark(&mut markings);
            let next = self.next_event(flights.len(), markings.len());
            tokio::select! {
                Some(landed) = flights.next() => self.land(landed),
                Some((outcomes, written)) = markings.next() => self.marked(outcomes, written)?,
                () = outbox.notified() => self.next_look = Instant::now(),
                () = sleep_until(next) => {}
            }
        }
    }

    /// Sends due rows on their way, as far as there is room.
    async fn look(&mut self, flights: &mut Flights) -> Result<(), Closed> {
        let now = Instant::now();
        if self.next_look > now || !self.has_room(flights.len()) {
            return Ok(());
        }
        let room = self.config.window - flights.len();
        // Held rows are still pending, so they come too.
        let limit = room + self.held.len();
        let rows = match self.outbox.due(limit as u64, sql::now_ms()).await {
            Ok(rows) => rows,
            Err(DbErr::ConnectionAcquire(sea_orm::ConnAcquireErr::ConnectionClosed)) => {
                return Err(Closed);
            }
            Err(cause) => {
                if crate::storage_error(&cause).is_none() {
                    tracing::warn!(error = &cause as &dyn Error, "failed to read the outbox");
                }
                self.next_look = now + TROUBLE;
                return Ok(());
            }
        };
        self.next_look = if rows.len() < limit { now + self.config.look } else { now };
        for row in rows {
            if self.held.insert(row.id.clone()) {
                self.start(row, flights, now);
            }
        }
        Ok(())
    }

    /// Sends one row on its way, or says why it does not go.
    fn start(&mut self, row: OutboxRow, flights: &mut Flights, now: Instant) {
        let mailbox = (row.exchange.clone(), row.mailbox.clone());
        if let Verdict::Wait { rest, why } =
            self.outages.admit(&mailbox, &self.config.outage_rest, now)
        {
            return self.postpone(row.id, rest, why, 0);
        }
        match row.envelope() {
            Ok(envelope) => {
                flights.push(
                    hand_over(Arc::clone(&self.publisher), row, envelope, self.config.limit)
                        .boxed(),
                );
            }
            Err(cause) => self.park(row.id, format!("the message cannot be read: {cause}")),
        }
    }

    /// Judges a try.
    fn land(&mut self, (row, result): Landed) {
        let mailbox = (row.exchange.clone(), row.mailbox.clone());
        let error = match result {
            Ok(()) => {
                metrics::counter!("oa_outbox_sent_total", "database" => self.label()).increment(1);
                self.outcomes.push(Outcome::Sent { id: row.id });
                if self.outages.succeeded(&mailbox) {
                    let (exchange, mailbox) = mailbox;
                    self.outcomes.push(Outcome::Reopened { exchange, mailbox });
                }
                return;
            }
            Err(error) => error,
        };
        metrics::counter!("oa_outbox_failed_tries_total", "database" => self.label()).increment(1);
        if way_is_closed(&error) {
            let rest =
                self.outages.failed(mailbox, &error, &self.config.outage_rest, Instant::now());
            return self.postpone(row.id, rest, error.to_string(), 0);
        }
        let tries = row.tries + 1;
        if error.is_retryable() && tries < self.config.tries {
            self.postpone(row.id, self.config.rest.delay(tries), error.to_string(), 1);
        } else {
            self.park(row.id, error.to_string());
        }
    }

    fn postpone(&mut self, id: String, rest: Duration, why: String, counted: u32) {
        let rest_ms = i64::try_from(rest.as_millis()).unwrap_or(i64::MAX);
        self.outcomes.push(Outcome::Postponed {
            id,
            at_ms: sql::now_ms().saturating_add(rest_ms.min(LONGEST_REST_MS)),
            why,
            counted,
        });
    }

    fn park(&mut self, id: String, why: String) {
        tracing::error!(
            message_id = id,
            why,
            "a message is parked: nobody will hand it over without a person"
        );
        metrics::counter!("oa_outbox_parked_total", "database" => self.label()).increment(1);
        self.outcomes.push(Outcome::Parked { id, why });
    }

    /// Writes outcomes: many at once, few with the next commit that somebody else causes.
    fn mark(&mut self, markings: &mut Markings) {
        if !self.may_mark(markings.len()) || self.next_mark > Instant::now() {
            return;
        }
        let patience =
            if self.outcomes.len() < MANY { self.config.patience } else { Duration::ZERO };
        let outcomes = std::mem::take(&mut self.outcomes);
        markings.push(outcome::write(self.outbox.database().clone(), outcomes, patience).boxed());
    }

    fn may_mark(&self, markings: usize) -> bool {
        self.outcomes.len() >= MANY || (markings == 0 && !self.outcomes.is_empty())
    }

    /// Forgets what is on disk now, or keeps it for another try.
    fn marked(&mut self, outcomes: Vec<Outcome>, written: Written<()>) -> Result<(), Closed> {
        match written {
            Ok(()) => {
                oa_crash_points::crash_point!(RelayMarked);
                for outcome in outcomes {
                    if let Some(id) = outcome.id() {
                        self.held.remove(id);
                    }
                    // Only now: while it is held, a look would pass it over.
                    if let Some(rest) = outcome.rest(sql::now_ms()) {
                        self.next_look = self.next_look.min(Instant::now() + rest);
                    }
                }
                Ok(())
            }
            Err(WriteError::Closed) => Err(Closed),
            Err(cause) => {
                // What is wrong with the disk is said by the database, once.
                if cause.storage().is_none() {
                    tracing::warn!(
                        error = &cause as &dyn Error,
                        "failed to mark what was handed over"
                    );
                }
                self.outcomes.splice(0..0, outcomes);
                self.next_mark = Instant::now() + TROUBLE;
                Ok(())
            }
        }
    }

    /// Half a window is refilled at once, so that a busy relay does not read the table for each confirm.
    fn has_room(&self, flights: usize) -> bool {
        flights <= self.config.window / 2 && self.held.len() < HELD
    }

    /// When to wake up if nothing else happens before.
    fn next_event(&self, flights: usize, markings: usize) -> Instant {
        let mut next = self.next_measure;
        if self.has_room(flights) {
            next = next.min(self.next_look);
        }
        if self.may_mark(markings) {
            next = next.min(self.next_mark);
        }
        next
    }

    async fn measure(&mut self) {
        let now = Instant::now();
        if self.next_measure > now {
            return;
        }
        self.next_measure = now + MEASURE;
        if let Ok(backlog) = self.outbox.backlog().await {
            let age_ms = backlog
                .oldest_at_ms
                .map_or(0, |oldest| sql::now_ms().saturating_sub(oldest).max(0));
            metrics::gauge!("oa_outbox_pending", "database" => self.label())
                .set(backlog.pending as f64);
            metrics::gauge!("oa_outbox_parked", "database" => self.label())
                .set(backlog.parked as f64);
            metrics::gauge!("oa_outbox_oldest_seconds", "database" => self.label())
                .set(age_ms as f64 / 1000.0);
        }
        metrics::gauge!("oa_outbox_closed_mailboxes", "database" => self.label())
            .set(self.outages.count() as f64);
    }

    fn label(&self) -> String {
        self.outbox.database().label().to_owned()
    }
}

async fn hand_over<P: Publisher>(
    publisher: Arc<P>,
    row: OutboxRow,
    envelope: Envelope,
    limit: Duration,
) -> Landed {
    oa_crash_points::crash_point!(RelayBeforePublish);
    let result = timeout(limit, publisher.publish(envelope)).await;
    oa_crash_points::crash_point!(RelayAfterPublish);
    (row, result.unwrap_or(Err(PublishError::Timeout { after: limit })))
}

/// Whether nothing got through that way, whatever the message.
fn way_is_closed(error: &PublishError) -> bool {
    matches!(
        error,
        PublishError::Unavailable { .. } | PublishError::Timeout { .. } | PublishError::Full { .. }
    )
}
