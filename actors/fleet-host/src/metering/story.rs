//! Whatever happens, in whatever order it is heard of: what is summed is what ran.
//!
//! Random lives of a few units go through the real keeper's meter, the real file, the real ledger and the real store; a
//! model that knows the truth says what the sums must be.

use std::collections::BTreeMap;
use std::ops::Range;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use oa_fleet::metering::{IntervalPage, RecordIntervals};
use oa_fleet::unit::UnitOption;
use oa_fleet::{EtcdToken, UnitName};
use oa_store::{Store, StoreConfig, UsageFilter};
use proptest::prelude::*;
use serde_json::json;
use tempfile::TempDir;

use super::gauges::{Gauges, Reading, Use};
use super::ledger::Ledger;
use super::meter::Meter;
use crate::keeper::ProcessId;
use crate::service::{self, Host, Plan};

const UNITS: usize = 3;
const DAY_MS: i64 = 86_400_000;
/// Near midnight, so that days are cut often.
const START_MS: i64 = 20_000 * DAY_MS - 3_000_000;
const HOURS_2: i64 = 2 * 3_600_000;

#[derive(Debug, Clone)]
enum Deed {
    /// A unit's main process begins, if it does not run.
    Start(usize),
    End(usize),
    /// A minute has passed for a keeper.
    Seen(usize),
    /// The keeper is killed, and what it kept with it.
    Kill(usize),
    /// A keeper comes to its end in order.
    Leave(usize),
    Pass(i64),
    /// Somebody sets the clock.
    StepClock(i64),
    /// The machine dies; all keepers with it.
    Reboot,
    /// The host looks for runs that nobody watches.
    Look,
    /// The node dies, and with it what the host remembered.
    NewHost,
    /// The collector brings the next page.
    Collect(usize),
    /// A page comes once more, late.
    CollectAgain(usize),
    /// A crash leaves half a line in the file.
    Torn,
    /// No keeper can write, until it can again.
    FullDisk(bool),
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let unit: Range<usize> = 0..UNITS;
    let deed = prop_oneof![
        6 => unit.clone().prop_map(Deed::Start),
        4 => unit.clone().prop_map(Deed::End),
        4 => unit.clone().prop_map(Deed::Seen),
        2 => unit.clone().prop_map(Deed::Kill),
        1 => unit.prop_map(Deed::Leave),
        8 => (0_i64..4_000_000).prop_map(Deed::Pass),
        2 => (-HOURS_2..HOURS_2).prop_map(Deed::StepClock),
        1 => Just(Deed::Reboot),
        3 => Just(Deed::Look),
        1 => Just(Deed::NewHost),
        4 => (1_usize..6).prop_map(Deed::Collect),
        2 => (0_usize..8).prop_map(Deed::CollectAgain),
        1 => Just(Deed::Torn),
        1 => any::<bool>().prop_map(Deed::FullDisk),
    ];
    prop::collection::vec(deed, 1..120)
}

/// Clocks that a test sets.
#[derive(Debug, Clone, Default)]
struct Clocks(Arc<Mutex<Reading>>);

impl Clocks {
    fn change(&self, change: impl FnOnce(&mut Reading)) {
        change(&mut self.0.lock().expect("no test panics here"));
    }

    fn now(&self) -> Reading {
        *self.0.lock().expect("no test panics here")
    }
}

impl Gauges for Clocks {
    fn read(&self) -> Reading {
        self.now()
    }
}

/// What the model knows of a run.
#[derive(Debug, Clone)]
struct Truth {
    unit: usize,
    started_ms: i64,
    boot: Duration,
    known_ms: i64,
    is_unknown: bool,
}

struct World {
    clocks: Clocks,
    directory: TempDir,
    ledger: Ledger,
    store: Store,
    keepers: [Option<(Meter, ProcessId)>; UNITS],
    running: [Option<usize>; UNITS],
    truths: Vec<Truth>,
    next_pid: i32,
    pages: Vec<IntervalPage>,
    cursor: Option<String>,
    is_disk_full: bool,
}

