//! The actor of a worker.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use oa_protocol::step::{CancelStep, StepCommand, StepFailure, StepKey, StepNews};
use oa_protocol::{FailureCode, Registration, Workload, mailbox};
use oa_runtime::{
    Actor, Address, Backoff, ChildSpec, Context, Failure, Handler, Mailbox, Message, PostOffice,
    RestartPolicy, Subscription,
};
use tracing::{debug, info, warn};

use super::command::CommandOf;
use super::craft::{Craft, cancellation};
use super::job::{Job, JobArgs};
use super::queue::Queue;
use crate::error::JournalError;
use crate::journal::{Accepted, Cancelled, WorkerJournal};
use crate::retention::JournalRetention;

/// What a [`Worker`] begins from.
#[derive(Clone)]
pub struct WorkerArgs<C> {
    /// What it does.
    pub craft: C,
    /// Jobs that run at once; further ones wait.
    pub parallel: usize,
    /// Carries commands and reports.
    pub post_office: PostOffice,
    /// Tasks and results of this component alone.
    pub journal: WorkerJournal,
    /// Where its commands arrive.
    pub mailbox: String,
    /// What Management calls it, such as `builder`.
    pub module: String,
    /// Who gets the [`StepReport`](oa_protocol::step::StepReport)s.
    pub reports_to: Address,
}

impl<C: Craft> WorkerArgs<C> {
    /// A worker named after its kind. Reports go to the orchestrator in the node's own exchange.
    #[must_use]
    pub fn new(
        craft: C,
        parallel: usize,
        post_office: PostOffice,
        journal: WorkerJournal,
        mailbox: &str,
    ) -> Self {
        Self {
            reports_to: post_office.address(mailbox::WORKFLOW_ORCHESTRATION),
            craft,
            parallel,
            post_office,
            journal,
            mailbox: mailbox.to_owned(),
            module: C::KIND.to_owned(),
        }
    }
}

/// Restarts for ever, since a site without its worker is of no use; each time its open tasks begin again.
pub fn child_spec<C: Craft>(args: WorkerArgs<C>) -> ChildSpec<Worker<C>> {
    let name = args.module.clone();
    ChildSpec::new(args)
        .name(name)
        .restart(RestartPolicy::Permanent)
        .backoff(Backoff::doubling(Duration::from_millis(200), Duration::from_secs(30)))
        .drain(Duration::from_secs(10))
}

/// Runs the steps of one craft.
pub struct Worker<C: Craft> {
    craft: C,
    journal: WorkerJournal,
    reports_to: Address,
    queue: Queue<C>,
    workload: Workload,
    registration: Registration,
    /// Commands arrive as long as it lives.
    _subscription: Subscription,
}

/// A job is no more.
struct JobGone {
    step: StepKey,
    reported: Arc<AtomicBool>,
}

impl Message for JobGone {
    type Reply = ();
}

impl<C: Craft> Actor for Worker<C> {
    const KIND: &'static str = C::KIND;
    type Args = WorkerArgs<C>;

    async fn init(args: &WorkerArgs<C>, ctx: &mut Context<Self>) -> Result<Self, Failure> {
        args.craft.prepare().await;
        let open = args.journal.open_tasks().await?;
        oa_crash_points::crash_point!(WorkerTasksRead);
        let (journal, office) = (args.journal.clone(), args.post_office.clone());
        ctx.spawn_task(async move { journal.relay(office).await });
        let journal = args.journal.clone();
        ctx.spawn_task(async move { journal.keep_pruned(JournalRetention::default()).await });
        let commands = Mailbox::new(args.post_office.address(&args.mailbox))
            .accept::<CommandOf<C>, _>(&ctx.actor_ref())
            .accept::<CancelStep, _>(&ctx.actor_ref());
        let workload = Workload::default();
        let registration =
            Registration::new(&args.post_office, &args.module).with_workload(workload.clone());
        let mut worker = Self {
            craft: args.craft.clone(),
            journal: args.journal.clone(),
            reports_to: args.reports_to.clone(),
            queue: Queue::new(args.craft.clone(), args.parallel),
            workload,
            registration: registration.clone(),
            _subscription: args.post_office.serve(commands).await?,
        };
        for task in open {
            match task.command::<C::Command>() {
                Ok(command) => worker.begin(command, ctx).await,
                Err(cause) => worker.give_back(&task.step, &cause).await?,
            }
        }
        ctx.spawn_task(registration.keep());
        Ok(worker)
    }

    async fn stopping(&mut self, _ctx: &mut Context<Self>) {
        self.registration.end().await;
    }
}

