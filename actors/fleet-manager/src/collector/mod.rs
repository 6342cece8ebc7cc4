//! Brings the records of a cluster's runs to the Manager.
//!
//! ```text
//! Manager: where were we? ─► engine: what came after? ─► Manager: keep this ─┐
//!                                     ▲                                      │ kept
//!                                     └──────────────────────────────────────┘
//! ```
//!
//! The place up to which records are kept is kept with them, so whatever ends in between, the next one goes on where
//! the records stop: each arrives at least once, and counts once.

use std::sync::Arc;
use std::time::Duration;

use oa_fleet::Engine;
use oa_protocol::metering::{IntervalPage, RecordIntervals};
use oa_protocol::{EtcdToken, mailbox};
use oa_runtime::{PostOffice, Recipient};
use tokio::time::sleep;

use crate::refusal;

/// Records of one message.
const PAGE: u32 = 200;
/// How long the engine may wait for news.
const WAIT: Duration = Duration::from_secs(20);
/// How long the Manager may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// Pauses after a failure: they double up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// With this pause a failure is said aloud: what takes longer is no hiccup.
const SAID_AT: Duration = Duration::from_secs(4);

/// Collects from one cluster.
pub(crate) struct Collector {
    token: EtcdToken,
    exchange: String,
    engine: Arc<dyn Engine>,
    manager: Recipient<RecordIntervals>,
    pause: Duration,
}

impl Collector {
    pub(crate) fn new(token: EtcdToken, engine: Arc<dyn Engine>, post_office: &PostOffice) -> Self {
        let manager = post_office.recipient(&post_office.address(mailbox::MANAGER));
        let exchange = post_office.exchange().to_owned();
        Self { token, exchange, engine, manager, pause: FIRST_PAUSE }
    }

    /// Collects as long as the engine keeps records.
    pub(crate) async fn run(mut self) {
        let mut cursor = self.record(IntervalPage::default()).await;
        loop {
            let asked = self.engine.intervals(cursor.as_deref(), PAGE, WAIT).await;
            let page = match asked {
                Ok(None) => return,
                Ok(Some(page)) => page,
                Err(error) => {
                    let why = refusal::from_engine(&error).message;
                    self.failed("the engine gave no records of runs", &why).await;
                    continue;
                }
            };
            if cursor.as_ref() != Some(&page.next) {
                cursor = self.record(page).await;
            }
        }
    }

    /// Has a page kept, however long that takes; where to go on. An empty page without a place only asks for that.
    async fn record(&mut self, page: IntervalPage) -> Option<String> {
        let message = RecordIntervals {
            etcd_token: self.token.clone(),
            exchange: self.exchange.clone(),
            intervals: page.intervals,
            cursor: Some(page.next).filter(|next| !next.is_empty()),
        };
        loop {
            match self.manager.ask(message.clone(), ANSWER_WITHIN).await {
                Ok(Ok(cursor)) => {
                    self.pause = FIRST_PAUSE;
                    return cursor;
                }
                Ok(Err(refusal)) => {
                    let why = refusal.to_string();
                    self.failed("the Manager did not keep records of runs", &why).await;
                }
                Err(error) => self.failed("the Manager did not answer", &error.to_string()).await,
            }
        }
    }

    /// Waits a while; says once what lasts.
    async fn failed(&mut self, what: &str, why: &str) {
        let cluster = &self.token;
        if self.pause == SAID_AT {
            tracing::warn!(%cluster, "{what}: {why}; nothing is lost, it is tried again");
        } else {
            tracing::debug!(%cluster, "{what}: {why}");
        }
        sleep(self.pause).await;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
    }
}

#[cfg(test)]
mod tests;
