//! What the cluster knows and wants: definitions, the machine, and which units are on it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use oa_fleet::UnitName;
use oa_fleet::unit::{Machine, UnitDesire, UnitOption};
use tokio::sync::Semaphore;

use crate::config::FleetHostConfig;
use crate::error::FleetHostError;
use crate::gate::Gate;
use crate::host::{private_directory, raise_open_files};
use crate::metering::Ledger;
use crate::registry::{Definition, Registry, entry_of, set_aside, write_whole};
use crate::runner::{Places, Runners, STARTING_AT_ONCE, Wish};
use crate::scheduling;
use crate::service::{self, Host, Plan, Unrunnable};
use crate::states::States;
use crate::storage::HostStorage;

/// Outputs of removed units that are kept for reading.
const KEPT_OUTPUTS: usize = 50;
/// File of the machine's labels.
const METADATA: &str = "metadata.json";

/// What the API works on.
#[derive(Debug)]
pub(crate) struct Cluster {
    registry: Mutex<Registry>,
    /// The units that are on this machine; changed under the lock of the registry.
    placed: Mutex<BTreeSet<UnitName>>,
    pub(crate) states: Arc<States>,
    pub(crate) gate: Gate,
    runners: Runners,
    pub(crate) ledger: Arc<Ledger>,
    data_dir: PathBuf,
    host: Host,
    machine: Mutex<Machine>,
    closing: AtomicBool,
    storage: Arc<HostStorage>,
}

impl Cluster {
    pub(crate) fn open(config: &FleetHostConfig) -> Result<Self, FleetHostError> {
        let data_dir = config.data_dir.clone();
        let place = |name: &str| -> Result<PathBuf, FleetHostError> {
            let path = data_dir.join(name);
            private_directory(&path)
                .map_err(|cause| FleetHostError::Directory { path: path.clone(), cause })?;
            Ok(path)
        };
        let registry = Registry::open(&place("units")?)?;
        let unusable = |cause| FleetHostError::Directory { path: data_dir.clone(), cause };
        let machine = Machine {
            id: machine_id(&data_dir).map_err(unusable)?,
            primary_ip: config.primary_ip.clone(),
            metadata: read_metadata(&data_dir),
        };
        let ledger = Ledger::open(&place("metering")?, &machine.id).map_err(unusable)?;
        let ledger = Arc::new(ledger);
        let places = Places {
            run: place("run")?,
            output: place("output")?,
            ledger: Arc::clone(&ledger),
            keeper: config.keeper.clone(),
            patience: config.keeper_patience,
            open_files: raise_open_files(),
            starting: Semaphore::new(STARTING_AT_ONCE),
            searching: tokio::sync::Mutex::default(),
        };
        let states = Arc::new(States::default());
        let host = Host::here(&machine.id, config.allow_root_units, config.log_limit_bytes);
        Ok(Self {
            storage: Arc::new(HostStorage::new(&data_dir)),
            registry: Mutex::new(registry),
            placed: Mutex::default(),
            runners: Runners::new(places, Arc::clone(&states)),
            gate: Gate::default(),
            states,
            ledger,
            data_dir,
            host,
            machine: Mutex::new(machine),
            closing: AtomicBool::new(false),
        })
    }

    /// Begins a task for every unit, and for every keeper whose unit is not known any more.
    pub(crate) fn begin(&self) {
        let registry = self.registry();
        for definition in registry.iter() {
            self.gate.learn(&definition.name, &definition.options, &self.host);
        }
        let known = registry.entries();
        for (name, why) in registry.damaged() {
            self.runners.wish(&name, Wish::Undefined { why: why.to_owned() });
        }
        let left = fs::read_dir(self.data_dir.join("run")).into_iter().flatten().flatten();
        for entry in left.filter_map(|entry| entry.file_name().into_string().ok()) {
            if !known.contains(&entry) {
                self.runners.wish_gone(&entry);
            }
        }
        self.reschedule(&registry, registry.iter().map(|definition| definition.name.clone()));
    }

