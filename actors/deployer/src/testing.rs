//! A cluster and a desk in memory, to see in which order a rollout acts.
//!
//! What a unit does stands in its `ExecStart`:
//!
//! | value | after so many looks at the states |
//! |---|---|
//! | `up <looks>` | active |
//! | `fails <looks>` | failed |
//! | `never` | stays activating |
//! | `dies <looks>` | failed, active until then |
//! | `ends <looks>` | inactive, active until then |

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use oa_fleet::{Engine, EngineError, LogQuery, unit_file};
use oa_protocol::cluster::{FleetConfig, RolloutPolicy};
use oa_protocol::deploy::{DeployCommand, DeployOutput};
use oa_protocol::manager::ReservedPort;
use oa_protocol::step::{StepFailure, StepKey};
use oa_protocol::unit::{LogPage, Machine, Unit, UnitDesire, UnitOption, UnitState};
use oa_protocol::{AttemptId, EtcdToken, UnitName, WorkflowId};
use oa_worker_journal::{CancelToken, Line, Progress};
use tokio::sync::{mpsc, watch};

use crate::deployment::{Desk, deploy};
use crate::error::DeployError;
use crate::generation;
use crate::plan::Snapshot;
use crate::voice::Voice;

/// A cluster of as many machines as it has names.
#[derive(Default)]
pub(crate) struct TestCluster {
    inner: Mutex<Inner>,
}

/// Sees the name of what was put; what it gives back overwrites that.
type OnPut = Box<dyn FnMut(&str) -> Option<Unit> + Send>;

#[derive(Default)]
struct Inner {
    machines: Vec<&'static str>,
    units: BTreeMap<String, (Unit, u32)>,
    /// What was healthy before the deployment.
    served: BTreeSet<String>,
    /// Most of those that were down at one time.
    most_down: usize,
    deeds: Vec<String>,
    hiccups: u32,
    on_put: Option<OnPut>,
}

impl TestCluster {
    pub(crate) fn of_machines(machines: &[&'static str]) -> Arc<Self> {
        let inner = Inner { machines: machines.to_vec(), ..Inner::default() };
        Arc::new(Self { inner: Mutex::new(inner) })
    }

    /// Adds a unit that has been there for a while.
    pub(crate) fn has(self: &Arc<Self>, name: &str, options: Vec<UnitOption>) -> &Arc<Self> {
        let unit = Unit { desired_state: Some(UnitDesire::Launched), ..Unit::new(name, options) };
        self.lock().units.insert(name.into(), (unit, u32::MAX / 2));
        self
    }

    /// Counts from here on how many of the units that are active now are down.
    pub(crate) fn watch_strength(&self) {
        let mut inner = self.lock();
        let active = |(unit, looks): &(Unit, u32)| state_of(unit, *looks).0 == "active";
        inner.served = inner
            .units
            .iter()
            .filter(|(_, unit)| active(unit))
            .map(|(name, _)| name.clone())
            .collect();
    }

    pub(crate) fn most_down(&self) -> usize {
        self.lock().most_down
    }

    /// What was done, such as `put app@0.service 2`, with the generation.
    pub(crate) fn deeds(&self) -> Vec<String> {
        self.lock().deeds.clone()
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.lock().units.keys().cloned().collect()
    }

    pub(crate) fn generations(&self) -> Vec<Option<u64>> {
        self.lock().units.values().map(|(unit, _)| generation::of(&unit.options)).collect()
    }

    /// Makes the next calls fail for a passing reason.
    pub(crate) fn hiccups(&self, calls: u32) {
        self.lock().hiccups = calls;
    }

    /// Calls back after each put; a unit that is given back overwrites what was put.
    pub(crate) fn on_put(&self, call: impl FnMut(&str) -> Option<Unit> + Send + 'static) {
        self.lock().on_put = Some(Box::new(call));
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Some engine panics on purpose.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn call(&self) -> Result<MutexGuard<'_, Inner>, EngineError> {
        let mut inner = self.lock();
        if inner.hiccups > 0 {
            inner.hiccups -= 1;
            return Err(passing_error());
        }
        Ok(inner)
    }
}

impl Inner {
    fn count_down(&mut self) {
        let is_down = |name: &&String| match self.units.get(*name) {
            Some((unit, looks)) => state_of(unit, *looks).0 != "active",
            None => true,
        };
        self.most_down = self.most_down.max(self.served.iter().filter(is_down).count());
    }
}

fn state_of(unit: &Unit, looks: u32) -> (&'static str, &'static str) {
    if unit.desired_state != Some(UnitDesire::Launched) {
        return ("inactive", "dead");
    }
    let exec = unit.values("Service", "ExecStart").next().unwrap_or("up 0");
    let (verb, number) = exec.split_once(' ').unwrap_or((exec, "0"));
    let due = looks >= number.split(' ').next().and_then(|number| number.parse().ok()).unwrap_or(0);
    match (verb, due) {
        ("up", true) | ("dies" | "ends", false) => ("active", "running"),
        ("fails" | "dies", true) => ("failed", "failed"),
        ("ends", true) => ("inactive", "dead"),
        _ => ("activating", "start"),
    }
}

#[async_trait]
impl Engine for TestCluster {
    async fn machines(&self) -> Result<Vec<Machine>, EngineError> {
        let machine = |id: &&str| Machine {
            id: (*id).into(),
            primary_ip: String::new(),
            metadata: BTreeMap::new(),
        };
        Ok(self.call()?.machines.iter().map(machine).collect())
    }