impl World {
    async fn new() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        std::fs::create_dir(directory.path().join("metering")).expect("a fresh directory");
        let ledger = Ledger::open(&directory.path().join("metering"), "m1");
        let ledger = ledger.expect("a ledger");
        let store = StoreConfig::new(directory.path().join("store.db"), "node");
        let store = Store::open(&store).await.expect("a store");
        let clocks = Clocks::default();
        clocks.change(|now| now.wall_ms = START_MS);
        let world = Self {
            clocks,
            directory,
            ledger,
            store,
            keepers: Default::default(),
            running: Default::default(),
            truths: Vec::new(),
            next_pid: 1,
            pages: Vec::new(),
            cursor: None,
            is_disk_full: false,
        };
        world.let_keepers_write();
        world
    }

    fn metering(&self) -> PathBuf {
        self.directory.path().join("metering")
    }

    /// Where keepers believe that the directory is.
    fn link(&self) -> PathBuf {
        self.directory.path().join("link")
    }

    fn let_keepers_write(&self) {
        symlink(self.metering(), self.link()).expect("a fresh link");
    }

    async fn happens(&mut self, deed: &Deed) {
        match *deed {
            Deed::Start(unit) => self.start(unit),
            Deed::End(unit) => self.end(unit),
            Deed::Seen(unit) => self.seen(unit),
            Deed::Kill(unit) => self.kill(unit),
            Deed::Leave(unit) => self.leave(unit),
            Deed::Pass(ms) => self.clocks.change(|now| {
                now.wall_ms += ms;
                now.since_boot += Duration::from_millis(ms.unsigned_abs());
                now.ended.cpu += Duration::from_millis(1);
            }),
            Deed::StepClock(ms) => self.clocks.change(|now| now.wall_ms += ms),
            Deed::Reboot => {
                (0..UNITS).for_each(|unit| self.kill(unit));
                self.clocks.change(|now| {
                    now.since_boot = Duration::ZERO;
                    now.ended = Use::default();
                });
            }
            Deed::Look => self.look(),
            Deed::NewHost => {
                self.ledger = Ledger::open(&self.metering(), "m1").expect("a ledger");
                self.cursor = self.keep(IntervalPage::default()).await;
            }
            Deed::Collect(limit) => self.collect(limit).await,
            Deed::CollectAgain(at) => {
                if let Some(page) = self.pages.iter().rev().nth(at).cloned() {
                    // An earlier page takes the place back; the next ones come again.
                    self.cursor = self.keep(page).await;
                }
            }
            Deed::Torn => {
                use std::io::Write;
                let file = std::fs::File::options()
                    .append(true)
                    .create(true)
                    .open(self.metering().join("records"));
                let torn = b"\n{\"interval\":{\"id\":\"01";
                file.and_then(|mut file| file.write_all(torn)).expect("it is written");
            }
            Deed::FullDisk(is_full) => self.fill_disk(is_full),
        }
    }

    fn start(&mut self, unit: usize) {
        if self.running[unit].is_some() {
            return;
        }
        let (clocks, link) = (self.clocks.clone(), self.link());
        let pid = self.next_pid;
        let (meter, _) = self.keepers[unit].get_or_insert_with(|| {
            let keeper: ProcessId =
                serde_json::from_value(json!({"pid": pid, "started": 0, "boot": ""}))
                    .expect("a process");
            (Meter::with(&plan(unit), &link, Box::new(clocks), Some(keeper.clone())), keeper)
        });
        meter.started();
        self.next_pid += 1;
        let now = self.clocks.now();
        self.running[unit] = Some(self.truths.len());
        self.truths.push(Truth {
            unit,
            started_ms: now.wall_ms,
            boot: now.since_boot,
            known_ms: 0,
            is_unknown: false,
        });
    }

    fn known_until_now(&mut self, unit: usize) {
        let now = self.clocks.now();
        if let Some(truth) = self.running[unit].and_then(|at| self.truths.get_mut(at)) {
            let ran = (now.since_boot - truth.boot).as_millis();
            truth.known_ms = i64::try_from(ran).expect("a short test");
        }
    }

    fn end(&mut self, unit: usize) {
        if self.running[unit].is_none() {
            return;
        }
        self.known_until_now(unit);
        self.running[unit] = None;
        if let Some((meter, _)) = &self.keepers[unit] {
            meter.ended("exit status: 0");
        }
    }

    fn seen(&mut self, unit: usize) {
        self.known_until_now(unit);
        if let Some((meter, _)) = &self.keepers[unit] {
            meter.still_runs();
        }
    }

    /// Only what is in the file survives, so a disk that was full takes its room first.
    fn kill(&mut self, unit: usize) {
        self.fill_disk(false);
        self.keepers[unit] = None;
        if let Some(truth) = self.running[unit].take().and_then(|at| self.truths.get_mut(at)) {
            truth.is_unknown = true;
        }
    }

    fn leave(&mut self, unit: usize) {
        if self.running[unit].is_none() {
            self.fill_disk(false);
            self.keepers[unit] = None;
        }
    }

    /// When there is room again, each keeper writes what it kept.
    fn fill_disk(&mut self, is_full: bool) {
        if self.is_disk_full == is_full {
            return;
        }
        self.is_disk_full = is_full;
        if is_full {
            return std::fs::remove_file(self.link()).expect("the link is there");
        }
        self.let_keepers_write();
        (0..UNITS).for_each(|unit| self.seen(unit));
    }

    fn look(&self) {
        let living: Vec<&ProcessId> = self.keepers.iter().flatten().map(|(_, id)| id).collect();
        self.ledger.look(|keeper| living.contains(&keeper)).expect("the ledger looks");
    }

    async fn collect(&mut self, limit: usize) {
        let page = self.ledger.page(self.cursor.as_deref(), limit).expect("readable");
        self.pages.push(page.clone());
        self.cursor = self.keep(page).await;
    }

    async fn keep(&self, page: IntervalPage) -> Option<String> {
        let records = RecordIntervals {
            etcd_token: EtcdToken::new("local").expect("a valid token"),
            exchange: String::new(),
            intervals: page.intervals,
            cursor: Some(page.next).filter(|next| !next.is_empty()),
        };
        self.store.usage().record(records).await.expect("it is kept")
    }

    /// Everything ends, is looked at and brought.
    async fn settle(&mut self) {
        self.fill_disk(false);
        self.look();
        loop {
            let before = self.cursor.clone();
            self.collect(1000).await;
            if self.cursor == before {
                return;
            }
        }
    }

    async fn sums(&self) -> BTreeMap<(i64, String), (u64, u64, u64)> {
        let everything = UsageFilter { from_ms: 0, to_ms: i64::MAX, ..UsageFilter::default() };
        let usage = self.store.usage().sum(&everything).await.expect("an answer");
        let sum = |row: oa_store::UsageRow| {
            ((row.day, row.product), (row.ran_ms, row.intervals, row.unknown_intervals))
        };
        usage.rows.into_iter().map(sum).collect()
    }

    /// The same from the truth, a day at a time.
    fn model(&self) -> BTreeMap<(i64, String), (u64, u64, u64)> {
        let mut sums: BTreeMap<(i64, String), (u64, u64, u64)> = BTreeMap::new();
        for truth in &self.truths {
            let (begin, end) = (truth.started_ms, truth.started_ms + truth.known_ms);
            for day in begin / DAY_MS..=end / DAY_MS {
                let part = end.min((day + 1) * DAY_MS) - begin.max(day * DAY_MS);
                if part > 0 || begin == end {
                    let sum = sums.entry((day, product(truth.unit))).or_default();
                    sum.0 += part.unsigned_abs();
                    sum.1 += 1;
                    sum.2 += u64::from(truth.is_unknown);
                }
            }
        }
        sums
    }
}

fn product(unit: usize) -> String {
    ["", "shop", "till"][unit].to_owned()
}

fn plan(unit: usize) -> Plan {
    let name = UnitName::new(format!("app@{unit}.service")).expect("a valid name");
    let options = [
        UnitOption::new("Service", "ExecStart", "/bin/true"),
        UnitOption::new("X-OpenAperture", "Product", product(unit)),
    ];
    let host = Host::here("0123456789abcdef0123456789abcdef", true, 1);
    service::plan(&name, &options, &host).expect("it can run")
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: std::env::var("OA_METERING_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(64),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn sums_are_what_ran_to_the_millisecond(deeds in deeds()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let mut world = World::new().await;
            for deed in &deeds {
                world.happens(deed).await;
            }
            world.settle().await;
            prop_assert_eq!(world.sums().await, world.model());
            world.store.close().await;
            Ok(())
        })?;
    }
}
