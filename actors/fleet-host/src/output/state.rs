//! How the output of a unit does: what it prints now, and what could not be kept.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// The rate is that of about so long.
const RATE_OVER: Duration = Duration::from_secs(5);

/// What a keeper says about its unit's output.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct OutputState {
    /// What the unit prints now, kept or not.
    pub(crate) bytes_per_second: u64,
    /// What it printed since its keeper began.
    pub(crate) printed_bytes: u64,
    /// What it printed beyond its limit.
    pub(crate) suppressed_bytes: u64,
    pub(crate) suppressed_lines: u64,
    /// Whether it is beyond its limit now.
    pub(crate) is_suppressed: bool,
    /// What was printed while it could not be written, such as to a full disk.
    pub(crate) lost_bytes: u64,
    /// Why it cannot be written now.
    pub(crate) trouble: Option<String>,
}

/// Shared by the writer, which counts, and the control socket, which tells.
#[derive(Debug, Clone)]
pub(crate) struct OutputMeter {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug)]
struct Inner {
    state: OutputState,
    since: Instant,
    bytes: u64,
}

impl OutputMeter {
    pub(super) fn new(now: Instant) -> Self {
        let inner = Inner { state: OutputState::default(), since: now, bytes: 0 };
        Self { inner: Arc::new(Mutex::new(inner)) }
    }

    /// Counts what was printed at `now`.
    pub(super) fn count(&self, bytes: usize, now: Instant) {
        let mut inner = self.lock();
        inner.state.printed_bytes += bytes as u64;
        if now.duration_since(inner.since) >= RATE_OVER {
            inner.state.bytes_per_second = inner.rate(now);
            inner.since = now;
            inner.bytes = 0;
        }
        inner.bytes += bytes as u64;
    }

    /// Changes the rest of the state.
    pub(super) fn change(&self, change: impl FnOnce(&mut OutputState)) {
        change(&mut self.lock().state);
    }

    /// The state at `now`.
    pub(crate) fn state(&self, now: Instant) -> OutputState {
        let inner = self.lock();
        let mut state = inner.state.clone();
        // A young measurement says little; then the last whole one stands.
        if now.duration_since(inner.since) >= RATE_OVER / 5 || state.bytes_per_second == 0 {
            state.bytes_per_second = inner.rate(now);
        }
        state
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn rate(&self, now: Instant) -> u64 {
        let millis = now.duration_since(self.since).as_millis().max(1);
        u64::try_from(u128::from(self.bytes) * 1000 / millis).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_what_is_printed_now() {
        let begin = Instant::now();
        let meter = OutputMeter::new(begin);
        for second in 0..20 {
            meter.count(1000, begin + Duration::from_secs(second));
        }
        let at = |seconds| meter.state(begin + Duration::from_secs(seconds)).bytes_per_second;
        assert!((900..=1300).contains(&at(20)), "{}", at(20));
        assert!(at(3600) < 2, "one that fell silent: {}", at(3600));
    }
}
