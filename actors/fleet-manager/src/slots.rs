//! Keeps one slow cluster, or many readers of logs, from taking all workers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use oa_protocol::EtcdToken;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config::FleetManagerConfig;

/// Longest wait for a log line.
const LONGEST_WAIT: Duration = Duration::from_secs(20);
/// Wait for a log line when too many wait already: the reader asks again.
const SHORT_WAIT: Duration = Duration::from_millis(250);

/// The places that questions take while they are answered.
#[derive(Debug, Clone)]
pub(crate) struct Slots {
    clusters: BTreeMap<EtcdToken, Arc<Semaphore>>,
    waiting: Arc<Semaphore>,
}

impl Slots {
    pub(crate) fn new<'a>(
        config: &FleetManagerConfig,
        clusters: impl Iterator<Item = &'a EtcdToken>,
    ) -> Self {
        let share = || Arc::new(Semaphore::new(config.per_cluster.max(1)));
        Self {
            clusters: clusters.map(|token| (token.clone(), share())).collect(),
            waiting: Arc::new(Semaphore::new(config.waiting)),
        }
    }

    /// A place for a question about `cluster`; `None` if its share is used up.
    pub(crate) fn ask(&self, cluster: &EtcdToken) -> Option<OwnedSemaphorePermit> {
        self.clusters.get(cluster).and_then(|share| Arc::clone(share).try_acquire_owned().ok())
    }

    /// How long a reader may wait, and its place.
    pub(crate) fn wait(&self, wanted: Duration) -> (Duration, Option<OwnedSemaphorePermit>) {
        if wanted <= SHORT_WAIT {
            return (wanted, None);
        }
        match Arc::clone(&self.waiting).try_acquire_owned() {
            Ok(place) => (wanted.min(LONGEST_WAIT), Some(place)),
            Err(_) => (SHORT_WAIT, None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(text: &str) -> EtcdToken {
        EtcdToken::new(text).expect("a valid token")
    }

    fn slots() -> Slots {
        let config = FleetManagerConfig { workers: 4, per_cluster: 2, waiting: 1 };
        Slots::new(&config, [token("a"), token("b")].iter())
    }

    #[test]
    fn a_slow_cluster_gets_only_its_share() {
        let slots = slots();
        let held = (slots.ask(&token("a")), slots.ask(&token("a")));
        assert!(held.0.is_some() && held.1.is_some());
        assert!(slots.ask(&token("a")).is_none());
        assert!(slots.ask(&token("b")).is_some());
        drop(held);
        assert!(slots.ask(&token("a")).is_some());
    }

    #[test]
    fn readers_beyond_the_limit_wait_a_moment_only() {
        let slots = slots();
        let long = Duration::from_secs(60);
        let (wait, _place) = slots.wait(long);
        assert_eq!(wait, LONGEST_WAIT);
        assert_eq!(slots.wait(long).0, SHORT_WAIT);
        assert_eq!(slots.wait(Duration::ZERO).0, Duration::ZERO);
    }
}
