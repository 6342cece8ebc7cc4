//! The host's side: gives records out, and closes the runs that nobody watches any more.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use oa_fleet::IntervalId;
use oa_fleet::metering::{IntervalEnd, IntervalPage, UnitInterval};
use tokio::sync::Notify;
use tokio::time::sleep;

use super::records::{self, Entry};
use crate::keeper::ProcessId;
use crate::registry::write_whole;

/// Name of the file of records in the directory of metering.
pub(super) const RECORDS: &str = "records";
/// Name of the file with the name of that file: places in another one mean nothing here.
const NAME: &str = "name";
/// Most records of one page.
const MOST_RECORDS: usize = 1000;
/// Records that stay although they are stored elsewhere, in bytes: a restored backup can ask for them again.
const KEPT_BYTES: u64 = 4 * 1024 * 1024;
/// Room is given back in pieces of this size.
const RELEASED_BYTES: u64 = 1024 * 1024;
/// Room that is held ready for records, should the disk be full.
const RESERVED_BYTES: u64 = 1024 * 1024;
/// How often the ledger looks by itself, and how soon when it is asked to.
const LOOK_EVERY: Duration = Duration::from_secs(60);
const LOOK_SOON: Duration = Duration::from_millis(200);

/// The records of every unit of this host.
#[derive(Debug)]
pub(crate) struct Ledger {
    directory: PathBuf,
    path: PathBuf,
    name: String,
    machine_id: String,
    inner: Mutex<Inner>,
    look: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    /// What was read so far, for the runs that are open.
    read_to: u64,
    open: BTreeMap<IntervalId, Open>,
    /// Everything before is stored elsewhere.
    acknowledged: u64,
    released: u64,
    is_disk_full: bool,
}

/// A run without an end, as its latest record has it.
#[derive(Debug)]
struct Open {
    place: u64,
    entry: Entry,
}

impl Ledger {
    /// The ledger in `directory`, which is made if it is not there.
    pub(crate) fn open(directory: &Path, machine_id: &str) -> io::Result<Self> {
        let name = match fs::read_to_string(directory.join(NAME)) {
            Ok(name) if !name.is_empty() && directory.join(RECORDS).exists() => name,
            _ => {
                let name = IntervalId::new().to_string();
                write_whole(directory, NAME, name.as_bytes())?;
                name
            }
        };
        Ok(Self {
            directory: directory.to_path_buf(),
            path: directory.join(RECORDS),
            name,
            machine_id: machine_id.to_owned(),
            inner: Mutex::default(),
            look: Notify::new(),
        })
    }

    /// Where keepers append.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// The records after `cursor`, of each run the latest one; asking so says that those before it are stored.
    ///
    /// Without a cursor, or with one of another file, it begins at the beginning.
    pub(crate) fn page(&self, cursor: Option<&str>, limit: usize) -> io::Result<IntervalPage> {
        let from = cursor.and_then(|cursor| self.place_of(cursor)).unwrap_or(0);
        if from > 0 {
            let mut inner = self.lock();
            inner.acknowledged = inner.acknowledged.max(from);
        }
        let chunk = records::read(&self.path, from, limit.clamp(1, MOST_RECORDS))?;
        if chunk.damaged > 0 {
            tracing::warn!(
                lines = chunk.damaged,
                "records of runs were passed over: a crash or a full disk left only parts of them"
            );
        }
        let mut intervals: BTreeMap<IntervalId, UnitInterval> = BTreeMap::new();
        for (_, Entry { mut interval, .. }) in chunk.entries {
            interval.machine_id.clone_from(&self.machine_id);
            let known = intervals.entry(interval.id).or_insert_with(|| interval.clone());
            known.merge(&interval);
        }
        let intervals = intervals.into_values().collect();
        Ok(IntervalPage { intervals, next: format!("{}:{}", self.name, chunk.next) })
    }

    /// The end of what is recorded: it grows with each record.
    pub(crate) fn end(&self) -> u64 {
        records::end(&self.path)
    }

    /// A keeper is gone: looks soon whether it left a run open.
    pub(crate) fn look_soon(&self) {
        self.look.notify_one();
    }

    /// Looks at once, whenever it is asked to, and each minute. Never ends.
    pub(crate) async fn watch(self: Arc<Self>) {
        loop {
            let ledger = Arc::clone(&self);
            let looked = tokio::task::spawn_blocking(move || ledger.look(ProcessId::is_alive));
            if let Ok(Err(why)) = looked.await {
                tracing::warn!("failed to look after the records of runs: {why}");
            }
            sleep(LOOK_SOON).await;
            tokio::select! { () = self.look.notified() => {}, () = sleep(LOOK_EVERY) => {} }
        }
    }

    /// Closes every run whose keeper is gone, and looks after the room on the disk.
    pub(super) fn look(&self, is_alive: impl Fn(&ProcessId) -> bool) -> io::Result<()> {
        let mut inner = self.lock();
        self.catch_up(&mut inner)?;
        let is_gone = |open: &Open| !open.entry.keeper.as_ref().is_some_and(&is_alive);
        let gone: Vec<IntervalId> =
            inner.open.iter().filter(|(_, open)| is_gone(open)).map(|(id, _)| *id).collect();
        if !gone.is_empty() {
            // The keeper may have closed its run right before it ended; now it cannot any more.
            self.catch_up(&mut inner)?;
            self.close(&mut inner, &gone)?;
        }
        self.make_room(&mut inner)
    }

    fn close(&self, inner: &mut Inner, gone: &[IntervalId]) -> io::Result<()> {
        for open in gone.iter().filter_map(|id| inner.open.get(id)) {
            let mut entry = open.entry.clone();
            entry.interval.end = IntervalEnd::Unknown;
            let unit = &entry.interval.unit;
            tracing::warn!(
                %unit, known_for_ms = entry.interval.ran_ms,
                "a run ended when nobody watched: its end is unknown"
            );
            records::append(&self.path, &entry)?.sync_data()?;
        }
        self.catch_up(inner)
    }

    fn catch_up(&self, inner: &mut Inner) -> io::Result<()> {
        loop {
            let chunk = records::read(&self.path, inner.read_to, MOST_RECORDS)?;
            inner.read_to = chunk.next;
            if chunk.entries.is_empty() {
                return Ok(());
            }
            for (place, entry) in chunk.entries {
                let id = entry.interval.id;
                match entry.interval.end {
                    IntervalEnd::Running => drop(inner.open.insert(id, Open { place, entry })),
                    _ => drop(inner.open.remove(&id)),
                }
            }
        }
    }

    /// Gives back what is stored elsewhere, but nothing that an open run still needs.
    fn make_room(&self, inner: &mut Inner) -> io::Result<()> {
        let needed = inner.open.values().map(|open| open.place).min().unwrap_or(u64::MAX);
        let to = needed.min(inner.acknowledged.min(inner.read_to).saturating_sub(KEPT_BYTES));
        if to >= inner.released + RELEASED_BYTES {
            records::release(&self.path, to)?;
            inner.released = to;
        }
        let reserved = records::reserve(&self.path, RESERVED_BYTES);
        let is_full = reserved.is_err();
        if let Err(why) = reserved
            && !inner.is_disk_full
        {
            tracing::error!(
                path = %self.path.display(),
                "no room is left for records of runs; runs that cannot be recorded will be missing: {why}"
            );
        }
        inner.is_disk_full = is_full;
        Ok(())
    }

    fn place_of(&self, cursor: &str) -> Option<u64> {
        let (name, place) = cursor.rsplit_once(':')?;
        let place = place.parse().ok().filter(|&place| place <= self.end())?;
        (name == self.name).then_some(place)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
