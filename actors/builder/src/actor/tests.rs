//! The Builder with its journal, its post office and someone who reads its reports.

use std::future::pending;
use std::sync::atomic::AtomicUsize;

use oa_protocol::build::ConfigOutput;
use oa_protocol::step::StepReport;
use oa_runtime::{ActorRef, Envelope, System};
use oa_test_services::git::TestRepository;
use oa_transport_memory::MemoryTransport;
use tempfile::TempDir;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::*;
use crate::job::Progress;

const SOON: Duration = Duration::from_secs(20);

/// Stands for Management: hands on what it gets.
struct Management(Ears);

#[derive(Clone)]
struct Ears {
    reports: UnboundedSender<StepReport>,
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

/// A node that runs a Builder.
struct Site {
    system: System,
    post_office: PostOffice,
    reports: UnboundedReceiver<StepReport>,
    heartbeats: UnboundedReceiver<Heartbeat>,
    builder: ActorRef<Builder>,
    mail: Vec<Subscription>,
}

impl Site {
    async fn start(
        journal: &WorkerJournal,
        directory: &TempDir,
        change: impl FnOnce(&mut BuilderArgs),
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
        let config = BuilderConfig {
            work_dir: directory.path().join("work"),
            allow_local_repositories: true,
            ..BuilderConfig::default()
        };
        let mut args = BuilderArgs::new(config, post_office.clone(), journal.clone());
        change(&mut args);
        let builder = system.spawn_ready(child_spec(args), SOON).await.expect("the Builder starts");
        Self {
            system,
            post_office,
            reports: heard_reports,
            heartbeats: heard_heartbeats,
            builder,
            mail,
        }
    }

    async fn deliver<M: oa_runtime::Wire>(&self, message: &M) -> Envelope {
        let envelope = Envelope::new(&self.post_office.address(mailbox::BUILDER), message)
            .expect("an envelope");
        self.post_office.publish(envelope.clone()).await.expect("published");
        envelope
    }

    async fn news(&mut self) -> StepNews {
        timeout(SOON, self.reports.recv())
            .await
            .expect("a report comes")
            .expect("management lives")
            .news
    }

    /// The news that ends a step; what comes before is left out.
    async fn end(&mut self) -> Result<ConfigOutput, StepFailure> {
        loop {
            match self.news().await {
                StepNews::Accepted | StepNews::Progress { .. } => {}
                StepNews::Succeeded { output: StepOutput::Config(output) } => return Ok(*output),
                StepNews::Failed { failure } => return Err(failure),
                other @ StepNews::Succeeded { .. } => panic!("the Builder does not {other:?}"),
            }
        }
    }

    async fn heartbeat(&mut self) -> Heartbeat {
        timeout(SOON, self.heartbeats.recv())
            .await
            .expect("a heartbeat comes")
            .expect("management lives")
    }

