//! A real host, Management beside it, and nodes with a Deployer.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use oa_deployer::{DeployerConfig, deployer};
use oa_fleet::{Engine, Engines, FleetClient, LogQuery};
use oa_fleet_host::{FleetHost, FleetHostConfig, KeeperProgram, StopUnits};
use oa_protocol::cluster::{FleetConfig, HealthCheck, RolloutPolicy};
use oa_protocol::deploy::{DeployCommand, DeployOutput};
use oa_protocol::manager::{ReleasePorts, ReservePorts, ReservedPort};
use oa_protocol::step::{StepFailure, StepKey, StepNews, StepOutput, StepReport};
use oa_protocol::unit::{Unit, UnitOption};
use oa_protocol::{AttemptId, EtcdToken, Refusal, UnitName, WorkflowId, mailbox};
use oa_runtime::{
    Actor, ChildSpec, Context, Envelope, Failure, Handler, Mailbox, PostOffice, Subscription,
    System,
};
use oa_transport_memory::MemoryTransport;
use oa_worker_journal::WorkerJournal;
use tempfile::TempDir;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

pub(crate) const SOON: Duration = Duration::from_secs(30);

/// Stands in for Management: takes reports, gives free ports.
struct Management {
    reports: UnboundedSender<StepReport>,
    ports: BTreeMap<UnitName, u16>,
}

impl Actor for Management {
    const KIND: &'static str = "management";
    type Args = UnboundedSender<StepReport>;

    async fn init(reports: &Self::Args, _ctx: &mut Context<Self>) -> Result<Self, Failure> {
        Ok(Self { reports: reports.clone(), ports: BTreeMap::new() })
    }
}

impl Handler<StepReport> for Management {
    async fn handle(
        &mut self,
        report: StepReport,
        _ctx: &mut Context<Self>,
    ) -> Result<(), Failure> {
        let _ = self.reports.send(report);
        Ok(())
    }
}

impl Handler<ReservePorts> for Management {
    async fn handle(
        &mut self,
        asked: ReservePorts,
        _ctx: &mut Context<Self>,
    ) -> Result<Result<Vec<ReservedPort>, Refusal>, Failure> {
        let mut reserved = Vec::new();
        for unit in asked.units {
            let taken: Vec<u16> = self.ports.values().copied().collect();
            let port = *self.ports.entry(unit.clone()).or_insert_with(|| free_port(&taken));
            reserved.push(ReservedPort { unit, port });
        }
        Ok(Ok(reserved))
    }
}

impl Handler<ReleasePorts> for Management {
    async fn handle(
        &mut self,
        asked: ReleasePorts,
        _ctx: &mut Context<Self>,
    ) -> Result<Result<(), Refusal>, Failure> {
        self.ports.retain(|unit, _| !asked.units.contains(unit));
        Ok(Ok(()))
    }
}

/// A port that nobody listens on and that no other unit was given.
fn free_port(taken: &[u16]) -> u16 {
    let listen = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let ports = std::iter::repeat_with(|| listen().local_addr().expect("a bound socket").port());
    ports.take(100).find(|port| !taken.contains(port)).expect("one of many is new")
}

/// A host that outlives the nodes of a test, and Management beside it.
pub(crate) struct Stage {
    pub(crate) disk: TempDir,
    pub(crate) host: FleetHost,
    management: System,
    office: PostOffice,
    transport: Arc<MemoryTransport>,
    reports: UnboundedReceiver<StepReport>,
    _subscriptions: Vec<Subscription>,
}

impl Stage {
    pub(crate) async fn set() -> Self {
        let _already_installed = rustls::crypto::ring::default_provider().install_default();
        let disk = TempDir::with_prefix("oa-deployer-").expect("a temporary directory");
        let config = FleetHostConfig {
            data_dir: disk.path().join("fleet"),
            socket: disk.path().join("fleet.sock"),
            keeper: KeeperProgram {
                program: this_program(),
                arguments: vec!["unit-keeper".into()],
            },
            allow_root_units: true,
            primary_ip: "127.0.0.1".into(),
            log_limit_bytes: 64 * 1024,
            keeper_patience: oa_fleet_host::KEEPER_PATIENCE,
        };
        let host = FleetHost::start(config).await.expect("the host starts");
        let management = System::builder("management").arbiters(1).build();
        let transport = Arc::new(MemoryTransport::new());
        let office = PostOffice::new(&management, "management", "", transport.clone());
        let (send, reports) = unbounded_channel();
        let actor = management
            .spawn_ready::<Management>(ChildSpec::new(send), SOON)
            .await
            .expect("it starts");
        let mailboxes = [
            Mailbox::new(office.address(mailbox::WORKFLOW_ORCHESTRATION))
                .accept::<StepReport, _>(&actor),
            Mailbox::new(office.address(mailbox::MANAGER))
                .accept::<ReservePorts, _>(&actor)
                .accept::<ReleasePorts, _>(&actor),
        ];
        let mut subscriptions = Vec::new();
        for mailbox in mailboxes {
            subscriptions.push(office.serve(mailbox).await.expect("the mailbox is free"));
        }
        Self { disk, host, management, office, transport, reports, _subscriptions: subscriptions }
    }

