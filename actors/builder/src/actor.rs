//! The Builder: takes commands, writes them down, runs each as a job.
//!
//! ```text
//! ConfigCommand ─► journal ─► acknowledged ─► job ─► journal ─► outbox ─► StepReport
//!                                │ a crash, an upgrade: open tasks begin again at the next start
//!                                └ CancelStep: the job is stopped, its git with it
//! ```

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use oa_protocol::build::ConfigCommand;
use oa_protocol::mailbox;
use oa_protocol::module::Heartbeat;
use oa_protocol::step::{CancelStep, StepFailure, StepKey, StepNews, StepOutput};
use oa_protocol::{AttemptId, WorkflowId};
use oa_runtime::{
    Actor, Address, Backoff, ChildSpec, Context, Failure, Handler, Mailbox, Message, PostOffice,
    Recipient, RestartPolicy, Subscription,
};
use oa_worker_journal::{Accepted, JournalError, JournalRetention, WorkerJournal};
use tracing::{debug, info, warn};

use crate::config::BuilderConfig;
use crate::error::BuildError;
use crate::git::redact;
use crate::job::{Job, JobArgs, Work, cancellation};
use crate::milestone::ConfigMilestone;

/// How often the component says that it runs, as in the original.
const HEARTBEAT: Duration = Duration::from_secs(30);
const KIND: &str = "builder";

/// What the Builder begins from.
#[derive(Clone)]
pub struct BuilderArgs {
    /// The `[builder]` table.
    pub config: BuilderConfig,
    /// Carries commands and reports.
    pub post_office: PostOffice,
    /// Tasks and results of this component alone.
    pub journal: WorkerJournal,
    /// Who gets the [`StepReport`](oa_protocol::step::StepReport)s.
    pub reports_to: Address,
    /// Who gets the [`Heartbeat`]s.
    pub heartbeats_to: Address,
    milestones: Milestones,
}

/// Makes the work of a command.
type Milestones = Arc<dyn Fn(&ConfigMilestone, ConfigCommand) -> Work + Send + Sync>;

impl BuilderArgs {
    /// Reports and heartbeats go to this node's own exchange.
    #[must_use]
    pub fn new(config: BuilderConfig, post_office: PostOffice, journal: WorkerJournal) -> Self {
        Self {
            reports_to: post_office.address(mailbox::WORKFLOW_ORCHESTRATION),
            heartbeats_to: post_office.address(mailbox::SYSTEM_MODULES),
            config,
            post_office,
            journal,
            milestones: Arc::new(config_work),
        }
    }
}

/// Restarts for ever, since a site without its Builder is of no use; each time its open tasks begin again.
pub fn child_spec(args: BuilderArgs) -> ChildSpec<Builder> {
    ChildSpec::new(args)
        .restart(RestartPolicy::Permanent)
        .backoff(Backoff::doubling(Duration::from_millis(200), Duration::from_secs(30)))
        .drain(Duration::from_secs(10))
}

/// Runs `config` steps.
pub struct Builder {
    milestone: ConfigMilestone,
    milestones: Milestones,
    journal: WorkerJournal,
    reports_to: Address,
    parallel: usize,
    node: String,
    heartbeats: Recipient<Heartbeat>,
    running: HashMap<AttemptId, Running>,
    waiting: VecDeque<ConfigCommand>,
    /// Commands arrive as long as it lives.
    _subscription: Subscription,
}

/// An attempt in hand.
struct Running {
    workflow_id: WorkflowId,
    repository: String,
    reported: Arc<AtomicBool>,
}

/// Time for a sign of life.
#[derive(Debug, Clone)]
struct Beat;

impl Message for Beat {
    type Reply = ();
}

/// A job is no more.
#[derive(Debug)]
struct JobGone(StepKey);

impl Message for JobGone {
    type Reply = ();
}

impl Actor for Builder {
    const KIND: &'static str = KIND;
    type Args = BuilderArgs;

    async fn init(args: &BuilderArgs, ctx: &mut Context<Self>) -> Result<Self, Failure> {
        let milestone = ConfigMilestone::new(args.config.clone());
        if let Err(error) = milestone.prepare().await {
            warn!(%error, "no step of the Builder can succeed");
        }
        let open = args.journal.open_tasks().await?;
        let (journal, post_office) = (args.journal.clone(), args.post_office.clone());
        ctx.spawn_task(async move { journal.relay(post_office).await });
        let journal = args.journal.clone();
        ctx.spawn_task(async move { journal.keep_pruned(JournalRetention::default()).await });
        let commands = Mailbox::new(args.post_office.address(mailbox::BUILDER))
            .accept::<ConfigCommand, _>(&ctx.actor_ref())
            .accept::<CancelStep, _>(&ctx.actor_ref());
        let mut builder = Self {
            milestone,
            milestones: Arc::clone(&args.milestones),
            journal: args.journal.clone(),
            reports_to: args.reports_to.clone(),
            parallel: args.config.parallel.max(1),
            node: args.post_office.node().to_owned(),
            heartbeats: args.post_office.recipient(&args.heartbeats_to),
            running: HashMap::new(),
            waiting: VecDeque::new(),
            _subscription: args.post_office.serve(commands).await?,
        };
        for task in open {
            match task.command::<ConfigCommand>() {
                Ok(command) => builder.begin(command, ctx),
                Err(cause) => builder.give_back(&task.step, &cause).await?,
            }
        }
        builder.beat("active");
        ctx.notify_every(HEARTBEAT, Beat);
        Ok(builder)
    }

