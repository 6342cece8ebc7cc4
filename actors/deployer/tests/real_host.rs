//! Deployments to a real host: real keepers, real processes, real sockets.
//!
//! The program has a `main` of its own, since it plays three parts: the tests, the keeper of the units, and the server
//! that the units run. So nothing has to be built or installed beside it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use oa_deployer::{DeployerArgs, DeployerConfig, child_spec};
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
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::Instant;

const SOON: Duration = Duration::from_secs(30);

/// The tests by name; a macro, since every future has a type of its own.
macro_rules! tests {
    ($($name:ident),* $(,)?) => {
        const NAMES: &[&str] = &[$(stringify!($name)),*];

        async fn run_one(name: &str) {
            match name {
                $(stringify!($name) => Box::pin($name()).await,)*
                _ => unreachable!("only listed tests are run"),
            }
        }
    };
}

tests! {
    a_first_deployment_answers_on_the_ports_that_it_reports,
    replacing_the_instances_leaves_at_most_one_of_them_silent,
    a_release_that_crashes_is_taken_back_and_its_last_words_are_told,
    the_next_node_finishes_what_this_one_began_and_starts_no_unit_twice,
}

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let text = |index: usize| {
        arguments.get(index).and_then(|argument| argument.to_str()).unwrap_or_default()
    };
    match text(0) {
        "unit-keeper" => oa_fleet_host::keeper::run(arguments.into_iter().skip(1)),
        "serve" => serve(text(1), text(2)),
        "crash" => {
            println!("cannot read the configuration");
            ExitCode::from(3)
        }
        _ => run_tests(&arguments),
    }
}

/// Speaks the part of libtest's command line that `cargo test` and `cargo nextest` use.
fn run_tests(arguments: &[OsString]) -> ExitCode {
    let has = |flag: &str| arguments.iter().any(|argument| argument == flag);
    if has("--list") {
        if !has("--ignored") {
            NAMES.iter().for_each(|name| println!("{name}: test"));
        }
        return ExitCode::SUCCESS;
    }
    let wanted: Vec<&str> = arguments.iter().filter_map(|argument| argument.to_str()).collect();
    let filters: Vec<&&str> = wanted.iter().filter(|argument| !argument.starts_with('-')).collect();
    for name in NAMES
        .iter()
        .filter(|name| filters.is_empty() || filters.iter().any(|filter| name.contains(**filter)))
    {
        println!("{name}");
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        runtime.block_on(run_one(name));
    }
    ExitCode::SUCCESS
}

/// What the units run: answers every request with `text`. It ends by itself, should a failed test leave it behind.
fn serve(port: &str, text: &str) -> ExitCode {
    println!("started {text}");
    let port: u16 = port.parse().expect("a port");
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{text}",
        text.len()
    );
    let serving = async {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port))
            .await
            .expect("the port is free");
        loop {
            let Ok((mut stream, _)) = listener.accept().await else { continue };
            let _ = stream.read(&mut [0; 1024]).await;
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    };
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let _ =
        runtime.block_on(async { tokio::time::timeout(Duration::from_secs(120), serving).await });
    ExitCode::SUCCESS
}

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
struct Stage {
    disk: TempDir,
    host: FleetHost,
    management: System,
    office: PostOffice,
    transport: Arc<MemoryTransport>,
    reports: UnboundedReceiver<StepReport>,
    _subscriptions: Vec<Subscription>,
}