    /// Nothing waits for news any more.
    pub(crate) fn close(&self) {
        self.closing.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Relaxed)
    }

    pub(crate) fn storage(&self) -> &Arc<HostStorage> {
        &self.storage
    }

    pub(crate) fn runners(&self) -> &Runners {
        &self.runners
    }

    pub(crate) fn registry(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn machine(&self) -> MutexGuard<'_, Machine> {
        self.machine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this host can run a unit; its plan if so.
    pub(crate) fn plan(&self, name: &UnitName, options: &[UnitOption]) -> Result<Plan, Unrunnable> {
        service::plan(name, options, &self.host)
    }

    /// Whether what a unit asks of others can be had at all.
    pub(crate) fn check_dependencies(
        &self,
        name: &UnitName,
        options: &[UnitOption],
    ) -> Result<(), Unrunnable> {
        self.gate.check(name, options, &self.host)
    }

    /// Lets units go, or holds them, as those that they depend on come to something. Never returns.
    pub(crate) async fn attend(self: Arc<Self>) {
        loop {
            self.states.launches_changed().await;
            let registry = self.registry();
            let placed = self.placed.lock().unwrap_or_else(PoisonError::into_inner).clone();
            for name in self.gate.changed(&registry, &placed, &self.states) {
                if let Some(definition) = registry.get(&name) {
                    self.wish(definition, &registry, &placed);
                }
            }
        }
    }

    /// Stops every unit that is ordered with others, last begun first.
    pub(crate) async fn halt_in_order(&self) {
        self.runners.halt_in_turns(self.gate.turns_of_stopping()).await;
    }

    /// What is launched and what is restarted together with `name`, stored before it is.
    fn carry_on(
        &self,
        registry: &mut Registry,
        name: &UnitName,
        was_launched: bool,
        launch: u64,
    ) -> io::Result<Vec<UnitName>> {
        let (pulled_in, dependents) = self.gate.together(name);
        let mut changed = Vec::new();
        for other in pulled_in.union(&dependents) {
            let Ok(other) = UnitName::new(other.as_str()) else { continue };
            let Some(known) = registry.get(&other).cloned() else { continue };
            let is_launched = known.desired == UnitDesire::Launched;
            let is_begun = !is_launched && pulled_in.contains(other.as_str());
            let is_restarted = is_launched && was_launched && dependents.contains(other.as_str());
            let can_run = !other.is_template() && other.kind() == "service";
            if (is_begun || is_restarted) && can_run {
                let since =
                    if known.desired == UnitDesire::Inactive { launch } else { known.since };
                let desired = UnitDesire::Launched;
                let definition = Definition { desired, launch, since, ..known };
                self.storage.note(registry.put(definition))?;
                changed.push(other);
            }
        }
        Ok(changed)
    }

    /// Makes or changes a unit: stored first, then acted upon. A launch of what is launched already is a restart.
    pub(crate) fn define(
        &self,
        name: UnitName,
        options: Vec<UnitOption>,
        desired: UnitDesire,
    ) -> io::Result<()> {
        let mut registry = self.registry();
        let next = registry.iter().map(|one| one.launch.max(one.since)).max().unwrap_or(0) + 1;
        // Later than that of an earlier unit of this name, too, which may be forgotten.
        let next = next.max(now_ms());
        let before = registry.get(&name);
        let is_launch = desired == UnitDesire::Launched;
        let launch = if is_launch { next } else { before.map_or(0, |before| before.launch) };
        let was_wanted = before.filter(|before| before.desired != UnitDesire::Inactive);
        let since = was_wanted.map_or(next, |before| before.since);
        let was_launched = was_wanted.is_some_and(|one| one.desired == UnitDesire::Launched);
        self.gate.learn(&name, &options, &self.host);
        let mut changed = Vec::new();
        if is_launch {
            changed = self.carry_on(&mut registry, &name, was_launched, launch)?;
        }
        let definition = Definition { name: name.clone(), options, desired, launch, since };
        self.storage.note(registry.put(definition))?;
        changed.push(name);
        self.reschedule(&registry, changed);
        Ok(())
    }

    /// Forgets a unit: it stops, its output stays for a while. `false` if it is not known.
    pub(crate) fn forget(&self, name: &UnitName) -> io::Result<bool> {
        let mut registry = self.registry();
        if !self.storage.note(registry.remove(name))? {
            return Ok(false);
        }
        oa_crash_points::crash_point!(HostForgotten);
        self.gate.forget(name);
        self.runners.wish(name, Wish::Gone);
        self.reschedule(&registry, []);
        self.prune_outputs(&registry);
        Ok(true)
    }

    /// Labels the machine.
    pub(crate) fn label(&self, metadata: BTreeMap<String, String>) -> io::Result<()> {
        let registry = self.registry();
        let text = serde_json::to_vec(&metadata)?;
        self.storage.note(write_whole(&self.data_dir, METADATA, &text))?;
        self.machine().metadata = metadata;
        self.reschedule(&registry, []);
        Ok(())
    }

    /// Tells the tasks of `changed`, and of every unit that comes to this machine or goes from it, what is wanted.
    fn reschedule(&self, registry: &Registry, changed: impl IntoIterator<Item = UnitName>) {
        let machine = self.machine().clone();
        let now = scheduling::place(registry.iter(), &machine);
        let mut placed = self.placed.lock().unwrap_or_else(PoisonError::into_inner);
        let mut concerned: BTreeSet<UnitName> =
            placed.symmetric_difference(&now).cloned().collect();
        concerned.extend(changed);
        concerned.extend(self.gate.changed(registry, &now, &self.states));
        for definition in concerned.iter().filter_map(|name| registry.get(name)) {
            self.wish(definition, registry, &now);
        }
        *placed = now;
    }

    fn wish(&self, definition: &Definition, registry: &Registry, placed: &BTreeSet<UnitName>) {
        let held = self.gate.hold(definition, registry, placed, &self.states);
        let wish = match definition.desired {
            _ if !placed.contains(&definition.name) => Wish::Inactive,
            UnitDesire::Inactive => Wish::Inactive,
            UnitDesire::Loaded => Wish::Loaded { hash: definition.hash() },
            UnitDesire::Launched => match self.plan(&definition.name, &definition.options) {
                Ok(_) if held.is_some() => held.unwrap_or(Wish::Inactive),
                Ok(plan) => {
                    Wish::Run { plan: Arc::new(Plan { launch: definition.launch, ..plan }) }
                }
                Err(why) => {
                    // It was runnable when it was stored; the machine changed since, such as by losing a user.
                    tracing::error!(unit = %definition.name, "cannot run any more: {why}");
                    Wish::Loaded { hash: definition.hash() }
                }
            },
        };
        self.runners.wish(&definition.name, wish);
    }

    /// The directory of a unit's keeper.
    pub(crate) fn run_of(&self, name: &UnitName) -> PathBuf {
        self.data_dir.join("run").join(entry_of(name))
    }

    /// What keeps a unit that is wanted from being on this machine.
    pub(crate) fn hindrance(&self, name: &UnitName) -> Option<scheduling::Hindrance> {
        let registry = self.registry();
        let definitions: Vec<&Definition> = registry.iter().collect();
        scheduling::hindrance(name, &definitions, &self.machine())
    }

    /// The directory of a unit's output.
    pub(crate) fn output_of(&self, name: &UnitName) -> PathBuf {
        self.data_dir.join("output").join(entry_of(name))
    }

    /// Drops the oldest outputs of units that are gone.
    fn prune_outputs(&self, registry: &Registry) {
        let known = registry.entries();
        let entries = fs::read_dir(self.data_dir.join("output")).into_iter().flatten().flatten();
        let gone = entries
            .filter(|entry| !entry.file_name().to_str().is_some_and(|name| known.contains(name)));
        let mut aged: Vec<_> = gone
            .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
            .collect();
        aged.sort_unstable();
        let surplus = aged.len().saturating_sub(KEPT_OUTPUTS);
        for (_, path) in aged.into_iter().take(surplus) {
            let _next_time = fs::remove_dir_all(path);
        }
    }
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX / 2)
}

