//! A Manager that fails, an engine that fails, a collector that ends: every record arrives.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use oa_fleet::EngineError;
use oa_fleet::LogQuery;
use oa_protocol::metering::{IntervalEnd, UnitInterval};
use oa_protocol::unit::{LogPage, Machine, Unit, UnitDesire, UnitOption, UnitState};
use oa_protocol::{IntervalId, Refusal, RefusalCode, UnitName};
use oa_runtime::{Actor, ChildSpec, Context, Failure, Handler, Mailbox, System};
use oa_transport_memory::MemoryTransport;

use super::*;

const SOON: Duration = Duration::from_secs(10);
const RECORDS: usize = 25;

/// Gives out one record at a time, and fails now and then.
struct Records {
    intervals: Vec<UnitInterval>,
    asked: AtomicU32,
    keeps_records: bool,
}

impl Records {
    fn new(keeps_records: bool) -> Arc<Self> {
        let interval = |at: usize| UnitInterval {
            id: IntervalId::new(),
            unit: UnitName::new(format!("app@{at}.service")).expect("a valid name"),
            unit_hash: String::new(),
            product: None,
            generation: None,
            workflow_id: None,
            machine_id: String::new(),
            boot_id: String::new(),
            started_at_ms: 0,
            ran_ms: 1,
            end: IntervalEnd::Running,
            cpu_ms: None,
            memory_peak_bytes: None,
        };
        let intervals = (0..RECORDS).map(interval).collect();
        Arc::new(Self { intervals, asked: AtomicU32::new(0), keeps_records })
    }
}

#[async_trait]
impl Engine for Records {
    async fn intervals(
        &self,
        after: Option<&str>,
        _limit: u32,
        wait: Duration,
    ) -> Result<Option<IntervalPage>, EngineError> {
        if !self.keeps_records {
            return Ok(None);
        }
        if self.asked.fetch_add(1, Ordering::SeqCst) % 7 == 3 {
            return Err(EngineError::Timeout { endpoint: "test".into(), waited: wait });
        }
        let at: usize = after.map_or(0, |after| after.parse().expect("a place of this engine"));
        if at == self.intervals.len() {
            sleep(wait).await;
        }
        let intervals: Vec<UnitInterval> = self.intervals.get(at).into_iter().cloned().collect();
        let next = (at + intervals.len()).to_string();
        Ok(Some(IntervalPage { intervals, next }))
    }

    async fn machines(&self) -> Result<Vec<Machine>, EngineError> {
        unreachable!("a collector asks for records only")
    }

    async fn units(&self) -> Result<Vec<Unit>, EngineError> {
        unreachable!("a collector asks for records only")
    }

    async fn unit(&self, _: &UnitName) -> Result<Option<Unit>, EngineError> {
        unreachable!("a collector asks for records only")
    }

    async fn states(&self) -> Result<Vec<UnitState>, EngineError> {
        unreachable!("a collector asks for records only")
    }

    async fn put(&self, _: &UnitName, _: &[UnitOption], _: UnitDesire) -> Result<(), EngineError> {
        unreachable!("a collector asks for records only")
    }

    async fn set_desire(&self, _: &UnitName, _: UnitDesire) -> Result<(), EngineError> {
        unreachable!("a collector asks for records only")
    }

    async fn remove(&self, _: &UnitName) -> Result<bool, EngineError> {
        unreachable!("a collector asks for records only")
    }

    async fn logs(&self, _: &UnitName, _: LogQuery) -> Result<LogPage, EngineError> {
        unreachable!("a collector asks for records only")
    }

    async fn restart(&self, _: &UnitName) -> Result<(), EngineError> {
        unreachable!("a collector asks for records only")
    }
}

/// What the Manager has.
#[derive(Debug, Default)]
struct Kept {
    asked: usize,
    cursor: Option<String>,
    units: Vec<String>,
}

/// Refuses every fifth question; keeps what it keeps together with the place.
struct FailingManager(Arc<Mutex<Kept>>);

impl Actor for FailingManager {
    const KIND: &'static str = "failing_manager";
    type Args = Arc<Mutex<Kept>>;

    async fn init(kept: &Self::Args, _ctx: &mut Context<Self>) -> Result<Self, Failure> {
        Ok(Self(Arc::clone(kept)))
    }
}

impl Handler<RecordIntervals> for FailingManager {
    async fn handle(
        &mut self,
        records: RecordIntervals,
        _ctx: &mut Context<Self>,
    ) -> Result<Result<Option<String>, Refusal>, Failure> {
        let mut kept = self.0.lock().expect("no test panics here");
        kept.asked += 1;
        if kept.asked % 5 == 2 {
            return Ok(Err(Refusal::new(RefusalCode::Unavailable, "the database is locked")));
        }
        if records.cursor.is_some() {
            kept.cursor = records.cursor;
            kept.units.extend(records.intervals.iter().map(|run| run.unit.to_string()));
        }
        Ok(Ok(kept.cursor.clone()))
    }
}

struct Site {
    system: System,
    office: PostOffice,
    kept: Arc<Mutex<Kept>>,
    _mail: oa_runtime::Subscription,
}

impl Site {
    async fn start() -> Self {
        let system = System::builder("test").arbiters(1).build();
        let office = PostOffice::new(&system, "node-1", "", Arc::new(MemoryTransport::new()));
        let kept = Arc::<Mutex<Kept>>::default();
        let spec = ChildSpec::<FailingManager>::new(Arc::clone(&kept));
        let manager = system.spawn_ready(spec, SOON).await.expect("it starts");
        let mailbox =
            Mailbox::new(office.address(mailbox::MANAGER)).accept::<RecordIntervals, _>(&manager);
        let mail = office.serve(mailbox).await.expect("it is served");
        Self { system, office, kept, _mail: mail }
    }

    fn collector(&self, engine: &Arc<Records>) -> Collector {
        let token = EtcdToken::new("local").expect("a valid token");
        let mut collector =
            Collector::new(token, Arc::clone(engine) as Arc<dyn Engine>, &self.office);
        collector.pause = Duration::from_millis(1);
        collector
    }

    async fn has_kept(&self, count: usize) {
        let enough = async {
            while self.kept.lock().expect("no test panics here").units.len() < count {
                sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(SOON, enough).await.expect("the records");
    }
}

#[tokio::test]
async fn every_record_arrives_in_order_although_everything_fails_now_and_then() {
    let site = Site::start().await;
    let engine = Records::new(true);
    let first = tokio::spawn(site.collector(&engine).run());
    site.has_kept(RECORDS / 2).await;
    // The node of the collector dies; the next one goes on where the Manager says.
    first.abort();
    let _aborted = first.await;
    let second = tokio::spawn(site.collector(&engine).run());
    site.has_kept(RECORDS).await;
    second.abort();

    let mut units = site.kept.lock().expect("no test panics here").units.clone();
    // What was on its way when the collector died may have come once more.
    units.dedup();
    let all: Vec<String> = (0..RECORDS).map(|at| format!("app@{at}.service")).collect();
    assert_eq!(units, all);
    site.system.shutdown(SOON).await;
}

#[tokio::test]
async fn an_engine_without_records_is_left_alone() {
    let site = Site::start().await;
    let collected = site.collector(&Records::new(false)).run();
    tokio::time::timeout(SOON, collected).await.expect("there is nothing to collect");
    assert!(site.kept.lock().expect("no test panics here").units.is_empty());
    site.system.shutdown(SOON).await;
}