impl Stage {
    async fn set() -> Self {
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

    fn client(&self) -> FleetClient {
        FleetClient::unix(self.host.socket()).expect("a client")
    }

    async fn node(&self) -> (System, WorkerJournal) {
        let system = System::builder("node-1").arbiters(1).build();
        let office = PostOffice::new(&system, "node-1", "", self.transport.clone());
        let journal = WorkerJournal::open(self.disk.path().join("deployer.db"), "node-1")
            .await
            .expect("a journal");
        let engine: Arc<dyn Engine> = Arc::new(self.client());
        let engines = Engines::new([(local(), engine)]);
        let args =
            DeployerArgs::deployer(DeployerConfig::default(), office, journal.clone(), engines);
        system.spawn_ready(child_spec(args), SOON).await.expect("it starts");
        (system, journal)
    }

    async fn send(&self, command: &DeployCommand) {
        let envelope = Envelope::new(&self.office.address(mailbox::DEPLOYER), command)
            .expect("it can be written");
        self.office.publish(envelope).await.expect("the mailbox is served");
    }

    async fn deploy(&mut self, command: &DeployCommand) -> Result<DeployOutput, StepFailure> {
        self.send(command).await;
        self.end_of(command).await
    }

    async fn end_of(&mut self, command: &DeployCommand) -> Result<DeployOutput, StepFailure> {
        self.report(|report| match &report.news {
            _ if report.step != command.step => None,
            StepNews::Succeeded { output: StepOutput::Deploy(output) } => Some(Ok(output.clone())),
            StepNews::Failed { failure } => Some(Err(failure.clone())),
            _ => None,
        })
        .await
    }

    async fn report<T>(&mut self, mut wanted: impl FnMut(&StepReport) -> Option<T>) -> T {
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

    async fn log_of(&self, unit: &str) -> String {
        let name = UnitName::new(unit).expect("a valid name");
        let query = LogQuery { lines: Some(100), ..LogQuery::default() };
        self.client().logs(&name, query).await.expect("a log").text
    }

    async fn strike(self, node: (System, WorkerJournal)) {
        stop(node).await;
        self.management.shutdown(SOON).await;
        self.host.stop(StopUnits::Stop).await;
    }
}

async fn stop((system, journal): (System, WorkerJournal)) {
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
fn release(arguments: &str, generation: u64) -> DeployCommand {
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
        timeout: Duration::from_secs(60),
    }
}

fn addresses(output: &DeployOutput) -> Vec<SocketAddr> {
    let text =
        output.units.iter().map(|unit| unit.address.as_deref().expect("a port was asked for"));
    text.map(|address| address.parse().expect("host and port")).collect()
}

/// What a server answers; `None` if it does not.
async fn body(address: SocketAddr) -> Option<String> {
    let mut stream = tokio::net::TcpStream::connect(address).await.ok()?;
    stream.write_all(b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n").await.ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.ok()?;
    answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned())
}

async fn a_first_deployment_answers_on_the_ports_that_it_reports() {
    let mut stage = Stage::set().await;
    let node = stage.node().await;
    let begun = Instant::now();
    let output =
        stage.deploy(&release("serve <%= dst_port %> one", 1)).await.expect("a deployment");
    println!("two fresh instances were reported healthy after {:?}", begun.elapsed());
    for address in addresses(&output) {
        assert_eq!(body(address).await.as_deref(), Some("one"));
    }
    stage.strike(node).await;
}

async fn replacing_the_instances_leaves_at_most_one_of_them_silent() {
    let mut stage = Stage::set().await;
    let node = stage.node().await;
    let first = stage.deploy(&release("serve <%= dst_port %> one", 1)).await.expect("a deployment");
    let ports = addresses(&first);

    let (done, both_silent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let visitor = tokio::spawn({
        let (ports, done, both_silent) =
            (ports.clone(), Arc::clone(&done), Arc::clone(&both_silent));
        async move {
            while !done.load(Ordering::Acquire) {
                // One after the other: a port that is asked second must answer if the first one did not.
                if body(ports[0]).await.is_none()
                    && body(ports[1]).await.is_none()
                    && body(ports[0]).await.is_none()
                {
                    both_silent.fetch_add(1, Ordering::AcqRel);
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
    });
    let second =
        stage.deploy(&release("serve <%= dst_port %> two", 2)).await.expect("a second one");
    done.store(true, Ordering::Release);
    visitor.await.expect("the visitor ends");
    assert_eq!(both_silent.load(Ordering::Acquire), 0);
    assert_eq!(addresses(&second), ports, "a unit keeps its port");
    for address in ports {
        assert_eq!(body(address).await.as_deref(), Some("two"));
    }
    stage.strike(node).await;
}

async fn a_release_that_crashes_is_taken_back_and_its_last_words_are_told() {
    let mut stage = Stage::set().await;
    let node = stage.node().await;
    let first = stage.deploy(&release("serve <%= dst_port %> one", 1)).await.expect("a deployment");
    let failure = stage.deploy(&release("crash <%= dst_port %>", 2)).await.expect_err("it crashes");
    for part in
        ["app@0.service is failed", "cannot read the configuration", "app@0.service: restored"]
    {
        assert!(failure.message.contains(part), "{failure}");
    }
    assert_eq!(failure.hint.as_deref(), Some("oa logs app@0.service"));
    for address in addresses(&first) {
        assert_eq!(body(address).await.as_deref(), Some("one"));
    }
    stage.strike(node).await;
}

async fn the_next_node_finishes_what_this_one_began_and_starts_no_unit_twice() {
    let mut stage = Stage::set().await;
    let node = stage.node().await;
    let mut command = release("serve <%= dst_port %> one", 1);
    command.fleet_config.deploy.as_mut().expect("a policy").settle = Duration::from_millis(500);
    stage.send(&command).await;
    stage
        .report(|report| match &report.news {
            StepNews::Progress { waiting_for: Some(reason), .. }
                if reason.contains("of being healthy") =>
            {
                Some(())
            }
            _ => None,
        })
        .await;
    stop(node).await;

    let node = stage.node().await;
    let output = stage.end_of(&command).await.expect("the next node goes on");
    assert_eq!(output.units.len(), 2);
    for unit in ["app@0.service", "app@1.service"] {
        assert_eq!(stage.log_of(unit).await, "started one\n", "{unit} was started once");
    }
    stage.strike(node).await;
}
