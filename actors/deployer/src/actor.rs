//! The Deployer: takes commands, writes them down, runs each as a job.
//!
//! ```text
//! DeployCommand ─► journal ─► acknowledged ─► job ─► journal ─► outbox ─► StepReport
//!                                │ a crash, an upgrade: open tasks begin again at the next start
//!                                └ CancelStep: the job restores what was there and reports
//! ```
//!
//! Deployments of the same units to one cluster run one after the other, in the order of their commands.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use oa_fleet::Engines;
use oa_protocol::AttemptId;
use oa_protocol::deploy::DeployCommand;
use oa_protocol::mailbox;
use oa_protocol::module::Heartbeat;
use oa_protocol::step::{CancelStep, StepFailure, StepKey, StepNews};
use oa_runtime::{
    Actor, Address, Backoff, ChildSpec, Context, Envelope, Failure, Handler, Mailbox, Message,
    PostOffice, RestartPolicy, Subscription,
};
use oa_worker_journal::{Accepted, Cancelled, WorkerJournal};
use tracing::{debug, info, warn};

use crate::claim::Claim;
use crate::config::DeployerConfig;
use crate::job::{Job, JobArgs};

const HEARTBEAT_EVERY: Duration = Duration::from_secs(30);
const HEARTBEAT_AGAIN: Duration = Duration::from_millis(500);
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// What a [`Deployer`] begins from.
#[derive(Clone)]
pub struct DeployerArgs {
    /// The `[deployer]` table.
    pub config: DeployerConfig,
    /// Carries commands and reports.
    pub post_office: PostOffice,
    /// Tasks and results of this component alone.
    pub journal: WorkerJournal,
    /// The clusters that it can deploy to.
    pub engines: Engines,
    /// Its mailbox: `deployer`, or `deploy_oa`.
    pub mailbox: String,
    /// What Management calls it: `deployer`, or `deployer_oa`.
    pub module: String,
    /// Who gets the [`StepReport`](oa_protocol::step::StepReport)s.
    pub reports_to: Address,
}

impl DeployerArgs {
    /// The Deployer of applications. Reports go to this node's own exchange.
    #[must_use]
    pub fn deployer(
        config: DeployerConfig,
        post_office: PostOffice,
        journal: WorkerJournal,
        engines: Engines,
    ) -> Self {
        Self {
            reports_to: post_office.address(mailbox::WORKFLOW_ORCHESTRATION),
            config,
            post_office,
            journal,
            engines,
            mailbox: mailbox::DEPLOYER.to_owned(),
            module: "deployer".to_owned(),
        }
    }

    /// The Deployer that upgrades OpenAperture itself, with a mailbox and a journal of its own: one that replaced its
    /// own unit would end in the middle of its work.
    #[must_use]
    pub fn deployer_oa(
        config: DeployerConfig,
        post_office: PostOffice,
        journal: WorkerJournal,
        engines: Engines,
    ) -> Self {
        Self {
            mailbox: mailbox::DEPLOY_OA.to_owned(),
            module: "deployer_oa".to_owned(),
            ..Self::deployer(config, post_office, journal, engines)
        }
    }
}

/// Restarts for ever; each time its open tasks begin again.
pub fn child_spec(args: DeployerArgs) -> ChildSpec<Deployer> {
    let name = args.module.clone();
    ChildSpec::new(args)
        .name(name)
        .restart(RestartPolicy::Permanent)
        .backoff(Backoff::doubling(Duration::from_millis(200), Duration::from_secs(30)))
        .drain(Duration::from_secs(10))
}

/// Runs `deploy` steps.
pub struct Deployer {
    args: DeployerArgs,
    running: HashMap<AttemptId, Running>,
    waiting: VecDeque<DeployCommand>,
    /// Commands arrive as long as it lives.
    _subscription: Subscription,
}

/// An attempt in hand.
struct Running {
    step: StepKey,
    claim: Claim,
    cluster: String,
    reported: Arc<AtomicBool>,
}

/// Time for a sign of life.
#[derive(Debug)]
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

impl Actor for Deployer {
    const KIND: &'static str = "deployer";
    type Args = DeployerArgs;

