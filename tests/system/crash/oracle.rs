//! What must be true after a crash and a recovery, whatever died and where.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use oa_api::{Client, Workflow};
use oa_store::{Store, StoreConfig};
use oa_test_services::eventually::eventually;
use oa_test_services::node::NodeHome;
use oa_worker_journal::WorkerJournal;
use sea_orm::{ConnectionTrait, Database, Statement};

use super::life::Life;
use super::scenario::RELEASE;
use crate::stage::{answer, keepers, processes, programs};

/// How long what goes on in the background may take.
const SOON: Duration = Duration::from_secs(20);
const WORKERS: [&str; 3] = ["builder.db", "deployer.db", "deployer-oa.db"];

/// The node runs, and the workflow has ended.
pub(crate) async fn judge_running(life: &Life, client: &Client, done: &Workflow) {
    let Life { scenario, home, hello, .. } = life;
    let context = || format!("{done:#?}; {}", life.context());
    assert_eq!(done.state, scenario.end(), "{}", context());
    for step in &done.steps {
        assert!(step.attempts <= 1, "a crash costs no attempt; {}", context());
    }
    let events = client.workflow_events(&done.id, 0, Duration::ZERO).await;
    let events = events.expect("events are readable").events;
    let versions: Vec<_> = events.iter().map(|event| event.version).collect();
    let wanted: Vec<_> = (1..).take(versions.len()).collect();
    assert_eq!(versions, wanted, "versions have no gap and no double; {}", context());

    assert_eq!(hello.deployment.commits(), scenario.commits(), "commits; {}", context());
    let count = scenario.units();
    let once = || async { keepers(home).len() == count && programs(home).len() == count };
    let counted = || format!("keepers {:?}, programs {:?}", keepers(home), programs(home));
    assert!(eventually(SOON, once).await, "each unit once: {}; {}", counted(), context());
    if scenario.keeps_processes() {
        assert_eq!(keepers(home), life.earlier, "nobody restarted a unit; {}", context());
    }
    let units = client.units("local").await.expect("the units are readable");
    let names: Vec<String> = units.iter().map(|unit| unit.name.clone()).collect();
    let wanted: Vec<String> = (0..count).map(|at| format!("hello@{at}.service")).collect();
    assert_eq!(names, wanted, "{}", context());
    for unit in units {
        let is_later = unit.options.iter().any(|option| option.value == RELEASE);
        assert_eq!(is_later, scenario.is_replaced(), "{unit:#?}; {}", context());
    }
    for unit in done.deployed_units() {
        answer(unit.address.as_deref().expect("an address")).await;
    }
    let marked = processes("environ", |text| text.contains("OA_CRASH_"));
    let told: Vec<_> = programs(home).into_iter().filter(|id| marked.contains(id)).collect();
    assert!(told.is_empty(), "units are told nothing of crash points; {}", context());
    await_empty_outboxes(home).await;
}

/// The node stopped in order, and its units with it.
pub(crate) async fn judge_stopped(life: &Life) {
    let Life { home, .. } = life;
    assert!(keepers(home).is_empty(), "no keeper is left; {}", life.context());
    assert!(programs(home).is_empty(), "no program is left; {}", life.context());
    let (left, held) = files(&home.data());
    assert!(left.is_empty(), "files are left: {left:#?}; {}", life.context());
    assert!(held.is_empty(), "locks are held: {held:#?}; {}", life.context());

    let config = StoreConfig::new(home.data().join("store.db"), "oracle");
    let store = Store::open(&config).await.expect("the store is free");
    let journal = store.journal();
    assert_eq!(journal.offenders().await.expect("a count"), 0, "{}", life.context());
    assert_eq!(journal.open_workflows().await.expect("a list"), [], "{}", life.context());
    let parked = store.outbox().backlog().await.expect("a count").parked;
    assert_eq!(parked, 0, "messages are parked; {}", life.context());
    store.close().await;
    let open = "SELECT (SELECT count(*) FROM step_attempts WHERE state IN ('queued', 'accepted')) \
                + (SELECT count(*) FROM workflow_timers) \
                + (SELECT count(*) FROM target_claims WHERE released_at_ms IS NULL) AS n";
    assert_eq!(count(&home.data().join("store.db"), open).await, 0, "{}", life.context());
    for file in WORKERS {
        let journal = WorkerJournal::open(home.data().join(file), "oracle").await;
        let journal = journal.expect("the journal is free");
        let tasks = journal.open_tasks().await.expect("tasks are readable");
        assert!(tasks.is_empty(), "{tasks:#?}; {}", life.context());
        let backlog = journal.outbox().backlog().await.expect("a count");
        assert_eq!(backlog.parked, 0, "messages are parked; {}", life.context());
        journal.close().await;
    }
}

/// Waits until every message has been handed over, and that is written down.
///
/// # Panics
///
/// If one is not in time.
pub(crate) async fn await_empty_outboxes(home: &NodeHome) {
    let pending = "SELECT count(*) AS n FROM outbox WHERE state <> 'sent'";
    for file in ["store.db"].into_iter().chain(WORKERS) {
        let path = home.data().join(file);
        let empty = || async { count(&path, pending).await == 0 };
        assert!(eventually(SOON, empty).await, "{file}: messages are left; {}", home.log());
    }
}

async fn count(path: &Path, select: &str) -> i64 {
    let database = Database::connect(format!("sqlite://{}?mode=ro", path.display()));
    let database = database.await.expect("a database can be read while its node has it open");
    let select = Statement::from_string(database.get_database_backend(), select);
    let row = database.query_one_raw(select).await.expect("it is readable").expect("one row");
    database.close().await.expect("a connection closes");
    row.try_get("", "n").expect("a count")
}

/// Files that should not be there, and locks that somebody holds.
fn files(data: &Path) -> (Vec<PathBuf>, Vec<PathBuf>) {
    let mut all = Vec::new();
    collect(data, &mut all);
    let known: BTreeSet<String> = names(&data.join("fleet/units"))
        .filter_map(|name| Some(name.strip_suffix(".json")?.to_owned()))
        .collect();
    let kept = data.join("fleet/run");
    let orphans = names(&kept).filter(|name| !known.contains(name)).map(|name| kept.join(name));
    let is_left = |path: &Path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let ends = [".new", ".tmp", "-wal", "-shm", "-journal"];
        ends.iter().any(|end| name.ends_with(end))
            || name == "node.json"
            || path.starts_with(data.join("work"))
    };
    let left = all.iter().filter(|path| is_left(path)).cloned().chain(orphans).collect();
    let is_held = |path: &&PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let is_lock = name == "lock" || name.ends_with(".lock");
        is_lock && File::open(path).is_ok_and(|file| file.try_lock().is_err())
    };
    (left, all.iter().filter(is_held).cloned().collect())
}

fn names(directory: &Path) -> impl Iterator<Item = String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok())
}

/// Every file below `directory`.
fn collect(directory: &Path, found: &mut Vec<PathBuf>) {
    for name in names(directory) {
        let path = directory.join(name);
        if path.is_dir() {
            collect(&path, found);
        } else {
            found.push(path);
        }
    }
}
