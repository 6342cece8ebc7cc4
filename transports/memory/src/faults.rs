//! What a faulty transport does wrong, repeatably.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// What goes wrong, and how often; each share is between 0 and 1. The default is a transport without faults.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Faults {
    /// Where the dice begin; the same seed and the same calls give the same faults.
    pub seed: u64,
    /// Publishes that fail: in half of them the message was taken all the same.
    pub lost_publishes: f64,
    /// Messages that arrive twice.
    pub duplicates: f64,
    /// Acknowledgements that are lost, so that the message is delivered again.
    pub lost_acks: f64,
    /// Messages that overtake some of those before them.
    pub reordered: f64,
    /// Messages that are held up.
    pub delayed: f64,
    /// How long at most.
    pub longest_delay: Duration,
}

/// What happens to one publish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PublishFault {
    None,
    /// It fails and the message is gone.
    Lost,
    /// It fails and the message was taken.
    ConfirmLost,
}

/// The faults and their dice.
pub(crate) struct Dice {
    faults: Faults,
    rng: Mutex<StdRng>,
}

impl Dice {
    pub(crate) fn new(faults: Faults) -> Self {
        Self { faults, rng: Mutex::new(StdRng::seed_from_u64(faults.seed)) }
    }

    pub(crate) fn publish(&self) -> PublishFault {
        if !self.hits(self.faults.lost_publishes) {
            return PublishFault::None;
        }
        if self.hits(0.5) { PublishFault::Lost } else { PublishFault::ConfirmLost }
    }

    pub(crate) fn duplicates(&self) -> bool {
        self.hits(self.faults.duplicates)
    }

    pub(crate) fn loses_ack(&self) -> bool {
        self.hits(self.faults.lost_acks)
    }

    /// How many of the `waiting` messages the next one overtakes.
    pub(crate) fn overtakes(&self, waiting: usize) -> usize {
        if self.hits(self.faults.reordered) { self.rng().random_range(0..=waiting) } else { 0 }
    }

    pub(crate) fn delay(&self) -> Option<Duration> {
        let longest = self.faults.longest_delay;
        if longest.is_zero() || !self.hits(self.faults.delayed) {
            return None;
        }
        Some(self.rng().random_range(Duration::ZERO..=longest))
    }

    fn hits(&self, share: f64) -> bool {
        share > 0.0 && self.rng().random_bool(share.min(1.0))
    }

    fn rng(&self) -> std::sync::MutexGuard<'_, StdRng> {
        self.rng.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_faults() {
        let faults = Faults {
            seed: 7,
            lost_publishes: 0.5,
            duplicates: 0.5,
            reordered: 0.5,
            ..Faults::default()
        };
        let (one, other) = (Dice::new(faults), Dice::new(faults));
        for _ in 0..100 {
            assert_eq!(one.publish(), other.publish());
            assert_eq!(one.duplicates(), other.duplicates());
            assert_eq!(one.overtakes(9), other.overtakes(9));
        }
    }

    #[test]
    fn without_faults_nothing_goes_wrong() {
        let dice = Dice::new(Faults::default());
        assert_eq!(dice.publish(), PublishFault::None);
        assert!(!dice.duplicates() && !dice.loses_ack() && dice.delay().is_none());
        assert_eq!(dice.overtakes(9), 0);
    }
}