    async fn units(&self) -> Result<Vec<Unit>, EngineError> {
        Ok(self.call()?.units.values().map(|(unit, _)| unit.clone()).collect())
    }

    async fn unit(&self, name: &UnitName) -> Result<Option<Unit>, EngineError> {
        Ok(self.call()?.units.get(name.as_str()).map(|(unit, _)| unit.clone()))
    }

    async fn states(&self) -> Result<Vec<UnitState>, EngineError> {
        let mut inner = self.call()?;
        for (_, looks) in inner.units.values_mut() {
            *looks += 1;
        }
        inner.count_down();
        let state = |(unit, looks): &(Unit, u32)| {
            let (active, sub) = state_of(unit, *looks);
            UnitState {
                name: unit.name.clone(),
                hash: unit_file::hash(&unit.options),
                machine_id: "m1".into(),
                systemd_load_state: "loaded".into(),
                systemd_active_state: active.into(),
                systemd_sub_state: sub.into(),
            }
        };
        Ok(inner.units.values().map(state).collect())
    }

    async fn put(
        &self,
        name: &UnitName,
        options: &[UnitOption],
        desired: UnitDesire,
    ) -> Result<(), EngineError> {
        let mut inner = self.call()?;
        let unit =
            Unit { desired_state: Some(desired), ..Unit::new(name.as_str(), options.to_vec()) };
        let known =
            inner.units.get(name.as_str()).is_some_and(|(known, _)| known.options == unit.options);
        if !known {
            let generation = generation::of(options)
                .map_or_else(|| "-".into(), |generation| generation.to_string());
            inner.deeds.push(format!("put {name} {generation}"));
            inner.units.insert(name.to_string(), (unit, 0));
        }
        inner.count_down();
        let Some(mut call) = inner.on_put.take() else { return Ok(()) };
        if let Some(other) = call(name.as_str()) {
            inner.units.insert(name.to_string(), (other, 0));
        }
        inner.on_put = Some(call);
        Ok(())
    }

    async fn set_desire(&self, name: &UnitName, desired: UnitDesire) -> Result<(), EngineError> {
        if let Some((unit, _)) = self.call()?.units.get_mut(name.as_str()) {
            unit.desired_state = Some(desired);
        }
        Ok(())
    }

    async fn remove(&self, name: &UnitName) -> Result<bool, EngineError> {
        let mut inner = self.call()?;
        inner.deeds.push(format!("remove {name}"));
        let was_there = inner.units.remove(name.as_str()).is_some();
        inner.count_down();
        Ok(was_there)
    }

    async fn logs(&self, name: &UnitName, query: LogQuery) -> Result<LogPage, EngineError> {
        assert_eq!(query.lines, Some(10));
        Ok(LogPage { text: format!("hello from {name}\ncannot bind\n"), next: 0, dropped: 0 })
    }

    async fn restart(&self, name: &UnitName) -> Result<(), EngineError> {
        let mut inner = self.call()?;
        inner.deeds.push(format!("restart {name}"));
        if let Some((_, looks)) = inner.units.get_mut(name.as_str()) {
            *looks = 0;
        }
        Ok(())
    }
}

/// A desk whose notes outlive a deployment.
#[derive(Default)]
pub(crate) struct TestDesk {
    pub(crate) note: Mutex<Snapshot>,
    pub(crate) released: Mutex<Vec<String>>,
}

impl Desk for TestDesk {
    async fn reserve_ports(
        &self,
        units: &[UnitName],
        _voice: &Voice,
    ) -> Result<Vec<ReservedPort>, DeployError> {
        let reserve = |(index, unit): (usize, &UnitName)| ReservedPort {
            unit: unit.clone(),
            port: 45_000 + index as u16,
        };
        Ok(units.iter().enumerate().map(reserve).collect())
    }

