//! What the next commit will carry.

use std::any::Any;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use crate::lane::AnyLane;
use crate::unit::Unit;
use crate::writer::Item;

/// The most jobs in one commit.
pub(crate) const BATCH: usize = 64;

/// The jobs of one lane that met.
struct LaneJobs {
    key: usize,
    lane: Arc<dyn AnyLane>,
    jobs: Vec<Box<dyn Any + Send>>,
}

/// What the next commit will carry.
#[derive(Default)]
pub(crate) struct Batch {
    units: Vec<Box<dyn Unit>>,
    sets: Vec<LaneJobs>,
    relaxed: VecDeque<(Box<dyn Unit>, Instant)>,
    pub(crate) jobs: usize,
}

impl Batch {
    pub(crate) fn add(&mut self, item: Item) {
        match item {
            Item::Unit(unit) => {
                self.jobs += 1;
                self.units.push(unit);
            }
            Item::Set { key, lane, job } => {
                self.jobs += 1;
                match self.sets.iter_mut().find(|set| set.key == key) {
                    Some(set) => set.jobs.push(job),
                    None => self.sets.push(LaneJobs { key, lane, jobs: vec![job] }),
                }
            }
            Item::Relaxed(unit, by) => self.relaxed.push_back((unit, by)),
            Item::Close(_) => unreachable!("the writer keeps it"),
        }
    }

    pub(crate) fn has_any(&self) -> bool {
        self.jobs > 0 || !self.relaxed.is_empty()
    }

    pub(crate) fn is_due(&self) -> bool {
        self.jobs > 0
            || self.relaxed.len() >= BATCH
            || self.first_relaxed().is_some_and(|by| by <= Instant::now())
    }

    pub(crate) fn first_relaxed(&self) -> Option<Instant> {
        self.relaxed.iter().map(|(_, by)| *by).min()
    }

    /// Empties the batch; work that may wait fills it up.
    pub(crate) fn take(&mut self) -> Vec<Box<dyn Unit>> {
        let mut units = std::mem::take(&mut self.units);
        units.extend(self.sets.drain(..).map(|set| set.lane.gather(set.jobs)));
        let room = BATCH.saturating_sub(self.jobs).min(self.relaxed.len());
        units.extend(self.relaxed.drain(..room).map(|(unit, _)| unit));
        self.jobs = 0;
        units
    }
}
