//! The root of the component: mailroom, and keeper of one actor per open workflow.

use std::time::Duration;

use oa_protocol::WorkflowId;
use oa_protocol::mailbox::WORKFLOW_ORCHESTRATION;
use oa_protocol::step::StepReport;
use oa_protocol::workflow::WorkflowChanged;
use oa_runtime::{
    Actor, Backoff, ChildSpec, Context, Failure, Handler, Mailbox, Message, PostOffice,
    RestartPolicy, Subscription,
};
use oa_store::{Applied, Event, JournalError, Store};
use tokio::sync::broadcast::error::RecvError;

use crate::clock_watch::ClockWatch;
use crate::relay::{RelayActor, RelayArgs};
use crate::workflow::{Refresh, WorkflowActor, WorkflowArgs};

/// How often the journal is looked at without a reason, and measured.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// Reports that are taken from the transport at a time.
const WINDOW: usize = 64;

/// What the orchestrator is told.
#[derive(Clone)]
pub struct OrchestratorArgs {
    /// The management database.
    pub store: Store,
    /// Where mail comes from and goes to.
    pub post_office: PostOffice,
}

/// Restarts the orchestrator whenever it fails; what it held is in the journal.
pub fn child_spec(args: OrchestratorArgs) -> ChildSpec<Orchestrator> {
    ChildSpec::new(args)
        .restart(RestartPolicy::Permanent)
        .intensity(20, Duration::from_secs(60))
        .backoff(Backoff::doubling(Duration::from_millis(50), Duration::from_secs(10)))
        .drain(Duration::from_secs(5))
}

/// Takes reports of workers and keeps one actor per open workflow.
pub struct Orchestrator {
    store: Store,
    /// Ends with this incarnation; the next one serves the mailbox anew.
    _subscription: Subscription,
}

impl Actor for Orchestrator {
    const KIND: &'static str = "workflow_orchestrator";
    type Args = OrchestratorArgs;

    async fn init(args: &OrchestratorArgs, ctx: &mut Context<Self>) -> Result<Self, Failure> {
        let OrchestratorArgs { store, post_office } = args.clone();
        follow_changes(&store, ctx);
        ctx.spawn_child::<RelayActor>(ChildSpec::new(RelayArgs {
            store: store.clone(),
            post_office: post_office.clone(),
        }))?;
        ctx.spawn_child::<ClockWatch>(ChildSpec::new(store.clone()))?;
        let this = ctx.actor_ref();
        let mailbox = Mailbox::new(post_office.address(WORKFLOW_ORCHESTRATION))
            .accept::<StepReport, _>(&this)
            .accept::<WorkflowChanged, _>(&this)
            .window(WINDOW);
        let subscription = post_office.serve(mailbox).await?;
        ctx.notify_after(Duration::ZERO, Look);
        Ok(Self { store, _subscription: subscription })
    }
}

/// Tells the orchestrator of every change that is on disk.
fn follow_changes(store: &Store, ctx: &mut Context<Orchestrator>) {
    let mut changes = store.journal().subscribe();
    let this = ctx.actor_ref();
    ctx.spawn_task(async move {
        loop {
            let told = match changes.recv().await {
                Ok(change) => this
                    .send(Changed {
                        workflow_id: change.workflow_id,
                        finished: change.status.is_finished(),
                    })
                    .await
                    .is_ok(),
                // Some were missed, so look at all of them.
                Err(RecvError::Lagged(_)) => this.send(Look).await.is_ok(),
                Err(RecvError::Closed) => false,
            };
            if !told {
                return;
            }
        }
    });
}

impl Orchestrator {
    /// Makes sure that the workflow has its actor, and that the actor looks at the journal.
    fn wake(&self, id: WorkflowId, ctx: &mut Context<Self>) {
        let name = id.to_string();
        if let Some(workflow) = ctx.child::<WorkflowActor>(&name) {
            // A full mailbox holds a wake-up already.
            let _looks_anyway = workflow.tell(Refresh);
            return;
        }
        let spec = ChildSpec::<WorkflowActor>::new(WorkflowArgs { id, store: self.store.clone() })
            .name(name)
            .restart(RestartPolicy::Transient)
            .mailbox(16);
        if let Err(why) = ctx.spawn_child(spec) {
            // Its predecessor is still ending; the next look finds it gone.
            tracing::debug!(workflow = %id, "no actor for the workflow yet: {why}");
        }
    }
}

/// A report of a worker: the transition and the note of the message are one transaction, then it is acknowledged.
impl Handler<StepReport> for Orchestrator {
    async fn handle(&mut self, report: StepReport, ctx: &mut Context<Self>) -> Result<(), Failure> {
        let id = report.step.workflow_id;
        let Some(delivery) = ctx.delivery() else {
            return Err(Failure::permanent(
                "a report without a delivery cannot be told from its copies",
            ));
        };
        let message = delivery.message_id.to_string();
        oa_crash_points::crash_point!(OrchestratorReceived);
        let applied =
            self.store.journal().apply_message(&message, id, Event::StepReport(report)).await;
        oa_crash_points::crash_point!(OrchestratorApplied);
        match applied {
            Ok(Applied::Ignored(why)) => {
                tracing::debug!(workflow = %id, "report ignored: {why}");
                Ok(())
            }
            Ok(Applied::Changed { .. } | Applied::Duplicate) => Ok(()),
            Err(why @ JournalError::UnknownWorkflow { .. }) => {
                tracing::warn!("a worker reports on a workflow that is not there any more: {why}");
                Ok(())
            }
            Err(why) => Err(why.into_failure()),
        }
    }
}

/// A hint from the Manager.
impl Handler<WorkflowChanged> for Orchestrator {
    async fn handle(
        &mut self,
        hint: WorkflowChanged,
        ctx: &mut Context<Self>,
    ) -> Result<(), Failure> {
        self.wake(hint.workflow_id, ctx);
        Ok(())
    }
}

/// A change is on disk.
struct Changed {
    workflow_id: WorkflowId,
    finished: bool,
}

impl Message for Changed {
    type Reply = ();
}

impl Handler<Changed> for Orchestrator {
    async fn handle(&mut self, change: Changed, ctx: &mut Context<Self>) -> Result<(), Failure> {
        // A finished workflow needs no actor; one that has it sees for itself.
        if !change.finished || ctx.child::<WorkflowActor>(&change.workflow_id.to_string()).is_some()
        {
            self.wake(change.workflow_id, ctx);
        }
        Ok(())
    }
}

/// Time to look at the journal: open workflows without an actor get one, and the figures are brought up to date.
#[derive(Clone)]
struct Look;

impl Message for Look {
    type Reply = ();
}

impl Handler<Look> for Orchestrator {
    async fn handle(&mut self, _: Look, ctx: &mut Context<Self>) -> Result<(), Failure> {
        ctx.notify_after(LOOK_EVERY, Look);
        let journal = self.store.journal();
        let open = journal.open_workflows().await?;
        for id in &open {
            self.wake(*id, ctx);
        }
        let offenders = journal.offenders().await?;
        if offenders > 0 {
            tracing::error!(
                "{offenders} open workflows have nothing that moves them; please report this"
            );
        }
        gauge("oa_workflow_open", open.len());
        gauge("oa_workflow_offenders", usize::try_from(offenders).unwrap_or(usize::MAX));
        Ok(())
    }
}

#[allow(clippy::cast_precision_loss, reason = "counts of workflows fit 52 bits")]
fn gauge(name: &'static str, value: usize) {
    metrics::gauge!(name).set(value as f64);
}