    async fn init(args: &DeployerArgs, ctx: &mut Context<Self>) -> Result<Self, Failure> {
        let open = args.journal.open_tasks().await?;
        let (journal, office) = (args.journal.clone(), args.post_office.clone());
        ctx.spawn_task(async move { journal.relay(office).await });
        let mailbox = Mailbox::new(args.post_office.address(&args.mailbox))
            .accept::<DeployCommand, _>(&ctx.actor_ref())
            .accept::<CancelStep, _>(&ctx.actor_ref());
        let mut deployer = Self {
            args: args.clone(),
            running: HashMap::new(),
            waiting: VecDeque::new(),
            _subscription: args.post_office.serve(mailbox).await?,
        };
        for task in open {
            match task.command::<DeployCommand>() {
                Ok(command) => deployer.begin(command, ctx).await,
                Err(cause) => deployer.give_back(&task.step, &cause).await?,
            }
        }
        ctx.pipe(async { Beat });
        Ok(deployer)
    }

    async fn stopping(&mut self, _ctx: &mut Context<Self>) {
        let office = &self.args.post_office;
        let modules = office.address(mailbox::SYSTEM_MODULES);
        if let Ok(goodbye) = Envelope::new(&modules, &self.heartbeat("inactive")) {
            // A courtesy: silence says the same, a little later.
            let _ = tokio::time::timeout(Duration::from_secs(1), office.publish(goodbye)).await;
        }
    }
}

impl Handler<DeployCommand> for Deployer {
    async fn handle(
        &mut self,
        command: DeployCommand,
        ctx: &mut Context<Self>,
    ) -> Result<(), Failure> {
        // Without a delivery (a tell within this process) the attempt is what makes the command unique.
        let message_id = ctx.delivery().map_or_else(
            || command.step.attempt_id.to_string(),
            |delivery| delivery.message_id.to_string(),
        );
        let text = serde_json::to_string(&command)?;
        match self
            .args
            .journal
            .accept(&message_id, &command.step, text, &self.args.reports_to)
            .await?
        {
            Accepted::New => self.begin(command, ctx).await,
            Accepted::Duplicate => {
                debug!(workflow_id = %command.step.workflow_id, "a command came twice")
            }
            Accepted::Stale => {
                info!(workflow_id = %command.step.workflow_id, "a command came too late and is left out");
            }
        }
        Ok(())
    }
}

impl Handler<CancelStep> for Deployer {
    async fn handle(
        &mut self,
        CancelStep { step, reason }: CancelStep,
        ctx: &mut Context<Self>,
    ) -> Result<(), Failure> {
        let told = self.args.journal.cancel(&step, reason.as_str()).await?;
        debug!(workflow_id = %step.workflow_id, ?told, %reason, "a step is cancelled");
        // A job that runs reports itself, once the cluster is as it was.
        if told == Cancelled::Told && !self.running.contains_key(&step.attempt_id) {
            self.waiting.retain(|command| command.step.attempt_id != step.attempt_id);
            let failure = StepFailure {
                message: format!("cancelled: {reason}"),
                hint: None,
                retryable: false,
            };
            self.args.journal.finish(&step, StepNews::Failed { failure }).await?;
            self.begin_waiting(ctx);
        }
        Ok(())
    }
}

impl Handler<JobGone> for Deployer {
    async fn handle(
        &mut self,
        JobGone(step): JobGone,
        ctx: &mut Context<Self>,
    ) -> Result<(), Failure> {
        if let Some(job) = self.running.remove(&step.attempt_id)
            && !job.reported.load(Ordering::Acquire)
        {
            warn!(workflow_id = %step.workflow_id, "a job ended without a result");
            let message = "the deployment crashed, the cluster is as it left it";
            let hint = Some(
                "another attempt goes on from there; the log of the node has the cause".to_owned(),
            );
            let failure = StepFailure { message: message.to_owned(), hint, retryable: true };
            self.args.journal.finish_patiently(&step, StepNews::Failed { failure }).await?;
        }
        self.begin_waiting(ctx);
        Ok(())
    }
}

