//! How a relay works.

use std::time::Duration;

use oa_runtime::Backoff;

/// How a [`Relay`](crate::Relay) works.
#[derive(Debug, Clone)]
pub struct RelayConfig {
    /// The most messages on their way at once. Default: 100.
    pub window: usize,
    /// Tries that a message gets. Default: 20.
    pub tries: u32,
    /// Rest of a message after a failed try, at most 2 min. Default: doubling from 0.5 s to 60 s.
    pub rest: Backoff,
    /// Rest of a mailbox that cannot be reached or has no room, at most 2 min. Default: doubling from
    /// 0.5 s to 10 s.
    pub outage_rest: Backoff,
    /// How long one hand-over may take. Default: 30 s.
    pub limit: Duration,
    /// How long the mark of a confirmed message may wait for a commit to ride with before it gets one of its own;
    /// a crash meanwhile means one more publication. Default: 100 ms.
    pub patience: Duration,
    /// How often the table is looked at without a wake-up. Default: 1 s.
    pub look: Duration,
}

impl Default for RelayConfig {
    fn default() -> Self {
        Self {
            window: 100,
            tries: 20,
            rest: Backoff::doubling(Duration::from_millis(500), Duration::from_secs(60)),
            outage_rest: Backoff::doubling(Duration::from_millis(500), Duration::from_secs(10)),
            limit: Duration::from_secs(30),
            patience: Duration::from_millis(100),
            look: Duration::from_secs(1),
        }
    }
}