impl<C: Craft> Handler<CommandOf<C>> for Worker<C> {
    async fn handle(
        &mut self,
        CommandOf(command): CommandOf<C>,
        ctx: &mut Context<Self>,
    ) -> Result<(), Failure> {
        let step = command.step().clone();
        // Without a delivery (a tell within this process) the attempt is what makes the command unique.
        let message_id = ctx.delivery().map_or_else(
            || step.attempt_id.to_string(),
            |delivery| delivery.message_id.to_string(),
        );
        let text = serde_json::to_string(&command)?;
        let accepted = self.journal.accept(&message_id, &step, text, &self.reports_to).await;
        match accepted.map_err(JournalError::into_failure)? {
            Accepted::New => self.begin(command, ctx).await,
            Accepted::Duplicate => debug!(workflow_id = %step.workflow_id, "a command came twice"),
            Accepted::Stale => {
                info!(workflow_id = %step.workflow_id, "a command came too late and is left out");
            }
        }
        Ok(())
    }
}

impl<C: Craft> Handler<CancelStep> for Worker<C> {
    async fn handle(
        &mut self,
        CancelStep { step, reason }: CancelStep,
        ctx: &mut Context<Self>,
    ) -> Result<(), Failure> {
        let told = self.journal.cancel(&step, &reason).await.map_err(JournalError::into_failure)?;
        debug!(workflow_id = %step.workflow_id, ?told, %reason, "a step is cancelled");
        // A job that runs hears of it through the journal and reports; one that waits has nobody to report for it.
        if told == Cancelled::Told && self.queue.waits(&step) {
            let news = StepNews::Failed { failure: cancellation(&reason) };
            self.journal.finish(&step, news).await.map_err(JournalError::into_failure)?;
            self.queue.give_up(&step);
            self.begin_waiting(ctx);
        }
        Ok(())
    }
}

impl<C: Craft> Handler<JobGone> for Worker<C> {
    async fn handle(
        &mut self,
        JobGone { step, reported }: JobGone,
        ctx: &mut Context<Self>,
    ) -> Result<(), Failure> {
        self.workload.remove(step.attempt_id);
        if self.queue.ended(&step) && !reported.load(Ordering::Acquire) {
            warn!(workflow_id = %step.workflow_id, "a job ended without a result");
            let failure = self.craft.crashed();
            self.journal.finish_patiently(&step, StepNews::Failed { failure }).await?;
        }
        self.begin_waiting(ctx);
        Ok(())
    }
}

impl<C: Craft> Worker<C> {
    /// Starts a job, or lets it wait and says for what.
    async fn begin(&mut self, command: C::Command, ctx: &mut Context<Self>) {
        let step = command.step().clone();
        self.queue.push(command);
        self.begin_waiting(ctx);
        if let Some(reason) = self.queue.reason_to_wait(&step) {
            let line = format!("waiting for {reason}");
            self.journal.note_progress(&step, line, Some(reason)).await;
        }
    }

    fn begin_waiting(&mut self, ctx: &mut Context<Self>) {
        while let Some(command) = self.queue.next() {
            self.start(command, ctx);
        }
    }

    fn start(&mut self, command: C::Command, ctx: &mut Context<Self>) {
        let step = command.step().clone();
        let what = format!("{} for workflow {}", self.craft.describe(&command), step.workflow_id);
        self.workload.insert(step.attempt_id, what);
        let reported = Arc::new(AtomicBool::new(false));
        let args = JobArgs {
            craft: self.craft.clone(),
            command,
            journal: self.journal.clone(),
            reported: Arc::clone(&reported),
        };
        let spec = ChildSpec::new(args)
            .name(format!("job-{}", step.attempt_id))
            .restart(RestartPolicy::Temporary);
        match ctx.spawn_child::<Job<C>>(spec) {
            Ok(job) => {
                ctx.pipe(async move {
                    job.stopped().await;
                    JobGone { step, reported }
                });
            }
            Err(error) => {
                warn!(%error, workflow_id = %step.workflow_id, "failed to start a job");
                ctx.pipe(async move { JobGone { step, reported } });
            }
        }
    }

    /// A task that another release wrote, which this one cannot read, is given back.
    async fn give_back(&self, step: &StepKey, cause: &JournalError) -> Result<(), Failure> {
        let message = format!("the {} cannot read its own note of this step: {cause}", C::KIND);
        let code = FailureCode::WorkerFailed;
        let failure = StepFailure { message, hint: None, retryable: true, code };
        Ok(self.journal.finish_patiently(step, StepNews::Failed { failure }).await?)
    }
}
