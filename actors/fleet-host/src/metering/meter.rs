//! The keeper's side: records the runs of one unit.
//!
//! A record is written where the run begins and ends, so that a killed keeper loses none; a thread flushes it, and
//! says each minute that the run goes on. Metering never keeps a unit from running: what cannot be written is kept in
//! memory and tried again.

#![expect(
    clippy::disallowed_types,
    reason = "a keeper has no async runtime, so it waits on std's channels"
)]

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use oa_fleet::metering::{IntervalEnd, UnitInterval};
use oa_fleet::{IntervalId, UnitName};

use super::gauges::{Gauges, GroupUse, Machine, Reading};
use super::ledger::RECORDS;
use super::records::{self, Entry};
use crate::keeper::{ProcessId, boot};
use crate::service::Plan;

/// How often a run that goes on says so: what a killed keeper costs at most.
const SAY_EVERY: Duration = Duration::from_secs(60);
/// Pause before what could not be written is tried again.
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(5);
/// Runs that are kept in memory while the disk is full.
const MOST_UNWRITTEN: usize = 1000;
/// When the file has grown so large because nobody collects, only beginnings and ends are written.
const CROWDED_BYTES: u64 = 64 * 1024 * 1024;

/// Records the runs of one unit.
pub(crate) struct Meter {
    shared: Arc<Shared>,
    wake: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    path: PathBuf,
    gauges: Box<dyn Gauges>,
    /// A run of this unit that has not begun.
    blank: Option<Entry>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    run: Option<Run>,
    /// The latest of each run that could not be written.
    unwritten: Vec<Entry>,
}

/// The run under way.
struct Run {
    entry: Entry,
    began: Reading,
}

impl Meter {
    /// Records what `plan` runs, in the directory `metering`; `group` tells what its control group used.
    pub(crate) fn new(
        plan: &Plan,
        metering: &Path,
        group: impl Fn() -> GroupUse + Send + Sync + 'static,
    ) -> Self {
        let own = i32::try_from(std::process::id()).ok().and_then(ProcessId::of);
        let meter = Self::with(plan, metering, Box::new(Machine(group)), own);
        meter.watched()
    }

    /// One whose gauges a test reads out, and without a thread.
    pub(super) fn with(
        plan: &Plan,
        metering: &Path,
        gauges: Box<dyn Gauges>,
        keeper: Option<ProcessId>,
    ) -> Self {
        let blank = blank(plan).map(|interval| Entry { interval, keeper });
        let path = metering.join(RECORDS);
        let shared = Shared { path, gauges, blank, state: Mutex::default() };
        Self { shared: Arc::new(shared), wake: None, thread: None }
    }

    fn watched(mut self) -> Self {
        let (wake, woken) = channel();
        let shared = Arc::clone(&self.shared);
        let thread = std::thread::Builder::new().name("meter".into()).stack_size(64 * 1024);
        // Without the thread there are no records between beginning and end, and the rest is as safe as the disk.
        self.thread = thread.spawn(move || shared.watch(&woken)).ok();
        self.wake = Some(wake);
        self
    }

    /// The main process is about to begin. Said before it does: a keeper killed in between leaves a run without length
    /// rather than one that nobody knows of.
    pub(crate) fn started(&self) {
        let Some(blank) = &self.shared.blank else { return };
        let began = self.shared.gauges.read();
        let mut entry = blank.clone();
        entry.interval.id = IntervalId::new();
        entry.interval.started_at_ms = began.wall_ms;
        let mut state = self.shared.lock();
        self.shared.write(&mut state, entry.clone());
        state.run = Some(Run { entry, began });
        drop(state);
        self.wake();
    }

    /// The main process has ended; `how`, in a few words.
    pub(crate) fn ended(&self, how: &str) {
        let now = self.shared.gauges.read();
        let mut state = self.shared.lock();
        let Some(mut run) = state.run.take() else { return };
        run.goes_on_until(&now);
        run.entry.interval.end = IntervalEnd::Known { how: how.to_owned() };
        self.shared.write(&mut state, run.entry);
        drop(state);
        self.wake();
    }