    pub(crate) fn client(&self) -> FleetClient {
        FleetClient::unix(self.host.socket()).expect("a client")
    }

    pub(crate) async fn node(&self) -> (System, WorkerJournal) {
        let system = System::builder("node-1").arbiters(1).build();
        let office = PostOffice::new(&system, "node-1", "", self.transport.clone());
        let journal = WorkerJournal::open(self.disk.path().join("deployer.db"), "node-1")
            .await
            .expect("a journal");
        let engine: Arc<dyn Engine> = Arc::new(self.client());
        let engines = Engines::new([(local(), engine)]);
        let spec = deployer(DeployerConfig::default(), office, journal.clone(), engines);
        system.spawn_ready(spec, SOON).await.expect("it starts");
        (system, journal)
    }

    pub(crate) async fn send(&self, command: &DeployCommand) {
        let envelope = Envelope::new(&self.office.address(mailbox::DEPLOYER), command)
            .expect("it can be written");
        self.office.publish(envelope).await.expect("the mailbox is served");
    }

    pub(crate) async fn deploy(
        &mut self,
        command: &DeployCommand,
    ) -> Result<DeployOutput, StepFailure> {
        self.send(command).await;
        self.end_of(command).await
    }

    pub(crate) async fn end_of(
        &mut self,
        command: &DeployCommand,
    ) -> Result<DeployOutput, StepFailure> {
        self.report(|report| match &report.news {
            _ if report.step != command.step => None,
            StepNews::Succeeded { output: StepOutput::Deploy(output) } => Some(Ok(output.clone())),
            StepNews::Failed { failure } => Some(Err(failure.clone())),
            _ => None,
        })
        .await
    }

    pub(crate) async fn report<T>(
        &mut self,
        mut wanted: impl FnMut(&StepReport) -> Option<T>,
    ) -> T {
        let found = async {
            loop {
                let report = self.reports.recv().await.expect("Management runs");
                if let Some(found) = wanted(&report) {
                    return found;
                }
            }
        };
        tokio::time::timeout(SOON, found).await.expect("it is reported")
    }

    pub(crate) async fn log_of(&self, unit: &str) -> String {
        let name = UnitName::new(unit).expect("a valid name");
        let query = LogQuery { lines: Some(100), ..LogQuery::default() };
        self.client().logs(&name, query).await.expect("a log").text
    }

    pub(crate) async fn strike(self, node: (System, WorkerJournal)) {
        stop(node).await;
        self.management.shutdown(SOON).await;
        self.host.stop(StopUnits::Stop).await;
    }
}

pub(crate) async fn stop((system, journal): (System, WorkerJournal)) {
    system.shutdown(SOON).await;
    journal.close().await;
}

fn this_program() -> std::path::PathBuf {
    std::env::current_exe().expect("this program has a path")
}

fn local() -> EtcdToken {
    EtcdToken::new("local").expect("a valid token")
}

/// Deploys two instances of `app@.service` that run this program with `arguments`.
pub(crate) fn release(arguments: &str, generation: u64) -> DeployCommand {
    let exec = format!("{} {arguments}", this_program().display());
    DeployCommand {
        step: StepKey {
            workflow_id: WorkflowId::new(),
            seq: 1,
            attempt_id: AttemptId::new(),
            attempt_no: 1,
            epoch: 1,
        },
        etcd_token: local(),
        units: vec![Unit::new("app@.service", vec![UnitOption::new("Service", "ExecStart", exec)])],
        fleet_config: FleetConfig {
            instance_cnt: Some(2),
            health: Some(HealthCheck {
                http: Some("/".into()),
                tcp: false,
                timeout: Duration::from_secs(1),
            }),
            deploy: Some(RolloutPolicy {
                settle: Duration::ZERO,
                healthy_within: Duration::from_secs(20),
                quorum: None,
            }),
        },
        generation,
        product: None,
        timeout: Duration::from_secs(60),
    }
}
