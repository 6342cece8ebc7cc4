//! What the Deployer does with commands, from the mailbox to the report.

use std::sync::Arc;
use std::time::Duration;

use oa_fleet::{Engine, Engines};
use oa_protocol::deploy::DeployCommand;
use oa_protocol::manager::{ReleasePorts, ReservePorts, ReservedPort};
use oa_protocol::module::Heartbeat;
use oa_protocol::step::{CancelStep, StepFailure, StepNews, StepOutput, StepReport};
use oa_protocol::{AttemptId, EtcdToken, Refusal, RefusalCode, mailbox};
use oa_runtime::{
    Actor, ChildSpec, Context, Envelope, Failure, Handler, Mailbox, PostOffice, Subscription,
    System, Wire,
};
use oa_transport_memory::MemoryTransport;
use oa_worker_journal::WorkerJournal;
use tempfile::TempDir;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::testing::{APP, TestCluster, command, options, running};
use crate::{DeployerConfig, deployer};

const SOON: Duration = Duration::from_secs(20);

/// Stands in for Management: takes reports, gives ports, hears heartbeats.
struct Management {
    reports: UnboundedSender<StepReport>,
    refuses_ports: bool,
}

impl Actor for Management {
    const KIND: &'static str = "management";
    type Args = (UnboundedSender<StepReport>, bool);

    async fn init(args: &Self::Args, _ctx: &mut Context<Self>) -> Result<Self, Failure> {
        Ok(Self { reports: args.0.clone(), refuses_ports: args.1 })
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
        if self.refuses_ports {
            return Ok(Err(Refusal::new(RefusalCode::Invalid, "no port is left")));
        }
        let ports =
            asked.units.into_iter().zip(45_000..).map(|(unit, port)| ReservedPort { unit, port });
        Ok(Ok(ports.collect()))
    }
}

impl Handler<ReleasePorts> for Management {
    async fn handle(
        &mut self,
        _asked: ReleasePorts,
        _ctx: &mut Context<Self>,
    ) -> Result<Result<(), Refusal>, Failure> {
        Ok(Ok(()))
    }
}

impl Handler<Heartbeat> for Management {
    async fn handle(
        &mut self,
        heartbeat: Heartbeat,
        _ctx: &mut Context<Self>,
    ) -> Result<(), Failure> {
        assert_eq!(heartbeat.kind, "deployer");
        Ok(())
    }
}

/// A node with a Deployer, whose journal outlives it.
struct Node {
    system: System,
    office: PostOffice,
    journal: WorkerJournal,
    reports: UnboundedReceiver<StepReport>,
    _subscriptions: Vec<Subscription>,
}

impl Node {
    async fn start(disk: &TempDir, cluster: &Arc<TestCluster>) -> Self {
        Self::start_with(disk, cluster, false).await
    }

    async fn start_with(disk: &TempDir, cluster: &Arc<TestCluster>, refuses_ports: bool) -> Self {
        let system = System::builder("test").arbiters(1).build();
        let office = PostOffice::new(&system, "node-1", "", Arc::new(MemoryTransport::new()));
        let (send, reports) = unbounded_channel();
        let management = system
            .spawn_ready::<Management>(ChildSpec::new((send, refuses_ports)), SOON)
            .await
            .expect("it starts");
        let mut subscriptions = Vec::new();
        let accept = |name: &str| Mailbox::new(office.address(name));
        for mailbox in [
            accept(mailbox::WORKFLOW_ORCHESTRATION).accept::<StepReport, _>(&management),
            accept(mailbox::MANAGER)
                .accept::<ReservePorts, _>(&management)
                .accept::<ReleasePorts, _>(&management),
            accept(mailbox::SYSTEM_MODULES).accept::<Heartbeat, _>(&management),
        ] {
            subscriptions.push(office.serve(mailbox).await.expect("the mailbox is free"));
        }
        let journal = WorkerJournal::open(disk.path().join("deployer.db"), "node-1")
            .await
            .expect("a journal");
        let engine: Arc<dyn Engine> = cluster.clone();
        let engines = Engines::new([(EtcdToken::new("local").expect("a valid token"), engine)]);
        let config = DeployerConfig::default();
        let spec = deployer(config, office.clone(), journal.clone(), engines);
        system.spawn_ready(spec, SOON).await.expect("it starts");
        Self { system, office, journal, reports, _subscriptions: subscriptions }
    }