    /// Ends as a node does: first no more mail, then everything else.
    async fn shut_down(self) {
        for subscription in self.mail {
            subscription.close().await;
        }
        let report = self.system.shutdown(SOON).await;
        assert!(report.is_clean(), "{report:?}");
    }
}

async fn journal(directory: &TempDir) -> WorkerJournal {
    WorkerJournal::open(directory.path().join("builder.db"), "site-1").await.expect("a journal")
}

fn directory() -> TempDir {
    tempfile::tempdir().expect("a directory")
}

fn deployment() -> TestRepository {
    TestRepository::with_files(&[
        ("app@.service.eex", "[Service]\nExecStart=/bin/app <%= commit_hash %>\n"),
        ("etcd.json", "{\"token\": \"local\"}"),
    ])
}

fn command(repository: &str) -> ConfigCommand {
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

/// Replaces the milestone by `work`.
fn instead<F>(work: impl Fn(Progress) -> F + Clone + Send + Sync + 'static) -> Milestones
where
    F: Future<Output = Result<StepOutput, StepFailure>> + 'static,
{
    Arc::new(move |_, _| {
        let work = work.clone();
        Arc::new(move |progress| Box::pin(work(progress)))
    })
}

fn done() -> Result<StepOutput, StepFailure> {
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

#[tokio::test]
async fn a_command_is_accepted_carried_out_and_reported() {
    let (directory, repository) = (directory(), deployment());
    let journal = journal(&directory).await;
    let mut site = Site::start(&journal, &directory, |_| {}).await;
    site.deliver(&command(&repository.path().display().to_string())).await;

    assert_eq!(site.news().await, StepNews::Accepted);
    let output = site.end().await.expect("config succeeds");
    assert_eq!((output.deployment_commit, output.pushed), (repository.head(), true));
    assert!(journal.open_tasks().await.expect("readable").is_empty());
    site.shut_down().await;
}

#[tokio::test]
async fn a_failure_says_what_to_do() {
    let directory = directory();
    let mut site = Site::start(&journal(&directory).await, &directory, |_| {}).await;
    site.deliver(&command("/no/such/repository.git")).await;
    let failure = site.end().await.expect_err("no repository");
    assert!(failure.message.contains("/no/such/repository.git was not found"), "{failure:?}");
    assert!(failure.hint.is_some() && !failure.retryable, "{failure:?}");
    site.shut_down().await;
}

#[tokio::test]
async fn a_command_that_comes_twice_is_carried_out_once() {
    let (directory, runs) = (directory(), Arc::new(AtomicUsize::new(0)));
    let counter = Arc::clone(&runs);
    let work = move |_: Progress| {
        counter.fetch_add(1, Ordering::SeqCst);
        async { done() }
    };
    let mut site =
        Site::start(&journal(&directory).await, &directory, |args| args.milestones = instead(work))
            .await;
    let first = command("org/name");
    let envelope = site.deliver(&first).await;
    site.end().await.expect("done");
    // The same message once more, and the same command in another message.
    site.post_office.publish(envelope).await.expect("published");
    site.deliver(&first).await;
    site.deliver(&command("org/other")).await;
    site.end().await.expect("the other one is done");
    assert_eq!(runs.load(Ordering::SeqCst), 2);
    site.shut_down().await;
}

#[tokio::test]
async fn a_step_that_panics_is_reported_as_failed_and_the_builder_goes_on() {
    let directory = directory();
    let work = |progress: Progress| async move {
        progress.tell("about to panic".into());
        panic!("a bug in a milestone")
    };
    let mut site =
        Site::start(&journal(&directory).await, &directory, |args| args.milestones = instead(work))
            .await;
    for _ in 0..2 {
        site.deliver(&command("org/name")).await;
        let failure = site.end().await.expect_err("a panic");
        assert!(failure.retryable && failure.message.contains("crashed"), "{failure:?}");
    }
    assert!(!site.builder.is_stopped());
    site.shut_down().await;
}

/// Tells when it is dropped.
struct Canary(Option<oneshot::Sender<()>>);

impl Drop for Canary {
    fn drop(&mut self) {
        if let Some(sender) = self.0.take() {
            let _ = sender.send(());
        }
    }
}

#[tokio::test]
async fn a_cancelled_step_is_dropped_and_says_who_cancelled_it() {
    let directory = directory();
    let (sender, dropped) = oneshot::channel();
    let canary = Arc::new(std::sync::Mutex::new(Some(sender)));
    let work = move |progress: Progress| {
        let canary = Canary(canary.lock().expect("one holder").take());
        async move {
            progress.tell("at work".into());
            let _canary = canary;
            pending().await
        }
    };
    let mut site =
        Site::start(&journal(&directory).await, &directory, |args| args.milestones = instead(work))
            .await;
    let command = command("org/name");
    site.deliver(&command).await;
    assert_eq!(site.news().await, StepNews::Accepted);
    assert!(
        matches!(site.news().await, StepNews::Progress { message, .. } if message == "at work")
    );

    site.deliver(&CancelStep { step: command.step, reason: "by ann: wrong branch".into() }).await;
    let failure = site.end().await.expect_err("cancelled");
    assert_eq!(failure.message, "cancelled: by ann: wrong branch");
    timeout(SOON, dropped).await.expect("the work is dropped").expect("by its drop");
    site.shut_down().await;
}

#[tokio::test]
async fn steps_beyond_the_limit_wait_and_can_be_cancelled_meanwhile() {
    let directory = directory();
    let mut site = Site::start(&journal(&directory).await, &directory, |args| {
        args.config.parallel = 1;
        args.milestones = instead(|_| pending());
    })
    .await;
    let (first, second) = (command("org/first"), command("org/second"));
    site.deliver(&first).await;
    site.deliver(&second).await;
    for _ in 0..2 {
        assert_eq!(site.news().await, StepNews::Accepted);
    }
    site.deliver(&CancelStep { step: second.step, reason: "not needed".into() }).await;
    assert_eq!(site.end().await.expect_err("cancelled").message, "cancelled: not needed");
    site.deliver(&CancelStep { step: first.step, reason: "neither".into() }).await;
    assert_eq!(site.end().await.expect_err("cancelled").message, "cancelled: neither");
    site.shut_down().await;
}

#[tokio::test]
async fn a_command_that_was_cancelled_before_it_came_is_left_out() {
    let directory = directory();
    let mut site = Site::start(&journal(&directory).await, &directory, |args| {
        args.milestones = instead(|_| async { done() })
    })
    .await;
    let (cancelled, other) = (command("org/cancelled"), command("org/other"));
    site.deliver(&CancelStep { step: cancelled.step.clone(), reason: "too late".into() }).await;
    site.deliver(&cancelled).await;
    site.deliver(&other).await;
    let report =
        timeout(SOON, site.reports.recv()).await.expect("a report").expect("management lives");
    assert_eq!(report.step, other.step);
    site.shut_down().await;
}

#[tokio::test]
async fn a_step_that_was_cut_off_begins_again_at_the_next_start() {
    let (directory, repository) = (directory(), deployment());
    let journal = journal(&directory).await;
    let mut site =
        Site::start(&journal, &directory, |args| args.milestones = instead(|_| pending())).await;
    let command = command(&repository.path().display().to_string());
    site.deliver(&command).await;
    assert_eq!(site.news().await, StepNews::Accepted);
    site.shut_down().await;
    assert_eq!(
        journal.open_tasks().await.expect("readable").len(),
        1,
        "a stop is no end of the step"
    );

    let mut site = Site::start(&journal, &directory, |_| {}).await;
    assert!(site.end().await.expect("config succeeds").pushed);
    site.shut_down().await;
}

#[tokio::test]
async fn heartbeats_say_what_is_at_work_and_goodbye() {
    let directory = directory();
    let mut site = Site::start(&journal(&directory).await, &directory, |args| {
        args.milestones = instead(|_| pending())
    })
    .await;
    let first = site.heartbeat().await;
    assert_eq!(
        (first.hostname.as_str(), first.kind.as_str(), first.status.as_str()),
        ("site-1", "builder", "active")
    );
    site.deliver(&command("org/name")).await;
    assert_eq!(site.news().await, StepNews::Accepted);
    site.builder.tell(Beat).expect("room");
    assert!(site.heartbeat().await.workload[0].starts_with("config of org/name for workflow "));
    site.builder.stop();
    assert_eq!(site.heartbeat().await.status, "inactive");
    site.shut_down().await;
}
