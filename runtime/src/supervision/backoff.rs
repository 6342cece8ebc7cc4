//! How long to wait before the next start.

use std::time::{Duration, Instant};

use rand::Rng;

/// How long a failed child rests before it is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    min: Duration,
    max: Duration,
    healthy_after: Duration,
}

impl Backoff {
    /// No rest.
    #[must_use]
    pub const fn none() -> Self {
        Self { min: Duration::ZERO, max: Duration::ZERO, healthy_after: Duration::ZERO }
    }

    /// `min`, then twice as long after each failure, up to `max`; each shortened by up to a half, by chance, so
    /// that many children that failed together do not return together.
    ///
    /// A child that ran longer than twice `max` begins at `min` again; see [`healthy_after`](Backoff::healthy_after).
    #[must_use]
    pub const fn doubling(min: Duration, max: Duration) -> Self {
        Self { min, max, healthy_after: max.saturating_mul(2) }
    }

    /// A child that ran this long begins at `min` again.
    #[must_use]
    pub const fn healthy_after(mut self, period: Duration) -> Self {
        self.healthy_after = period;
        self
    }

    /// The rest after `failures` failures in a row, counted from 1.
    #[must_use]
    pub fn delay(&self, failures: u32) -> Duration {
        let longest = self.longest(failures);
        if longest.is_zero() { longest } else { rand::rng().random_range(longest / 2..=longest) }
    }

    fn longest(&self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        self.min.saturating_mul(1 << doublings).min(self.max)
    }
}

impl Default for Backoff {
    /// Doubling from 100 ms to 10 s.
    fn default() -> Self {
        Self::doubling(Duration::from_millis(100), Duration::from_secs(10))
    }
}

/// Counts the failures in a row of one child.
#[derive(Debug, Default)]
pub(crate) struct FailureRun {
    failures: u32,
    up_since: Option<Instant>,
}

impl FailureRun {
    pub(crate) fn up(&mut self, now: Instant) {
        self.up_since = Some(now);
    }

    /// Counts a failure and says how long to rest.
    pub(crate) fn failed(&mut self, backoff: &Backoff, now: Instant) -> Duration {
        let healthy = self
            .up_since
            .take()
            .is_some_and(|since| now.duration_since(since) >= backoff.healthy_after);
        self.failures = if healthy { 1 } else { self.failures.saturating_add(1) };
        backoff.delay(self.failures)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_rest_doubles_up_to_its_limit() {
        let backoff = Backoff::doubling(SECOND, SECOND * 10);
        let longest: Vec<u64> =
            (1..=6).map(|failures| backoff.longest(failures).as_secs()).collect();
        assert_eq!(longest, [1, 2, 4, 8, 10, 10]);
        assert_eq!(backoff.longest(u32::MAX), SECOND * 10);
    }

    #[test]
    fn chance_shortens_the_rest_by_at_most_a_half() {
        let backoff = Backoff::doubling(SECOND, SECOND);
        assert!((0..100).all(|_| (SECOND / 2..=SECOND).contains(&backoff.delay(1))));
        assert_eq!(Backoff::none().delay(7), Duration::ZERO);
    }

    #[test]
    fn a_healthy_period_resets_the_rest() {
        let backoff = Backoff::doubling(SECOND, SECOND * 100);
        let (mut run, start) = (FailureRun::default(), Instant::now());
        for _ in 0..5 {
            run.failed(&backoff, start);
        }
        run.up(start);
        assert!(run.failed(&backoff, start + SECOND) > SECOND * 10);
        run.up(start);
        assert!(run.failed(&backoff, start + SECOND * 200) <= SECOND);
    }
}
