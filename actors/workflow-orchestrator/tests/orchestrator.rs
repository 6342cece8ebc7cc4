//! The orchestrator on a real store and a real transport; the worker is played by the test.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use oa_protocol::build::ConfigCommand;
use oa_protocol::mailbox;
use oa_protocol::step::{StepFailure, StepNews, StepReport};
use oa_protocol::{FailureCode, WorkflowId};
use oa_runtime::{
    Actor, ChildSpec, Context, Envelope, Failure, Handler, Mailbox, PostOffice, Subscription,
    System,
};
use oa_store::{Clock, Event, NewWorkflow, Status, Store, StoreConfig, SystemEventFilter};
use oa_test_services::eventually::eventually;
use oa_transport_memory::MemoryTransport;
use oa_workflow_orchestrator::{OrchestratorArgs, child_spec};
use tempfile::TempDir;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

const SOON: Duration = Duration::from_secs(20);

/// Plays the Builder: hands on what it is told.
struct Worker(UnboundedSender<ConfigCommand>);

impl Actor for Worker {
    const KIND: &'static str = "worker";
    type Args = UnboundedSender<ConfigCommand>;

    async fn init(told: &Self::Args, _: &mut Context<Self>) -> Result<Self, Failure> {
        Ok(Self(told.clone()))
    }
}

impl Handler<ConfigCommand> for Worker {
    async fn handle(
        &mut self,
        command: ConfigCommand,
        _: &mut Context<Self>,
    ) -> Result<(), Failure> {
        Ok(self.0.send(command)?)
    }
}

/// The clock on the wall, which a test sets.
#[derive(Clone, Default)]
struct WallClock(Arc<AtomicI64>);

impl WallClock {
    const HOUR_MS: i64 = 3_600_000;

    fn set(&self, from_the_right_time_ms: i64) {
        self.0.store(from_the_right_time_ms, Ordering::SeqCst);
    }

    fn reading(&self) -> Clock {
        let (right, step_ms) = (Clock::default(), Arc::clone(&self.0));
        Clock::new(move || right.now_ms() + step_ms.load(Ordering::SeqCst))
    }
}

struct Stage {
    _directory: TempDir,
    system: System,
    store: Store,
    post_office: PostOffice,
    commands: UnboundedReceiver<ConfigCommand>,
    clock: WallClock,
    _subscription: Subscription,
}

impl Stage {
    async fn new() -> Self {
        let directory = TempDir::new().expect("a temporary directory");
        let clock = WallClock::default();
        let config = StoreConfig {
            clock: clock.reading(),
            ..StoreConfig::new(directory.path().join("store.db"), "node-1")
        };
        let store = Store::open(&config).await.expect("a store");
        let system = System::builder("test").arbiters(1).build();
        let post_office = PostOffice::new(&system, "node-1", "", Arc::new(MemoryTransport::new()));
        let (told, commands) = unbounded_channel();
        let worker = system
            .spawn_ready::<Worker>(ChildSpec::new(told), SOON)
            .await
            .expect("the worker starts");
        let builder =
            Mailbox::new(post_office.address(mailbox::BUILDER)).accept::<ConfigCommand, _>(&worker);
        let subscription = post_office.serve(builder).await.expect("the mailbox is free");
        Self {
            _directory: directory,
            system,
            store,
            post_office,
            commands,
            clock,
            _subscription: subscription,
        }
    }

    async fn start_orchestrator(&self) {
        let args =
            OrchestratorArgs { store: self.store.clone(), post_office: self.post_office.clone() };
        self.system.spawn_ready(child_spec(args), SOON).await.expect("the orchestrator starts");
    }

    async fn execute(&self) -> WorkflowId {
        let new = NewWorkflow {
            deployment_repo: Some("acme/shop".into()),
            milestones: Some(vec!["config".into()]),
            ..NewWorkflow::default()
        };
        let id = self.store.workflows().create(new).await.expect("it is made").id;
        let execute = Event::Execute { options: None, by: "test".into() };
        self.store.journal().apply(id, execute).await.expect("it starts");
        id
    }

    async fn command(&mut self) -> ConfigCommand {
        tokio::time::timeout(SOON, self.commands.recv())
            .await
            .expect("a command comes")
            .expect("the worker lives")
    }

    async fn report(&self, command: &ConfigCommand, news: StepNews) {
        let report =
            StepReport { step: command.step.clone(), worker: "node-1".into(), at_ms: 1, news };
        let address = self.post_office.address(mailbox::WORKFLOW_ORCHESTRATION);
        let envelope = Envelope::new(&address, &report).expect("an envelope");
        self.post_office.publish(envelope).await.expect("it is taken");
    }

    fn tree_shows(&self, id: WorkflowId) -> bool {
        self.system.tree().to_string().contains(&id.to_string())
    }