    async fn send(&self, message: &impl Wire) {
        let envelope = Envelope::new(&self.office.address(mailbox::DEPLOYER), message)
            .expect("it can be written");
        self.office.publish(envelope).await.expect("the mailbox is served");
    }

    /// The next report that `wanted` takes.
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

    async fn failure(&mut self, command: &DeployCommand) -> StepFailure {
        self.report(|report| match &report.news {
            StepNews::Failed { failure } if report.step == command.step => Some(failure.clone()),
            _ => None,
        })
        .await
    }

    async fn success(&mut self, command: &DeployCommand) -> Vec<String> {
        self.report(|report| match &report.news {
            StepNews::Succeeded { output: StepOutput::Deploy(output) }
                if report.step == command.step =>
            {
                Some(output.units.iter().map(|unit| unit.name.to_string()).collect())
            }
            StepNews::Failed { failure } if report.step == command.step => panic!("{failure}"),
            _ => None,
        })
        .await
    }

    async fn waits_for(&mut self, text: &str) {
        self.report(|report| match &report.news {
            StepNews::Progress { waiting_for: Some(reason), .. } if reason.contains(text) => {
                Some(())
            }
            _ => None,
        })
        .await;
    }

    async fn stop(self) {
        self.system.shutdown(SOON).await;
        self.journal.close().await;
    }
}

fn disk() -> TempDir {
    tempfile::tempdir().expect("a directory for the journal")
}

/// Deploys without a settling time.
fn quick(units: &[(&str, &str)], generation: u64) -> DeployCommand {
    let mut command = command(units, 2, generation);
    command.fleet_config.deploy.as_mut().expect("a policy").settle = Duration::ZERO;
    command
}

#[tokio::test]
async fn a_command_is_accepted_carried_out_and_reported() {
    let (disk, cluster) = (disk(), TestCluster::of_machines(&["m1"]));
    let mut node = Node::start(&disk, &cluster).await;
    let command = quick(&[(APP, "up 2 <%= dst_port %>")], 1);
    node.send(&command).await;
    let first = node.report(|report| Some(report.news.clone())).await;
    assert_eq!(first, StepNews::Accepted);
    assert_eq!(node.success(&command).await, ["app@0.service", "app@1.service"]);
    node.stop().await;
}

#[tokio::test]
async fn a_command_for_an_unknown_cluster_fails_and_names_the_known_ones() {
    let (disk, cluster) = (disk(), TestCluster::of_machines(&["m1"]));
    let mut node = Node::start(&disk, &cluster).await;
    let mut command = quick(&[(APP, "up 0")], 1);
    command.etcd_token = EtcdToken::new("nowhere").expect("a valid token");
    node.send(&command).await;
    let failure = node.failure(&command).await;
    assert!(
        failure.message.contains("`nowhere`") && failure.message.contains("local"),
        "{failure}"
    );
    node.stop().await;
}

#[tokio::test]
async fn a_deployment_without_ports_fails_with_the_managers_words() {
    let (disk, cluster) = (disk(), TestCluster::of_machines(&["m1"]));
    let mut node = Node::start_with(&disk, &cluster, true).await;
    let command = quick(&[(APP, "up 0 {{ dst_port }}")], 1);
    node.send(&command).await;
    let failure = node.failure(&command).await;
    assert_eq!(failure.message, "no ports were reserved: no port is left");
    assert!(cluster.names().is_empty());
    node.stop().await;
}

#[tokio::test]
async fn deployments_of_the_same_units_run_one_after_the_other() {
    let (disk, cluster) = (disk(), TestCluster::of_machines(&["m1"]));
    let mut node = Node::start(&disk, &cluster).await;
    let (first, second, other) = (
        quick(&[(APP, "never")], 1),
        quick(&[(APP, "up 0")], 2),
        quick(&[("other@.service", "up 0")], 3),
    );
    for command in [&first, &second, &other] {
        node.send(command).await;
    }
    node.waits_for(&format!(
        "the deployment of app to local by workflow {}",
        first.step.workflow_id
    ))
    .await;
    assert_eq!(node.success(&other).await.len(), 2, "other units need not wait");
    node.send(&CancelStep { step: first.step.clone(), reason: "too slow".into() }).await;
    assert!(node.failure(&first).await.message.starts_with("cancelled: too slow"));
    assert_eq!(node.success(&second).await.len(), 2);
    node.stop().await;
}