    /// The run goes on.
    #[cfg(test)]
    pub(super) fn still_runs(&self) {
        self.shared.say_that_it_runs();
    }

    fn wake(&self) {
        let _without_a_thread = self.wake.as_ref().map(|wake| wake.send(()));
    }
}

impl Drop for Meter {
    /// Ends when everything is flushed.
    fn drop(&mut self) {
        self.wake = None;
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
        let state = self.shared.lock();
        if !state.unwritten.is_empty() {
            let lost = state.unwritten.len();
            eprintln!(
                "unit-keeper: {lost} records of runs could not be written to {} and are lost",
                self.shared.path.display()
            );
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Flushes what was written, tries again what was not, and says each minute that the run goes on.
    fn watch(&self, woken: &Receiver<()>) {
        loop {
            let all_written = self.lock().unwritten.is_empty();
            match woken.recv_timeout(if all_written { SAY_EVERY } else { TRY_AGAIN_AFTER }) {
                Ok(()) => self.flush(),
                Err(RecvTimeoutError::Timeout) => self.say_that_it_runs(),
                Err(RecvTimeoutError::Disconnected) => {
                    self.write_again(&mut self.lock());
                    return self.flush();
                }
            }
        }
    }

    fn flush(&self) {
        let _full_disk = std::fs::File::open(&self.path).and_then(|file| file.sync_data());
    }

    fn say_that_it_runs(&self) {
        let now = self.gauges.read();
        let mut state = self.lock();
        self.write_again(&mut state);
        let Some(run) = &mut state.run else { return };
        run.goes_on_until(&now);
        if records::size_on_disk(&self.path) < CROWDED_BYTES {
            let entry = run.entry.clone();
            self.write(&mut state, entry);
        }
    }

    fn write_again(&self, state: &mut State) {
        for entry in std::mem::take(&mut state.unwritten) {
            self.write(state, entry);
        }
    }

    fn write(&self, state: &mut State, entry: Entry) {
        // An earlier record of the same run must not come after this one.
        state.unwritten.retain(|other| other.interval.id != entry.interval.id);
        if records::append(&self.path, &entry).is_ok() {
            return;
        }
        state.unwritten.truncate(MOST_UNWRITTEN - 1);
        state.unwritten.push(entry);
    }
}

impl Run {
    fn goes_on_until(&mut self, now: &Reading) {
        let began = &self.began;
        let interval = &mut self.entry.interval;
        interval.ran_ms = milliseconds(now.since_boot.saturating_sub(began.since_boot));
        let cpu = match (now.group.cpu, began.group.cpu) {
            (Some(now), Some(began)) => now.saturating_sub(began),
            _ => now.ended.cpu.saturating_sub(began.ended.cpu) + now.living.cpu,
        };
        interval.cpu_ms = Some(milliseconds(cpu));
        // Both are one maximum over the keeper's life: they tell of this run only if they have grown.
        let (peak, before) = match (now.group.memory_peak_bytes, began.group.memory_peak_bytes) {
            (Some(now), Some(began)) => (now, began),
            _ => (now.ended.memory_peak_bytes, began.ended.memory_peak_bytes),
        };
        let grown = Some(peak).filter(|&peak| peak > before);
        let living = Some(now.living.memory_peak_bytes).filter(|&peak| peak > 0);
        interval.memory_peak_bytes = interval.memory_peak_bytes.max(grown).max(living);
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn blank(plan: &Plan) -> Option<UnitInterval> {
    Some(UnitInterval {
        id: IntervalId::new(),
        unit: UnitName::new(plan.unit.as_str()).ok()?,
        unit_hash: plan.hash.clone(),
        product: plan.labels.product.clone(),
        generation: plan.labels.generation,
        workflow_id: plan.labels.workflow_id,
        machine_id: String::new(),
        boot_id: boot(),
        started_at_ms: 0,
        ran_ms: 0,
        end: IntervalEnd::Running,
        cpu_ms: None,
        memory_peak_bytes: None,
    })
}
