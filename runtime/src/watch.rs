//! What can be measured, per kind of actor.
//!
//! The handles are made once per kind, when its first actor starts; a recorder must be installed before that.
//! Handlers count in plain numbers, which are handed over once per run of an actor.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use metrics::{Counter, Gauge, counter, gauge};

/// The handles of one kind.
pub(crate) struct KindMetrics {
    /// Messages handled, whatever the result.
    pub(crate) handled: Counter,
    /// Messages whose handler returned an error.
    pub(crate) failed: Counter,
    /// Crashes: panics, `ctx.fail`, failed `init`.
    pub(crate) crashed: Counter,
    /// Messages refused by a full mailbox.
    pub(crate) refused: Counter,
    /// Messages that nobody waited for any more, or that their actor did not live to handle.
    pub(crate) dropped: Counter,
    /// Time that handlers held their thread, in microseconds.
    pub(crate) busy_us: Counter,
    /// Actors that live.
    pub(crate) alive: Gauge,
}

impl KindMetrics {
    fn new(kind: &'static str) -> Self {
        Self {
            handled: counter!("oa_actor_messages_handled_total", "kind" => kind),
            failed: counter!("oa_actor_messages_failed_total", "kind" => kind),
            crashed: counter!("oa_actor_crashes_total", "kind" => kind),
            refused: counter!("oa_actor_messages_refused_total", "kind" => kind),
            dropped: counter!("oa_actor_messages_dropped_total", "kind" => kind),
            busy_us: counter!("oa_actor_busy_microseconds_total", "kind" => kind),
            alive: gauge!("oa_actors", "kind" => kind),
        }
    }
}

/// The kinds that were seen.
#[derive(Default)]
pub(crate) struct Kinds {
    known: Mutex<HashMap<&'static str, Arc<KindMetrics>>>,
}

impl Kinds {
    pub(crate) fn get(&self, kind: &'static str) -> Arc<KindMetrics> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(known.entry(kind).or_insert_with(|| Arc::new(KindMetrics::new(kind))))
    }
}

/// Counts of one run, before they are handed over.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Tally {
    pub(crate) handled: u64,
    pub(crate) failed: u64,
    pub(crate) dropped: u64,
}

impl Tally {
    pub(crate) fn hand_over(&mut self, metrics: &KindMetrics) {
        let Self { handled, failed, dropped } = std::mem::take(self);
        if handled > 0 {
            metrics.handled.increment(handled);
        }
        if failed > 0 {
            metrics.failed.increment(failed);
        }
        if dropped > 0 {
            metrics.dropped.increment(dropped);
        }
    }
}
