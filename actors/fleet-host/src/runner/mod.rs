//! Makes what is wanted out of what is: a task a unit.

mod link;
mod task;

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use oa_fleet::UnitName;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;

use crate::config::{KeeperProgram, StopUnits};
use crate::keeper::PLAN;
use crate::metering::Ledger;
use crate::registry::entry_of;
use crate::service::Plan;
use crate::states::States;

/// What is wanted of a unit; the latest wish is the only one that counts.
#[derive(Debug, Clone)]
pub(crate) enum Wish {
    /// Runs this plan. Its launch tells it from an earlier wish for the same, so that a restart is a new wish.
    Run { plan: Arc<Plan> },
    /// On this machine, not running.
    Loaded { hash: String },
    /// On this machine, and should run, but another unit keeps it from it. A launch that began goes on unless it `ends`.
    Held { hash: String, launch: u64, state: (&'static str, &'static str), ends: bool },
    /// Known, not on this machine.
    Inactive,
    /// Forgotten.
    Gone,
    /// Its definition cannot be read: what runs goes on.
    Undefined { why: String },
    /// Stopped because the host stops; what is wanted stays on disk.
    Halt,
}

impl Wish {
    /// Whether a keeper that is at work may go on.
    fn is_running(&self) -> bool {
        matches!(self, Self::Run { .. } | Self::Undefined { .. })
    }
}

/// Where things of units lie.
#[derive(Debug)]
pub(crate) struct Places {
    /// A directory a unit for its keeper.
    pub(crate) run: PathBuf,
    /// A directory a unit for its output.
    pub(crate) output: PathBuf,
    /// Where keepers record the runs of their units.
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) keeper: KeeperProgram,
    /// How long a keeper may take to answer.
    pub(crate) patience: Duration,
    /// Files that a unit may have open unless it says otherwise.
    pub(crate) open_files: u64,
    /// Turns in which keepers are started.
    pub(crate) starting: Semaphore,
    /// Held while all processes are looked through.
    pub(crate) searching: tokio::sync::Mutex<()>,
}

/// Keepers that are started at the same time.
pub(crate) const STARTING_AT_ONCE: usize = 8;

impl Places {
    pub(crate) fn run_of(&self, unit: &UnitName) -> PathBuf {
        self.run.join(entry_of(unit))
    }

    pub(crate) fn output_of(&self, unit: &UnitName) -> PathBuf {
        self.output.join(entry_of(unit))
    }
}

/// The tasks of all units.
#[derive(Debug)]
pub(crate) struct Runners {
    tasks: Mutex<HashMap<UnitName, Runner>>,
    places: Arc<Places>,
    states: Arc<States>,
    /// Where tasks run: wishes come from the threads of the API, which end before the tasks do.
    runtime: Handle,
}

#[derive(Debug)]
struct Runner {
    wish: watch::Sender<Wish>,
    /// Whether the task has fulfilled [`Wish::Gone`] and has nothing left to do.
    is_idle: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl Runner {
    fn is_over(&self) -> bool {
        self.is_idle.load(Ordering::Acquire) && matches!(*self.wish.borrow(), Wish::Gone)
    }
}

impl Runners {
    /// Its tasks run on the runtime of the caller.
    pub(crate) fn new(places: Places, states: Arc<States>) -> Self {
        Self {
            tasks: Mutex::default(),
            places: Arc::new(places),
            states,
            runtime: Handle::current(),
        }
    }

    /// Changes what is wanted of a unit; begins its task if there is none.
    pub(crate) fn wish(&self, unit: &UnitName, wish: Wish) {
        let mut tasks = self.lock();
        // A task ends when its sender is dropped, which happens here only: a wish never goes to one that just ended.
        tasks.retain(|other, runner| other == unit || !runner.is_over());
        if let Some(runner) = tasks.get(unit) {
            runner.wish.send_replace(wish);
            return;
        }
        let (sender, receiver) = watch::channel(wish);
        let is_idle = Arc::new(AtomicBool::new(false));
        let task = task::Task::new(
            unit.clone(),
            receiver,
            Arc::clone(&is_idle),
            Arc::clone(&self.places),
            Arc::clone(&self.states),
        );
        let task = self.runtime.spawn(task.run());
        tasks.insert(unit.clone(), Runner { wish: sender, is_idle, task });
    }

    /// Ends what runs in the directory `entry`, whose unit is not known any more.
    pub(crate) fn wish_gone(&self, entry: &str) {
        // Of the plan of whatever release, only the name is read.
        let in_plan = || {
            let text = fs::read(self.places.run.join(entry).join(PLAN)).ok()?;
            let plan: serde_json::Value = serde_json::from_slice(&text).ok()?;
            UnitName::new(plan.get("unit")?.as_str()?).ok()
        };
        match UnitName::new(entry).ok().or_else(in_plan) {
            Some(unit) => self.wish(&unit, Wish::Gone),
            None => tracing::warn!("{entry} in the directory of keepers belongs to no unit"),
        }
    }

    /// Stops these units, each turn after the one before it has ended.
    pub(crate) async fn halt_in_turns(&self, turns: Vec<Vec<UnitName>>) {
        for turn in turns {
            let runners: Vec<Runner> = {
                let mut tasks = self.lock();
                turn.iter().filter_map(|unit| tasks.remove(unit)).collect()
            };
            for runner in &runners {
                runner.wish.send_replace(Wish::Halt);
            }
            for runner in runners {
                let _panicked = runner.task.await;
            }
        }
    }

    /// Ends every task; with [`StopUnits::Stop`] after its unit has stopped.
    pub(crate) async fn end(&self, units: StopUnits) {
        let runners: Vec<Runner> = self.lock().drain().map(|(_, runner)| runner).collect();
        for runner in &runners {
            match units {
                StopUnits::Leave => runner.task.abort(),
                StopUnits::Stop => {
                    runner.wish.send_replace(Wish::Halt);
                }
            }
        }
        for runner in runners {
            let _aborted = runner.task.await;
        }
    }

    /// Ends every task at once; the units go on.
    pub(crate) fn abandon(&self) {
        for (_, runner) in self.lock().drain() {
            runner.task.abort();
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<UnitName, Runner>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
