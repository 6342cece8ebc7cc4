//! A node with a worker, and a craft that each test makes up.

use std::future::pending;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use oa_protocol::build::{ConfigCommand, ConfigOutput};
use oa_protocol::module::Heartbeat;
use oa_protocol::step::{StepFailure, StepKey, StepNews, StepOutput, StepReport};
use oa_protocol::{AttemptId, FailureCode, WorkflowId, mailbox};
use oa_runtime::{
    Actor, ActorRef, ChildSpec, Context, Envelope, Failure, Handler, Mailbox, PostOffice,
    Subscription, System,
};
use oa_transport_memory::MemoryTransport;
use oa_worker_journal::{
    Claim, Craft, Hands, Worker, WorkerArgs, WorkerJournal, cancellation, child_spec,
};
use tempfile::TempDir;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::timeout;

pub(crate) const SOON: Duration = Duration::from_secs(20);

/// Stands for Management: hands on what it gets.
struct Management(Ears);

#[derive(Clone)]
struct Ears {
    pub(crate) reports: UnboundedSender<StepReport>,
    heartbeats: UnboundedSender<Heartbeat>,
}

impl Actor for Management {
    const KIND: &'static str = "management";
    type Args = Ears;

    async fn init(ears: &Ears, _ctx: &mut Context<Self>) -> Result<Self, Failure> {
        Ok(Self(ears.clone()))
    }
}

impl Handler<StepReport> for Management {
    async fn handle(
        &mut self,
        report: StepReport,
        _ctx: &mut Context<Self>,
    ) -> Result<(), Failure> {
        Ok(self.0.reports.send(report)?)
    }
}

impl Handler<Heartbeat> for Management {
    async fn handle(
        &mut self,
        heartbeat: Heartbeat,
        _ctx: &mut Context<Self>,
    ) -> Result<(), Failure> {
        Ok(self.0.heartbeats.send(heartbeat)?)
    }
}

type Working = Pin<Box<dyn Future<Output = Result<StepOutput, StepFailure>>>>;

/// Does what a test says; commands of one repository exclude each other.
#[derive(Clone)]
pub(crate) struct AsTold {
    work: Arc<dyn Fn(Hands) -> Working + Send + Sync>,
}

impl AsTold {
    pub(crate) fn to<F>(work: impl Fn(Hands) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<StepOutput, StepFailure>> + 'static,
    {
        Self { work: Arc::new(move |hands| Box::pin(work(hands))) }
    }

    /// Works until it is cancelled.
    pub(crate) fn to_wait() -> Self {
        Self::to(|_| pending())
    }
}

#[derive(PartialEq)]
pub(crate) struct Repository(String);

impl Claim for Repository {
    fn overlap(&self, other: &Self) -> Option<String> {
        (self == other).then(|| format!("the work on {}", self.0))
    }
}

impl Craft for AsTold {
    const KIND: &'static str = "tester";
    type Command = ConfigCommand;
    type Claim = Repository;

    fn claim(&self, command: &ConfigCommand) -> Repository {
        Repository(command.deployment_repo.clone())
    }

    fn describe(&self, command: &ConfigCommand) -> String {
        format!("config of {}", command.deployment_repo)
    }

    fn crashed(&self) -> StepFailure {
        StepFailure {
            message: "it crashed".into(),
            hint: None,
            retryable: true,
            code: FailureCode::WorkerFailed,
        }
    }

    async fn work(&self, _: ConfigCommand, hands: Hands) -> Result<StepOutput, StepFailure> {
        let cancelled = hands.cancelled.clone();
        tokio::select! {
            result = (self.work)(hands) => result,
            reason = cancelled.cancelled() => Err(cancellation(&reason)),
        }
    }
}

/// A node that runs the worker.
pub(crate) struct Site {
    system: System,
    pub(crate) post_office: PostOffice,
    pub(crate) reports: UnboundedReceiver<StepReport>,
    heartbeats: UnboundedReceiver<Heartbeat>,
    pub(crate) worker: ActorRef<Worker<AsTold>>,
    mail: Vec<Subscription>,
}

impl Site {
    pub(crate) async fn start(journal: &WorkerJournal, craft: AsTold) -> Self {
        Self::start_with(journal, craft, 10).await
    }

