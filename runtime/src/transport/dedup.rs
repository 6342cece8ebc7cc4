//! Remembers which messages were seen.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use super::delivery::{Settled, Settlement};

/// What to do with a delivery, by its key.
#[derive(Debug)]
pub enum Admission {
    /// Nobody has seen it: handle it, then say how it ended.
    New(Settlement),
    /// Its effects are seen already: settle it as done.
    Duplicate(Settlement),
    /// The same is being handled; this one will be settled with it.
    Joined,
}

/// A window of keys of one mailbox: what is being handled, and what was done lately.
///
/// It removes the duplicates that a lost confirm or a lost acknowledgement makes. It lives in memory: what must
/// hold across a restart needs an inbox table, written with the effect.
#[derive(Debug)]
pub struct DedupWindow {
    done: HashMap<String, Instant>,
    order: VecDeque<(Instant, String)>,
    in_hand: HashMap<String, Vec<Settlement>>,
    capacity: usize,
    period: Duration,
}

impl DedupWindow {
    /// Remembers up to `capacity` keys for up to `period`.
    #[must_use]
    pub fn new(capacity: usize, period: Duration) -> Self {
        let (done, order, in_hand) = (HashMap::new(), VecDeque::new(), HashMap::new());
        Self { done, order, in_hand, capacity, period }
    }

    /// Decides about a delivery.
    pub fn admit(&mut self, key: &str, settlement: Settlement, now: Instant) -> Admission {
        self.forget_old(now);
        if self.done.contains_key(key) {
            return Admission::Duplicate(settlement);
        }
        // A copy that arrives while another is in hand must not be forgotten before that one is done: the first
        // may belong to a connection that is gone, so that its settlement reaches nobody.
        if let Some(waiting) = self.in_hand.get_mut(key) {
            waiting.push(settlement);
            return Admission::Joined;
        }
        self.in_hand.insert(key.to_owned(), Vec::new());
        Admission::New(settlement)
    }

    /// Records how the delivery with this key ended. Returns what joined it: settle those in the same way.
    #[must_use = "what joined must be settled"]
    pub fn settled(&mut self, key: &str, how: &Settled, now: Instant) -> Vec<Settlement> {
        let joined = self.in_hand.remove(key).unwrap_or_default();
        if *how == Settled::Done {
            self.done.insert(key.to_owned(), now);
            self.order.push_back((now, key.to_owned()));
        }
        joined
    }

    fn forget_old(&mut self, now: Instant) {
        while let Some((at, _)) = self.order.front() {
            if self.order.len() <= self.capacity && now.duration_since(*at) <= self.period {
                return;
            }
            if let Some((_, key)) = self.order.pop_front() {
                self.done.remove(&key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    fn window() -> DedupWindow {
        DedupWindow::new(2, Duration::from_secs(60))
    }

    fn recorded(seen: &Arc<Mutex<Vec<Settled>>>) -> Settlement {
        let seen = Arc::clone(seen);
        Settlement::new(move |how| seen.lock().expect("not poisoned").push(how))
    }

    #[test]
    fn a_done_key_is_a_duplicate_until_the_window_has_passed() {
        let (mut window, seen, now) = (window(), Arc::default(), Instant::now());
        assert!(matches!(window.admit("a", recorded(&seen), now), Admission::New(_)));
        assert!(window.settled("a", &Settled::Done, now).is_empty());
        assert!(matches!(window.admit("a", recorded(&seen), now), Admission::Duplicate(_)));
        let later = now + Duration::from_secs(61);
        assert!(matches!(window.admit("a", recorded(&seen), later), Admission::New(_)));
    }

    #[test]
    fn a_retried_key_is_new_again() {
        let (mut window, seen, now) = (window(), Arc::default(), Instant::now());
        assert!(matches!(window.admit("a", recorded(&seen), now), Admission::New(_)));
        assert!(window.settled("a", &Settled::Retry { after: None }, now).is_empty());
        assert!(matches!(window.admit("a", recorded(&seen), now), Admission::New(_)));
    }

    #[test]
    fn a_copy_of_what_is_in_hand_ends_like_it() {
        let (mut window, seen, now) = (window(), Arc::default(), Instant::now());
        assert!(matches!(window.admit("a", recorded(&Arc::default()), now), Admission::New(_)));
        assert!(matches!(window.admit("a", recorded(&seen), now), Admission::Joined));
        assert!(seen.lock().expect("not poisoned").is_empty());
        for joined in window.settled("a", &Settled::Done, now) {
            joined.done();
        }
        assert_eq!(*seen.lock().expect("not poisoned"), [Settled::Done]);
    }

    #[test]
    fn the_window_is_bounded() {
        let (mut window, now) = (window(), Instant::now());
        for key in ["a", "b", "c"] {
            assert!(matches!(window.admit(key, recorded(&Arc::default()), now), Admission::New(_)));
            assert!(window.settled(key, &Settled::Done, now).is_empty());
        }
        assert!(matches!(window.admit("a", recorded(&Arc::default()), now), Admission::New(_)));
        assert!(matches!(
            window.admit("c", recorded(&Arc::default()), now),
            Admission::Duplicate(_)
        ));
    }
}