#[tokio::test]
async fn a_deployment_that_waits_can_be_cancelled() {
    let (disk, cluster) = (disk(), TestCluster::of_machines(&["m1"]));
    let mut node = Node::start(&disk, &cluster).await;
    let (first, second) = (quick(&[(APP, "never")], 1), quick(&[(APP, "up 0")], 2));
    node.send(&first).await;
    node.send(&second).await;
    node.waits_for("the deployment of app").await;
    node.send(&CancelStep { step: second.step.clone(), reason: "not needed".into() }).await;
    assert_eq!(node.failure(&second).await.message, "cancelled: not needed");
    node.stop().await;
}

#[tokio::test]
async fn a_cancelled_deployment_restores_what_was_there() {
    let (disk, cluster) = (disk(), running());
    let mut node = Node::start(&disk, &cluster).await;
    let command = quick(&[(APP, "never")], 2);
    node.send(&command).await;
    node.waits_for("app@0.service").await;
    node.send(&CancelStep { step: command.step.clone(), reason: "wrong branch".into() }).await;
    let failure = node.failure(&command).await;
    assert!(failure.message.contains("app@0.service: restored"), "{failure}");
    assert_eq!(cluster.generations(), [Some(1), Some(1)]);
    node.stop().await;
}

#[tokio::test]
async fn the_next_node_goes_on_with_what_this_one_had_begun() {
    let (disk, cluster) = (disk(), running());
    let mut node = Node::start(&disk, &cluster).await;
    let command = quick(&[(APP, "up 14")], 2);
    node.send(&command).await;
    node.waits_for("app@0.service").await;
    node.stop().await;

    let mut node = Node::start(&disk, &cluster).await;
    assert_eq!(node.success(&command).await.len(), 2);
    let puts = cluster.deeds();
    assert_eq!(puts, ["put app@0.service 2", "put app@1.service 2"], "each unit is written once");
    node.stop().await;
}

#[tokio::test]
async fn a_note_of_what_was_there_outlives_the_node() {
    let (disk, cluster) = (disk(), running());
    let mut node = Node::start(&disk, &cluster).await;
    let command = quick(&[(APP, "never")], 2);
    node.send(&command).await;
    node.waits_for("app@0.service").await;
    node.stop().await;

    let mut node = Node::start(&disk, &cluster).await;
    node.send(&CancelStep { step: command.step.clone(), reason: "enough".into() }).await;
    node.failure(&command).await;
    assert_eq!(cluster.generations(), [Some(1), Some(1)]);
    node.stop().await;
}

#[tokio::test]
async fn a_command_that_comes_twice_is_carried_out_once() {
    let (disk, cluster) = (disk(), TestCluster::of_machines(&["m1"]));
    let mut node = Node::start(&disk, &cluster).await;
    let command = quick(&[(APP, "up 0")], 1);
    node.send(&command).await;
    node.success(&command).await;
    node.send(&command).await;
    let mut older = command.clone();
    older.step.attempt_id = AttemptId::new();
    older.step.attempt_no = 0;
    node.send(&older).await;
    let next = quick(&[("next.service", "up 0")], 2);
    node.send(&next).await;
    let mut reports = Vec::new();
    node.report(|report| {
        reports.push(report.step.workflow_id);
        matches!(report.news, StepNews::Succeeded { .. }).then_some(())
    })
    .await;
    assert!(reports.iter().all(|workflow| *workflow == next.step.workflow_id));
    node.stop().await;
}

#[tokio::test]
async fn a_deployment_that_crashes_is_reported_and_another_attempt_may_follow() {
    let (disk, cluster) = (disk(), TestCluster::of_machines(&["m1"]));
    cluster.on_put(
        |name| if name == "app@1.service" { panic!("a fault of the engine") } else { None },
    );
    let mut node = Node::start(&disk, &cluster).await;
    let command = quick(&[(APP, "up 0")], 1);
    node.send(&command).await;
    let failure = node.failure(&command).await;
    assert!(failure.retryable && failure.message.contains("crashed"), "{failure}");
    let next = quick(&[("next.service", &options("up 0", None)[1].value)], 2);
    node.send(&next).await;
    node.report(|report| (report.step == next.step).then_some(())).await;
    node.stop().await;
}