    pub(crate) async fn start_with(
        journal: &WorkerJournal,
        craft: AsTold,
        parallel: usize,
    ) -> Self {
        let system = System::builder("site").arbiters(2).build();
        let post_office = PostOffice::new(&system, "site-1", "", Arc::new(MemoryTransport::new()));
        let (reports, heard_reports) = unbounded_channel();
        let (heartbeats, heard_heartbeats) = unbounded_channel();
        let management = system
            .spawn_ready::<Management>(ChildSpec::new(Ears { reports, heartbeats }), SOON)
            .await
            .expect("management starts");
        let mut mail = Vec::new();
        for mailbox in [
            Mailbox::new(post_office.address(mailbox::WORKFLOW_ORCHESTRATION))
                .accept::<StepReport, _>(&management),
            Mailbox::new(post_office.address(mailbox::SYSTEM_MODULES))
                .accept::<Heartbeat, _>(&management),
        ] {
            mail.push(post_office.serve(mailbox).await.expect("a mailbox"));
        }
        let office = post_office.clone();
        let args = WorkerArgs::new(craft, parallel, office, journal.clone(), mailbox::BUILDER);
        let worker = system.spawn_ready(child_spec(args), SOON).await.expect("the worker starts");
        Self {
            system,
            post_office,
            reports: heard_reports,
            heartbeats: heard_heartbeats,
            worker,
            mail,
        }
    }

    pub(crate) async fn deliver<M: oa_runtime::Wire>(&self, message: &M) -> Envelope {
        let envelope = Envelope::new(&self.post_office.address(mailbox::BUILDER), message)
            .expect("an envelope");
        self.post_office.publish(envelope.clone()).await.expect("published");
        envelope
    }

    pub(crate) async fn news(&mut self) -> StepNews {
        timeout(SOON, self.reports.recv())
            .await
            .expect("a report comes")
            .expect("management lives")
            .news
    }

    /// The news that ends a step; what comes before is left out.
    pub(crate) async fn end(&mut self) -> Result<ConfigOutput, StepFailure> {
        loop {
            match self.news().await {
                StepNews::Accepted | StepNews::Progress { .. } => {}
                StepNews::Succeeded { output: StepOutput::Config(output) } => return Ok(*output),
                StepNews::Failed { failure } => return Err(failure),
                other @ StepNews::Succeeded { .. } => panic!("no craft here does {other:?}"),
            }
        }
    }

    pub(crate) async fn heartbeat(&mut self) -> Heartbeat {
        timeout(SOON, self.heartbeats.recv())
            .await
            .expect("a heartbeat comes")
            .expect("management lives")
    }

    /// Ends as a node does: first no more mail, then everything else.
    pub(crate) async fn shut_down(self) {
        for subscription in self.mail {
            subscription.close().await;
        }
        let report = self.system.shutdown(SOON).await;
        assert!(report.is_clean(), "{report:?}");
    }
}

pub(crate) async fn journal(directory: &TempDir) -> WorkerJournal {
    WorkerJournal::open(directory.path().join("worker.db"), "site-1").await.expect("a journal")
}

pub(crate) fn directory() -> TempDir {
    tempfile::tempdir().expect("a directory")
}

pub(crate) fn command(repository: &str) -> ConfigCommand {
    ConfigCommand {
        step: StepKey {
            workflow_id: WorkflowId::new(),
            seq: 0,
            attempt_id: AttemptId::new(),
            attempt_no: 1,
            epoch: 1,
        },
        deployment_repo: repository.to_owned(),
        deployment_repo_git_ref: None,
        source_repo: None,
        source_repo_git_ref: Some("v1".into()),
        needs_cluster: true,
        timeout: Duration::from_secs(60),
    }
}

pub(crate) fn done() -> Result<StepOutput, StepFailure> {
    Ok(StepOutput::Config(Box::new(ConfigOutput {
        etcd_token: None,
        units: vec![],
        fleet_config: Default::default(),
        source_commit: None,
        source_repo: None,
        deployment_commit: "0".repeat(40),
        pushed: false,
    })))
}
