//! Makes a system.

use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use super::arbiter::Arbiter;
use super::root::Root;
use super::{Alive, System, SystemInner};
use crate::actor::Actor;
use crate::supervision::ChildSpec;

/// Most threads that are started by default; actors that need more say so.
const MOST_BY_DEFAULT: usize = 16;

/// Makes a [`System`].
#[derive(Debug)]
#[must_use = "nothing is started before `build`"]
pub struct SystemBuilder {
    name: String,
    arbiters: usize,
    intensity: (u32, Duration),
}

impl SystemBuilder {
    pub(super) fn new(name: String) -> Self {
        let arbiters = available_parallelism().map_or(2, |cores| cores.get().min(MOST_BY_DEFAULT));
        Self { name, arbiters, intensity: (5, Duration::from_secs(60)) }
    }

    /// How many threads actors live on. Default: one per core, at most 16.
    pub fn arbiters(mut self, count: usize) -> Self {
        self.arbiters = count.max(1);
        self
    }

    /// How many restarts of top-level actors are forgiven in any `period`; one more, and the system gives up.
    /// Default: 5 in 60 s.
    pub fn intensity(mut self, restarts: u32, period: Duration) -> Self {
        self.intensity = (restarts, period);
        self
    }

    /// Starts the threads and the root supervisor.
    ///
    /// # Panics
    ///
    /// If the operating system gives no threads.
    #[must_use]
    pub fn build(self) -> System {
        if cfg!(panic = "abort") {
            tracing::warn!("built with panic = \"abort\": a panic in an actor ends the process");
        }
        let id = rand::random();
        let arbiters: Vec<Arbiter> = (0..self.arbiters)
            .map(|at| {
                Arbiter::start(format!("oa-{}-{at}", self.name), id)
                    .expect("a thread can be started")
            })
            .collect();
        let inner = Arc::new(SystemInner::new(self.name, id, arbiters));
        let (restarts, period) = self.intensity;
        // The root ends after all others, whose limits are what counts.
        let spec = ChildSpec::new(()).name(Root::KIND).intensity(restarts, period);
        let system = System { inner: Arc::clone(&inner), _alive: Some(Arc::new(Alive(inner))) };
        system.spawn_root(spec);
        system
    }
}