impl Handler<Beat> for Deployer {
    async fn handle(&mut self, _: Beat, ctx: &mut Context<Self>) -> Result<(), Failure> {
        let office = &self.args.post_office;
        let modules = office.recipient(&office.address(mailbox::SYSTEM_MODULES));
        let heartbeat = self.heartbeat("active");
        ctx.pipe(async move {
            // As long as nobody answers it is said again soon.
            let heard = modules.ask(heartbeat, ANSWER_WITHIN).await.is_ok();
            tokio::time::sleep(if heard { HEARTBEAT_EVERY } else { HEARTBEAT_AGAIN }).await;
            Beat
        });
        Ok(())
    }
}

impl Deployer {
    /// Starts a job, or lets it wait and says for what.
    async fn begin(&mut self, command: DeployCommand, ctx: &mut Context<Self>) {
        let step = command.step.clone();
        self.waiting.push_back(command);
        self.begin_waiting(ctx);
        let Some(reason) = self.reason_to_wait(&step) else { return };
        let line = format!("waiting for {reason}");
        if let Err(error) = self.args.journal.report_progress(&step, line, Some(reason)).await {
            warn!(%error, workflow_id = %step.workflow_id, "failed to write down the progress of a step");
        }
    }

    /// Starts every job that neither runs into another one nor overtakes one that it would run into.
    fn begin_waiting(&mut self, ctx: &mut Context<Self>) {
        let mut kept: VecDeque<DeployCommand> = VecDeque::new();
        for command in std::mem::take(&mut self.waiting) {
            let claim = Claim::of(&command);
            let ahead = kept.iter().any(|earlier| claim.overlap(&Claim::of(earlier)).is_some());
            let beside = self.running.values().any(|job| claim.overlap(&job.claim).is_some());
            if ahead || beside || self.running.len() >= self.args.config.parallel.max(1) {
                kept.push_back(command);
            } else {
                self.start(command, claim, ctx);
            }
        }
        self.waiting = kept;
    }

    fn reason_to_wait(&self, step: &StepKey) -> Option<String> {
        let own = self.waiting.iter().find(|command| command.step.attempt_id == step.attempt_id)?;
        let (claim, cluster) = (Claim::of(own), &own.etcd_token);
        let other = |prefix: &str, step: &StepKey| {
            format!("the deployment of {prefix} to {cluster} by workflow {}", step.workflow_id)
        };
        let running = self
            .running
            .values()
            .find_map(|job| Some(other(claim.overlap(&job.claim)?, &job.step)));
        let ahead = || {
            let earlier = self
                .waiting
                .iter()
                .take_while(|command| command.step.attempt_id != step.attempt_id);
            earlier.into_iter().find_map(|command| {
                let theirs = Claim::of(command);
                Some(other(claim.overlap(&theirs)?, &command.step))
            })
        };
        let turn = || Some(format!("one of the {} deployments that run", self.running.len()));
        running.or_else(ahead).or_else(turn)
    }

    fn start(&mut self, command: DeployCommand, claim: Claim, ctx: &mut Context<Self>) {
        let step = command.step.clone();
        let reported = Arc::new(AtomicBool::new(false));
        let running = Running {
            step: step.clone(),
            claim,
            cluster: command.etcd_token.to_string(),
            reported: Arc::clone(&reported),
        };
        self.running.insert(step.attempt_id, running);
        let args = JobArgs {
            command,
            engines: self.args.engines.clone(),
            journal: self.args.journal.clone(),
            post_office: self.args.post_office.clone(),
            ports_within: self.args.config.ports_within,
            reported,
        };
        let name = format!("deploy-{}", step.attempt_id);
        let spec = ChildSpec::new(args).name(name).restart(RestartPolicy::Temporary);
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
    async fn give_back(
        &self,
        step: &StepKey,
        cause: &oa_worker_journal::JournalError,
    ) -> Result<(), Failure> {
        let message = format!("the Deployer cannot read its own note of this step: {cause}");
        let failure = StepFailure { message, hint: None, retryable: true };
        Ok(self.args.journal.finish_patiently(step, StepNews::Failed { failure }).await?)
    }

    fn heartbeat(&self, status: &str) -> Heartbeat {
        let running = self.running.values();
        let workload = running
            .map(|job| format!("deploy to {} for workflow {}", job.cluster, job.step.workflow_id));
        Heartbeat {
            hostname: self.args.post_office.node().to_owned(),
            kind: self.args.module.clone(),
            status: status.to_owned(),
            workload: workload.collect(),
        }
    }
}