    async fn stopping(&mut self, _ctx: &mut Context<Self>) {
        self.beat("inactive");
    }
}

impl Handler<ConfigCommand> for Builder {
    async fn handle(
        &mut self,
        command: ConfigCommand,
        ctx: &mut Context<Self>,
    ) -> Result<(), Failure> {
        // Without a delivery (a tell within this process) the attempt is what makes the command unique.
        let message_id = ctx.delivery().map_or_else(
            || command.step.attempt_id.to_string(),
            |delivery| delivery.message_id.to_string(),
        );
        let text = serde_json::to_string(&command)?;
        match self.journal.accept(&message_id, &command.step, text, &self.reports_to).await? {
            Accepted::New => self.begin(command, ctx),
            Accepted::Duplicate => {
                debug!(workflow_id = %command.step.workflow_id, "a command came twice")
            }
            Accepted::Stale => {
                info!(workflow_id = %command.step.workflow_id, "a command came too late and is left out")
            }
        }
        Ok(())
    }
}

impl Handler<CancelStep> for Builder {
    async fn handle(
        &mut self,
        CancelStep { step, reason }: CancelStep,
        _ctx: &mut Context<Self>,
    ) -> Result<(), Failure> {
        // A job that runs hears of it through the journal and reports; one that waits has nobody to report for it.
        let told = self.journal.cancel(&step, &reason).await?;
        debug!(?told, workflow_id = %step.workflow_id, "a step is cancelled");
        let waits = |command: &ConfigCommand| command.step.attempt_id == step.attempt_id;
        if self.waiting.iter().any(waits) {
            self.journal.finish(&step, StepNews::Failed { failure: cancellation(&reason) }).await?;
            self.waiting.retain(|command| !waits(command));
        }
        Ok(())
    }
}

impl Handler<JobGone> for Builder {
    async fn handle(
        &mut self,
        JobGone(step): JobGone,
        ctx: &mut Context<Self>,
    ) -> Result<(), Failure> {
        if let Some(job) = self.running.remove(&step.attempt_id)
            && !job.reported.load(Ordering::Acquire)
        {
            warn!(workflow_id = %step.workflow_id, "a job ended without a result");
            let failure = BuildError::Crashed.to_failure();
            self.journal.finish_patiently(&step, StepNews::Failed { failure }).await?;
        }
        self.begin_waiting(ctx);
        Ok(())
    }
}

impl Handler<Beat> for Builder {
    async fn handle(&mut self, _: Beat, _ctx: &mut Context<Self>) -> Result<(), Failure> {
        self.beat("active");
        Ok(())
    }
}

impl Builder {
    /// Starts a job, or lets it wait until one has ended.
    fn begin(&mut self, command: ConfigCommand, ctx: &mut Context<Self>) {
        self.waiting.push_back(command);
        self.begin_waiting(ctx);
    }

    fn begin_waiting(&mut self, ctx: &mut Context<Self>) {
        while self.running.len() < self.parallel {
            let Some(command) = self.waiting.pop_front() else { return };
            self.start(command, ctx);
        }
    }

    fn start(&mut self, command: ConfigCommand, ctx: &mut Context<Self>) {
        let step = command.step.clone();
        let reported = Arc::new(AtomicBool::new(false));
        let running = Running {
            workflow_id: step.workflow_id,
            repository: redact(&command.deployment_repo),
            reported: Arc::clone(&reported),
        };
        let args = JobArgs {
            step: step.clone(),
            journal: self.journal.clone(),
            work: (self.milestones)(&self.milestone, command),
            reported,
        };
        let spec = ChildSpec::new(args).name(job_name(&step)).restart(RestartPolicy::Temporary);
        self.running.insert(step.attempt_id, running);
        match ctx.spawn_child::<Job>(spec) {
            Ok(job) => {
                ctx.pipe(async move {
                    job.stopped().await;
                    JobGone(step)
                });
            }
            Err(error) => {
                warn!(%error, workflow_id = %step.workflow_id, "failed to start a job");
                ctx.pipe(async move { JobGone(step) });
            }
        }
    }

    /// A task that another release wrote, which this one cannot read, is given back.
    async fn give_back(&self, step: &StepKey, cause: &JournalError) -> Result<(), Failure> {
        let message = cause.to_string();
        let failure = StepFailure { message, hint: None, retryable: true };
        self.journal.finish_patiently(step, StepNews::Failed { failure }).await?;
        Ok(())
    }

    fn beat(&self, status: &str) {
        let workload = self
            .running
            .values()
            .map(|job| format!("config of {} for workflow {}", job.repository, job.workflow_id));
        let heartbeat = Heartbeat {
            hostname: self.node.clone(),
            kind: KIND.to_owned(),
            status: status.to_owned(),
            workload: workload.collect(),
        };
        // The next one comes in any case.
        if let Err(error) = self.heartbeats.tell(heartbeat) {
            debug!(%error, "a heartbeat was not taken");
        }
    }
}

fn job_name(step: &StepKey) -> String {
    format!("config-{}", step.attempt_id)
}

fn config_work(milestone: &ConfigMilestone, command: ConfigCommand) -> Work {
    let milestone = milestone.clone();
    Arc::new(move |progress| {
        let (milestone, command) = (milestone.clone(), command.clone());
        Box::pin(async move {
            let result = milestone.run(&command, |line| progress.tell(line)).await;
            result
                .map(|output| StepOutput::Config(Box::new(output)))
                .map_err(|error| error.to_failure())
        })
    })
}

#[cfg(test)]
mod tests;
