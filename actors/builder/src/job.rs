//! One attempt at one step, as an actor of its own.
//!
//! The job tells the journal how it goes and how it ended, then stops. A job that ends without a word (it panicked, or
//! the journal could not be written) is noticed by the [`Builder`](crate::Builder), which reports for it.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use oa_protocol::step::{StepFailure, StepKey, StepNews, StepOutput};
use oa_runtime::{Actor, Context, Failure, Handler, Message};
use oa_worker_journal::{JournalError, WorkerJournal};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

/// What a job does: it gets a way to tell its progress and gives its result.
pub(crate) type Work = Arc<dyn Fn(Progress) -> Working + Send + Sync>;
/// Work in hand.
pub(crate) type Working = Pin<Box<dyn Future<Output = Result<StepOutput, StepFailure>>>>;

/// Takes lines for the event log of the workflow.
#[derive(Debug, Clone)]
pub(crate) struct Progress(UnboundedSender<String>);

impl Progress {
    /// Tells a line; never waits. A step tells a handful of lines, so their number needs no bound.
    pub(crate) fn tell(&self, line: String) {
        // The other end is gone only when the job is.
        let _ = self.0.send(line);
    }
}

/// What a job begins from.
#[derive(Clone)]
pub(crate) struct JobArgs {
    pub(crate) step: StepKey,
    pub(crate) journal: WorkerJournal,
    pub(crate) work: Work,
    /// Set once the result is durable.
    pub(crate) reported: Arc<AtomicBool>,
}

/// Runs one attempt; temporary, since another attempt is the orchestrator's decision.
pub(crate) struct Job {
    reported: Arc<AtomicBool>,
}

/// The work ended and its result was given to the journal.
struct Ended(Result<(), JournalError>);

impl Message for Ended {
    type Reply = ();
}

impl Actor for Job {
    const KIND: &'static str = "job";
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
    let (sender, mut lines) = unbounded_channel();
    let work = (args.work)(Progress(sender));
    // Lines are written beside the work; the sender ends with the work, and so does this.
    let write = async {
        while let Some(line) = lines.recv().await {
            args.journal.note_progress(&args.step, line, None).await;
        }
    };
    let cancelled = args.journal.cancelled(args.step.attempt_id);
    let news = tokio::select! {
        (result, ()) = async { tokio::join!(work, write) } => match result {
            Ok(output) => StepNews::Succeeded { output },
            Err(failure) => StepNews::Failed { failure },
        },
        // The work is dropped with all that it started.
        reason = cancelled.cancelled() => StepNews::Failed { failure: cancellation(&reason) },
    };
    Ended(args.journal.finish_patiently(&args.step, news).await)
}

/// What a cancelled step reports.
pub(crate) fn cancellation(reason: &str) -> StepFailure {
    StepFailure { message: format!("cancelled: {reason}"), hint: None, retryable: false }
}
