//! How much a unit may print, as journald limits it: a burst in an interval.

use std::time::{Duration, Instant};

/// A unit that prints more than this…
const BURST_BYTES: u64 = 4 << 20;
/// …within this prints too much, and the rest of the interval is not kept.
const INTERVAL: Duration = Duration::from_secs(30);

/// Counts what passes in the interval that is running.
///
/// # Source
///
/// journald.conf(5), `RateLimitIntervalSec=` and `RateLimitBurst=`; in bytes, since bytes are what fills a disk.
#[derive(Debug)]
pub(super) struct RateLimit {
    pub(super) burst_bytes: u64,
    pub(super) interval: Duration,
    since: Option<Instant>,
    passed: u64,
}

impl Default for RateLimit {
    fn default() -> Self {
        Self { burst_bytes: BURST_BYTES, interval: INTERVAL, since: None, passed: 0 }
    }
}

impl RateLimit {
    /// How many of `bytes` may pass at `now`.
    pub(super) fn admit(&mut self, bytes: usize, now: Instant) -> usize {
        if self.remaining(now).is_none() {
            self.since = Some(now);
            self.passed = 0;
        }
        let room = usize::try_from(self.burst_bytes - self.passed).unwrap_or(usize::MAX);
        let admitted = bytes.min(room);
        self.passed += admitted as u64;
        admitted
    }

    /// What is left of the interval at `now`; `None` when it is over.
    pub(super) fn remaining(&self, now: Instant) -> Option<Duration> {
        let passed = now.duration_since(self.since?);
        self.interval.checked_sub(passed).filter(|left| !left.is_zero())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_in_each_interval_and_no_more() {
        let begin = Instant::now();
        let mut limit = RateLimit { burst_bytes: 10, ..RateLimit::default() };
        assert_eq!(limit.admit(7, begin), 7);
        assert_eq!(limit.admit(7, begin + INTERVAL / 2), 3);
        assert_eq!(limit.admit(7, begin + INTERVAL / 2), 0);
        assert_eq!(limit.admit(7, begin + INTERVAL), 7, "the next interval");
    }
}
