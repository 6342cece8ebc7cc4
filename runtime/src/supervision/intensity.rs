//! How many failures are forgiven.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::child_spec::IntensityLimit;

/// More failures than are forgiven.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{failures} failures of children within {period:?}")]
pub(crate) struct IntensityExceeded {
    pub(crate) failures: u32,
    pub(crate) period: Duration,
}

/// The failures that still count.
#[derive(Debug)]
pub(crate) struct Intensity {
    limit: IntensityLimit,
    failures: VecDeque<Instant>,
}

impl Intensity {
    pub(crate) fn new(limit: IntensityLimit) -> Self {
        Self { limit, failures: VecDeque::new() }
    }

    /// Counts a failure at `now` and says whether the child may start again.
    ///
    /// # Source
    ///
    /// Erlang/OTP Design Principles, "Supervisor Behaviour", Maximum Restart Intensity.
    pub(crate) fn record(&mut self, now: Instant) -> Result<(), IntensityExceeded> {
        let IntensityLimit { restarts, period } = self.limit;
        self.failures.retain(|at| now.duration_since(*at) <= period);
        self.failures.push_back(now);
        let failures = u32::try_from(self.failures.len()).unwrap_or(u32::MAX);
        if failures > restarts { Err(IntensityExceeded { failures, period }) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_failure_after_the_last_forgiven_one_is_too_many() {
        let period = Duration::from_secs(60);
        let mut intensity = Intensity::new(IntensityLimit { restarts: 2, period });
        let start = Instant::now();
        assert!(intensity.record(start).is_ok());
        assert!(intensity.record(start).is_ok());
        assert_eq!(intensity.record(start), Err(IntensityExceeded { failures: 3, period }));
        assert!(intensity.record(start + period + Duration::from_millis(1)).is_ok());
    }
}
