//! What all requests share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusHandle;
use oa_runtime::{PostOffice, System};
use oa_store::Store;
use tokio::sync::{Notify, Semaphore};

use crate::auth::Authenticator;
use crate::config::ManagerConfig;
use crate::health::{Health, Trouble};
use crate::services::{ClusterService, FleetService, SystemEventService, WorkflowService};

/// How long a probe waits for the database.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

/// What all requests share.
pub(crate) struct App {
    /// How the Manager serves.
    pub(crate) config: ManagerConfig,
    /// Checks tokens.
    pub(crate) authenticator: Authenticator,
    /// Records of clusters.
    pub(crate) clusters: ClusterService,
    /// Questions to clusters.
    pub(crate) fleet: FleetService,
    /// Workflows.
    pub(crate) workflows: WorkflowService,
    /// System events.
    pub(crate) system_events: SystemEventService,
    /// The database, for probes.
    pub(crate) store: Store,
    /// The transport, for probes.
    pub(crate) post_office: PostOffice,
    /// What keeps parts of the node from their work.
    pub(crate) health: Health,
    /// The node's actors.
    pub(crate) system: System,
    /// What `/metrics` shows.
    pub(crate) prometheus: Option<PrometheusHandle>,
    /// Requests under way.
    pub(crate) traffic: Arc<Traffic>,
}

/// How what the node needs does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Readiness {
    /// Whether the database answers.
    pub(crate) database: bool,
    /// Whether messages can be sent.
    pub(crate) transport: bool,
    /// What keeps parts of the node from their work.
    pub(crate) troubles: Vec<Trouble>,
}

impl App {
    /// Looks whether the database answers, messages can be sent and every part can work.
    pub(crate) async fn readiness(&self) -> Readiness {
        let answered =
            tokio::time::timeout(PROBE_TIMEOUT, self.store.database().reader().ping()).await;
        let database = match answered {
            Ok(Ok(())) => true,
            Ok(Err(error)) => {
                tracing::warn!(error = %error, "the database does not answer");
                false
            }
            Err(_) => {
                tracing::warn!(within = ?PROBE_TIMEOUT, "the database did not answer in time");
                false
            }
        };
        let transport = self.post_office.transport().health().borrow().is_up();
        let own = self.store.database().trouble().borrow().clone();
        let mut troubles: Vec<Trouble> =
            own.map(|error| Trouble::of_storage("database", &error)).into_iter().collect();
        troubles.extend(self.health.troubles());
        Readiness { database, transport, troubles }
    }
}

/// Counts the requests under way, so that a stop can wait for them.
#[derive(Debug)]
pub(crate) struct Traffic {
    under_way: AtomicUsize,
    quiet: Notify,
    closing: AtomicBool,
    closed: Notify,
    long_polls: Semaphore,
}

/// A request under way, until it is dropped.
#[derive(Debug)]
pub(crate) struct UnderWay {
    traffic: Arc<Traffic>,
}

impl Traffic {
    /// No request yet; at most `max_long_polls` may wait at a time.
    pub(crate) fn new(max_long_polls: usize) -> Arc<Self> {
        Arc::new(Self {
            under_way: AtomicUsize::new(0),
            quiet: Notify::new(),
            closing: AtomicBool::new(false),
            closed: Notify::new(),
            long_polls: Semaphore::new(max_long_polls.min(Semaphore::MAX_PERMITS)),
        })
    }

    /// Counts a request until the answer is dropped.
    pub(crate) fn enter(self: &Arc<Self>) -> UnderWay {
        self.under_way.fetch_add(1, Ordering::AcqRel);
        UnderWay { traffic: Arc::clone(self) }
    }

    /// Ends every long poll and waits until no request is under way, at most `within`.
    pub(crate) async fn drain(&self, within: Duration) {
        self.closing.store(true, Ordering::Release);
        self.closed.notify_waiters();
        let quiet = async {
            loop {
                let notified = self.quiet.notified();
                if self.under_way.load(Ordering::Acquire) == 0 {
                    return;
                }
                notified.await;
            }
        };
        if tokio::time::timeout(within, quiet).await.is_err() {
            let under_way = self.under_way.load(Ordering::Acquire);
            tracing::warn!(under_way, "requests were still under way when the time to stop was up");
        }
    }

    /// Waits for `news`, at most `wait`; `None` if there was none, if too many wait already, or at a stop.
    pub(crate) async fn long_poll<T>(
        &self,
        wait: Duration,
        news: impl Future<Output = T>,
    ) -> Option<T> {
        if wait.is_zero() {
            return None;
        }
        let _permit = self.long_polls.try_acquire().ok()?;
        let _waiting = Waiting::begin();
        let closed = self.closed.notified();
        if self.closing.load(Ordering::Acquire) {
            return None;
        }
        tokio::select! {
            news = news => Some(news),
            () = closed => None,
            () = tokio::time::sleep(wait) => None,
        }
    }
}

/// Counts a long poll in the metrics while it waits.
struct Waiting;

impl Waiting {
    fn begin() -> Self {
        metrics::gauge!("oa_http_long_polls").increment(1);
        Self
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        metrics::gauge!("oa_http_long_polls").decrement(1);
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        if self.traffic.under_way.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.traffic.quiet.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_drain_ends_long_polls_and_waits_for_requests() {
        let traffic = Traffic::new(8);
        let request = traffic.enter();
        let poller = Arc::clone(&traffic);
        let poll = tokio::spawn(async move {
            let answer =
                poller.long_poll(Duration::from_secs(60), std::future::pending::<()>()).await;
            drop(request);
            answer
        });
        tokio::task::yield_now().await;
        let started = tokio::time::Instant::now();
        traffic.drain(Duration::from_secs(5)).await;
        assert_eq!(started.elapsed(), Duration::ZERO, "the request ended at once");
        assert_eq!(poll.await.expect("no panic"), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_drain_gives_up_at_its_limit() {
        let traffic = Traffic::new(8);
        let _request = traffic.enter();
        let started = tokio::time::Instant::now();
        traffic.drain(Duration::from_secs(5)).await;
        assert_eq!(started.elapsed(), Duration::from_secs(5));
    }

    #[tokio::test]
    async fn beyond_the_limit_a_long_poll_is_answered_at_once() {
        let traffic = Traffic::new(0);
        assert_eq!(
            traffic.long_poll(Duration::from_secs(60), std::future::pending::<()>()).await,
            None
        );
    }
}
