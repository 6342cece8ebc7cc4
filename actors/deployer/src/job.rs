//! One attempt at one step, as an actor of its own.
//!
//! The job tells the journal how it goes and how it ended, then stops. A job that ends without a word (it panicked, or
//! the journal could not be written) is noticed by the [`Deployer`](crate::Deployer), which reports for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use oa_fleet::Engines;
use oa_protocol::UnitName;
use oa_protocol::deploy::{DeployCommand, DeployOutput};
use oa_protocol::manager::ReservedPort;
use oa_protocol::step::{StepFailure, StepNews, StepOutput};
use oa_runtime::{Actor, Context, Failure, Handler, Message, PostOffice};
use oa_worker_journal::{EffectState, JournalError, WorkerJournal};
use tokio::sync::{mpsc, watch};

use crate::deployment::{Desk, deploy};
use crate::error::{DeployError, text};
use crate::plan::Snapshot;
use crate::ports::Ports;
use crate::voice::{Line, Voice};

/// What a job begins from.
#[derive(Clone)]
pub(crate) struct JobArgs {
    pub(crate) command: DeployCommand,
    pub(crate) engines: Engines,
    pub(crate) journal: WorkerJournal,
    pub(crate) post_office: PostOffice,
    pub(crate) ports_within: Duration,
    /// Set once the result is durable.
    pub(crate) reported: Arc<AtomicBool>,
}

/// Runs one attempt; temporary, since another attempt is the orchestrator's decision.
pub(crate) struct Job {
    reported: Arc<AtomicBool>,
}

/// The deployment ended and its result was given to the journal.
struct Ended(Result<(), JournalError>);

impl Message for Ended {
    type Reply = ();
}

impl Actor for Job {
    const KIND: &'static str = "deploy_job";
    type Args = JobArgs;

    async fn init(args: &JobArgs, ctx: &mut Context<Self>) -> Result<Self, Failure> {
        ctx.pipe(perform(args.clone()));
        Ok(Self { reported: Arc::clone(&args.reported) })
    }
}

impl Handler<Ended> for Job {
    async fn handle(
        &mut self,
        Ended(result): Ended,
        ctx: &mut Context<Self>,
    ) -> Result<(), Failure> {
        match result {
            Ok(()) => {
                self.reported.store(true, Ordering::Release);
                ctx.stop();
            }
            Err(cause) => ctx.fail(cause.into()),
        }
        Ok(())
    }
}

async fn perform(args: JobArgs) -> Ended {
    let step = args.command.step.clone();
    let (say, mut lines) = mpsc::unbounded_channel::<Line>();
    // Lines are written beside the work; the sender ends with the work, and so does this.
    let write = async {
        while let Some(line) = lines.recv().await {
            args.journal.note_progress(&step, line.message, line.waiting_for).await;
        }
    };
    let (result, ()) = tokio::join!(Box::pin(run(&args, say)), write);
    let news = match result {
        Ok(output) => StepNews::Succeeded { output: StepOutput::Deploy(output) },
        Err(failure) => StepNews::Failed { failure },
    };
    Ended(args.journal.finish_patiently(&step, news).await)
}

async fn run(
    args: &JobArgs,
    say: mpsc::UnboundedSender<Line>,
) -> Result<DeployOutput, StepFailure> {
    let command = &args.command;
    let Some(engine) = args.engines.get(&command.etcd_token) else {
        let known: Vec<String> = args.engines.tokens().map(ToString::to_string).collect();
        let unknown = DeployError::UnknownCluster {
            token: command.etcd_token.to_string(),
            known: known.join(", "),
        };
        return Err(unknown.into_failure(&[]));
    };
    let token = args.journal.cancelled(command.step.attempt_id);
    let (cancel, cancelled) = watch::channel(token.reason());
    let desk = JobDesk::new(args);
    let voice = Voice::new(say, cancelled, command.timeout);
    let pass_on = async {
        cancel.send_replace(Some(token.cancelled().await));
        std::future::pending::<()>().await;
    };
    tokio::select! {
        result = deploy(command, engine, &desk, voice) => result,
        () = pass_on => unreachable!("a future that is always pending does not end"),
    }
}

/// Ports from the Manager; the note of what was there before, as an effect in the journal.
struct JobDesk<'a> {
    ports: Ports,
    journal: &'a WorkerJournal,
    /// The same for all attempts at the step, so that a later one still knows what the first one found.
    note_key: String,
}

impl<'a> JobDesk<'a> {
    fn new(args: &'a JobArgs) -> Self {
        let DeployCommand { step, etcd_token, .. } = &args.command;
        Self {
            ports: Ports::new(
                &args.post_office,
                etcd_token.clone(),
                step.workflow_id,
                args.ports_within,
            ),
            journal: &args.journal,
            note_key: format!("{}/earlier-units", step.effect_key()),
        }
    }
}

impl Desk for JobDesk<'_> {
    async fn reserve_ports(
        &self,
        units: &[UnitName],
        voice: &Voice,
    ) -> Result<Vec<ReservedPort>, DeployError> {
        self.ports.reserve(units, voice).await
    }

    async fn release_ports(&self, units: &[UnitName]) {
        self.ports.release(units).await;
    }

    async fn recall(&self) -> Result<Snapshot, DeployError> {
        match self.journal.begin(&self.note_key).await.map_err(journal_error)? {
            EffectState::Done { external_ref: Some(note) } => serde_json::from_str(&note)
                .map_err(|why| DeployError::Journal { why: why.to_string() }),
            _ => Ok(Snapshot::new()),
        }
    }

    async fn note(&self, snapshot: &Snapshot) -> Result<(), DeployError> {
        let note = serde_json::to_string(snapshot)
            .map_err(|why| DeployError::Journal { why: why.to_string() })?;
        self.journal.done(&self.note_key, Some(note)).await.map(drop).map_err(journal_error)
    }
}

fn journal_error(error: JournalError) -> DeployError {
    DeployError::Journal { why: text(&error) }
}
