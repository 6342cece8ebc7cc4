//! One attempt at one step, as an actor of its own.
//!
//! The job tells the journal how it goes and how it ended, then stops. A job that ends without a word (it panicked, or
//! the journal could not be written) is noticed by its [`Worker`](super::Worker), which reports for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use oa_protocol::step::{StepCommand, StepNews};
use oa_runtime::{Actor, Context, Failure, Handler, Message};
use tokio::sync::mpsc::unbounded_channel;

use super::craft::{Craft, Hands, Progress};
use crate::error::JournalError;
use crate::journal::WorkerJournal;

/// What a job begins from.
#[derive(Clone)]
pub(super) struct JobArgs<C: Craft> {
    pub(super) craft: C,
    pub(super) command: C::Command,
    pub(super) journal: WorkerJournal,
    /// Set once the result is durable.
    pub(super) reported: Arc<AtomicBool>,
}

/// Runs one attempt; temporary, since another attempt is the orchestrator's decision.
pub(super) struct Job<C> {
    reported: Arc<AtomicBool>,
    _craft: std::marker::PhantomData<C>,
}

/// The work ended and its result was given to the journal.
struct Ended(Result<(), JournalError>);

impl Message for Ended {
    type Reply = ();
}

impl<C: Craft> Actor for Job<C> {
    const KIND: &'static str = "job";
    type Args = JobArgs<C>;

    async fn init(args: &JobArgs<C>, ctx: &mut Context<Self>) -> Result<Self, Failure> {
        ctx.pipe(perform(args.clone()));
        Ok(Self { reported: Arc::clone(&args.reported), _craft: std::marker::PhantomData })
    }
}

impl<C: Craft> Handler<Ended> for Job<C> {
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

async fn perform<C: Craft>(JobArgs { craft, command, journal, .. }: JobArgs<C>) -> Ended {
    let step = command.step().clone();
    let (sender, mut lines) = unbounded_channel();
    let hands = Hands {
        progress: Progress::new(sender),
        cancelled: journal.cancelled(step.attempt_id),
        journal: journal.clone(),
    };
    // Lines are written beside the work; the sender ends with the work, and so does this.
    let write = async {
        while let Some(line) = lines.recv().await {
            journal.note_progress(&step, line.message, line.waiting_for).await;
        }
    };
    let news = match tokio::join!(Box::pin(craft.work(command, hands)), write) {
        (Ok(output), ()) => StepNews::Succeeded { output },
        (Err(failure), ()) => StepNews::Failed { failure },
    };
    oa_crash_points::crash_point!(WorkerBeforeFinish);
    Ended(journal.finish_patiently(&step, news).await)
}