/// The labels of the machine; damaged ones are set aside, for the units matter more.
fn read_metadata(data_dir: &Path) -> BTreeMap<String, String> {
    let path = data_dir.join(METADATA);
    let why = match fs::read(&path) {
        Ok(text) => match serde_json::from_slice(&text) {
            Ok(metadata) => return metadata,
            Err(why) => why.to_string(),
        },
        Err(why) if why.kind() == io::ErrorKind::NotFound => return BTreeMap::new(),
        Err(why) => why.to_string(),
    };
    set_aside(&path);
    tracing::error!(
        "the labels of this machine in {} are damaged, so it has none: {why}",
        path.display()
    );
    BTreeMap::new()
}

/// The id of this machine: systemd's, or where there is none one that is made once and kept.
fn machine_id(data_dir: &Path) -> io::Result<String> {
    let own = data_dir.join("machine-id");
    for path in [&own, Path::new("/etc/machine-id")] {
        let text = fs::read_to_string(path).unwrap_or_default();
        let id = text.trim();
        if id.len() == 32 && id.chars().all(|c| c.is_ascii_hexdigit()) {
            return Ok(id.to_owned());
        }
    }
    let id = fs::read_to_string("/proc/sys/kernel/random/uuid")?.trim().replace('-', "");
    write_whole(data_dir, "machine-id", id.as_bytes())?;
    Ok(id)
}