    /// Waits for a line of the workflow's journal.
    async fn line(&self, id: WorkflowId, text: &str) {
        let journal = self.store.journal();
        let said = eventually(SOON, || async {
            let entries = journal.events(id, 0).await.expect("it is readable");
            entries.iter().any(|entry| format!("{entry:?}").contains(text))
        });
        assert!(said.await, "the journal does not say `{text}`");
    }

    async fn system_event(&self, kind: &str) {
        let events = self.store.system_events();
        let noted = eventually(SOON, || async {
            let all = events.list(SystemEventFilter::All).await.expect("they are readable");
            all.iter().filter(|event| event.kind == kind).count() == 1
        });
        assert!(noted.await, "there is no system event `{kind}`");
    }

    async fn status(&self, id: WorkflowId) -> Status {
        self.store.journal().load(id).await.expect("it is readable").expect("it is there").status
    }
}

fn failed(retryable: bool) -> StepNews {
    StepNews::Failed {
        failure: StepFailure {
            message: "no".into(),
            hint: None,
            retryable,
            code: FailureCode::Other,
        },
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_moves_a_workflow_on_and_its_actor_ends_with_it() {
    let mut stage = Stage::new().await;
    stage.start_orchestrator().await;
    let id = stage.execute().await;
    let command = stage.command().await;
    assert!(eventually(SOON, || async { stage.tree_shows(id) }).await, "{}", stage.system.tree());

    stage.report(&command, StepNews::Accepted).await;
    stage.report(&command, failed(false)).await;

    assert!(eventually(SOON, || async { stage.status(id).await == Status::Failed }).await);
    assert!(eventually(SOON, || async { !stage.tree_shows(id) }).await, "{}", stage.system.tree());
    stage.system.shutdown(SOON).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workflow_that_was_executed_while_the_orchestrator_was_away_is_taken_up() {
    let mut stage = Stage::new().await;
    let id = stage.execute().await;

    stage.start_orchestrator().await;

    assert_eq!(stage.command().await.step.workflow_id, id);
    assert!(eventually(SOON, || async { stage.tree_shows(id) }).await, "{}", stage.system.tree());
    stage.system.shutdown(SOON).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_that_may_pass_is_tried_again_when_its_timer_is_due() {
    let mut stage = Stage::new().await;
    stage.start_orchestrator().await;
    stage.execute().await;
    let first = stage.command().await;

    stage.report(&first, failed(true)).await;

    let second = stage.command().await;
    assert_eq!((first.step.attempt_no, second.step.attempt_no), (1, 2));
    stage.system.shutdown(SOON).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_set_forward_lets_no_attempt_be_lost() {
    let mut stage = Stage::new().await;
    stage.start_orchestrator().await;
    let id = stage.execute().await;
    let command = stage.command().await;
    stage.report(&command, StepNews::Accepted).await;
    stage.line(id, "works on it").await;

    stage.clock.set(2 * WallClock::HOUR_MS);
    // Each report makes the orchestrator look at the timers again.
    for round in 1..=5 {
        let message = format!("round {round}");
        let news = StepNews::Progress { message: message.clone(), waiting_for: None };
        stage.report(&command, news).await;
        stage.line(id, &message).await;
    }
    stage.system_event("clock_step").await;

    let state = stage.store.journal().load(id).await.expect("readable").expect("there");
    let live = state.live.expect("the attempt is still in flight");
    assert_eq!((live.id, live.no), (command.step.attempt_id, 1));
    stage.system.shutdown(SOON).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_set_back_delays_no_second_try() {
    let mut stage = Stage::new().await;
    stage.start_orchestrator().await;
    stage.execute().await;
    let first = stage.command().await;
    stage.report(&first, failed(true)).await;
    let id = first.step.workflow_id;
    stage.line(id, "attempt 1 failed").await;

    stage.clock.set(-2 * WallClock::HOUR_MS);

    assert_eq!(stage.command().await.step.attempt_no, 2);
    stage.system_event("clock_step").await;
    stage.system.shutdown(SOON).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_time_is_kept_by_the_clock_on_the_wall() {
    let mut stage = Stage::new().await;
    stage.start_orchestrator().await;
    let start_ms = stage.store.clock().now_ms() + WallClock::HOUR_MS;
    let new = NewWorkflow {
        deployment_repo: Some("acme/shop".into()),
        milestones: Some(vec!["config".into()]),
        scheduled_start_time_ms: Some(start_ms),
        ..NewWorkflow::default()
    };
    let id = stage.store.workflows().create(new).await.expect("it is made").id;
    let execute = Event::Execute { options: None, by: "test".into() };
    stage.store.journal().apply(id, execute).await.expect("it waits for its time");
    assert!(eventually(SOON, || async { stage.tree_shows(id) }).await);

    stage.clock.set(2 * WallClock::HOUR_MS);

    assert_eq!(stage.command().await.step.workflow_id, id);
    stage.system.shutdown(SOON).await;
}