    fn release_ports(&self, units: &[UnitName]) -> impl Future<Output = ()> {
        self.released
            .lock()
            .expect("no test panics here")
            .extend(units.iter().map(UnitName::to_string));
        std::future::ready(())
    }

    fn recall(&self) -> impl Future<Output = Result<Snapshot, DeployError>> {
        std::future::ready(Ok(self.note.lock().expect("no test panics here").clone()))
    }

    fn note(&self, snapshot: &Snapshot) -> impl Future<Output = Result<(), DeployError>> {
        *self.note.lock().expect("no test panics here") = snapshot.clone();
        std::future::ready(Ok(()))
    }
}

/// The template that most tests deploy.
pub(crate) const APP: &str = "app@.service";

/// A cluster on which generation 1 of two instances is healthy.
pub(crate) fn running() -> Arc<TestCluster> {
    let cluster = TestCluster::of_machines(&["m1"]);
    cluster
        .has("app@0.service", options("up 0 old", Some(1)))
        .has("app@1.service", options("up 0 old", Some(1)));
    cluster
}

/// A definition of `generation`, or one that no Deployer wrote.
pub(crate) fn options(exec: &str, generation: Option<u64>) -> Vec<UnitOption> {
    let options = vec![
        UnitOption::new("Unit", "Description", "an app"),
        UnitOption::new("Service", "ExecStart", exec),
    ];
    let stamp = |generation| generation::Stamp { generation, ..Default::default() };
    generation.map_or(options.clone(), |generation| stamp(generation).put(&options))
}

/// Deploys `units` as `generation`; instances settle for a second and have ten to become healthy.
pub(crate) fn command(units: &[(&str, &str)], instances: u32, generation: u64) -> DeployCommand {
    let policy = RolloutPolicy {
        settle: Duration::from_secs(1),
        healthy_within: Duration::from_secs(10),
        quorum: None,
    };
    DeployCommand {
        step: StepKey {
            workflow_id: WorkflowId::new(),
            seq: 1,
            attempt_id: AttemptId::new(),
            attempt_no: 1,
            epoch: 1,
        },
        etcd_token: EtcdToken::new("local").expect("a valid token"),
        units: units.iter().map(|(name, exec)| Unit::new(*name, options(exec, None))).collect(),
        fleet_config: FleetConfig {
            instance_cnt: Some(instances),
            health: None,
            deploy: Some(policy),
        },
        generation,
        product: None,
        timeout: Duration::from_secs(1800),
    }
}

/// A deployment under test: cluster, desk, and the wire by which it is cancelled.
pub(crate) struct Stage {
    pub(crate) cluster: Arc<TestCluster>,
    pub(crate) desk: TestDesk,
    pub(crate) cancel: watch::Sender<Option<String>>,
    pub(crate) said: Mutex<Vec<Line>>,
}

impl Stage {
    pub(crate) fn new(cluster: &Arc<TestCluster>) -> Self {
        cluster.watch_strength();
        Self {
            cluster: Arc::clone(cluster),
            desk: TestDesk::default(),
            cancel: watch::Sender::new(None),
            said: Mutex::new(Vec::new()),
        }
    }

    pub(crate) async fn deploy(
        &self,
        command: &DeployCommand,
    ) -> Result<DeployOutput, StepFailure> {
        let (lines, mut heard) = mpsc::unbounded_channel();
        let cancelled = CancelToken::new(self.cancel.subscribe());
        let voice = Voice::new(Progress::new(lines), cancelled, command.timeout);
        let engine: Arc<dyn Engine> = self.cluster.clone();
        let result = deploy(command, engine, &self.desk, voice).await;
        while let Some(line) = heard.recv().await {
            self.said.lock().expect("no test panics here").push(line);
        }
        result
    }

    pub(crate) fn heard(&self, text: &str) -> bool {
        self.said
            .lock()
            .expect("no test panics here")
            .iter()
            .any(|line| line.message.contains(text))
    }
}

/// An error of the kind that passes.
fn passing_error() -> EngineError {
    EngineError::Timeout { endpoint: "busy".into(), waited: Duration::from_secs(1) }
}
