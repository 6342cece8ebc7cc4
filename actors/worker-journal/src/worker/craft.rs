//! What distinguishes one worker from another.

use oa_protocol::FailureCode;
use oa_protocol::step::{StepCommand, StepFailure, StepOutput};
use tokio::sync::mpsc::UnboundedSender;

use crate::cancellation::CancelToken;
use crate::journal::WorkerJournal;

/// What a component does with its commands. Cheap to clone: each job has its own.
pub trait Craft: Clone + Send + Sync + 'static {
    /// Kind of the worker's actor, and the first part of the names of its jobs, such as `builder`.
    const KIND: &'static str;
    /// What it is told to do.
    type Command: StepCommand;
    /// What a command needs for itself alone; `()` if nothing.
    type Claim: Claim;

    /// What `command` needs for itself alone.
    fn claim(&self, command: &Self::Command) -> Self::Claim;

    /// What the component says that it works on, such as `config of org/name`.
    fn describe(&self, command: &Self::Command) -> String;

    /// What is reported for a job that ended without a word, such as by a panic.
    fn crashed(&self) -> StepFailure;

    /// Gets the place of work ready, at each start. Default: nothing.
    fn prepare(&self) -> impl Future<Output = ()> {
        async {}
    }

    /// Carries a command out. Nobody waits for more than [`Hands::cancelled`] allows, so the work listens to it.
    ///
    /// # Errors
    ///
    /// What the step reports.
    fn work(
        &self,
        command: Self::Command,
        hands: Hands,
    ) -> impl Future<Output = Result<StepOutput, StepFailure>>;
}

/// Something that one job at a time may have.
pub trait Claim: 'static {
    /// What both need, in words such as `the deployment of app to local`; `None` if they can run beside each other.
    fn overlap(&self, other: &Self) -> Option<String>;
}

impl Claim for () {
    fn overlap(&self, (): &Self) -> Option<String> {
        None
    }
}

/// What a job has in its hands.
#[derive(Debug, Clone)]
pub struct Hands {
    /// Takes lines for the event log of the workflow.
    pub progress: Progress,
    /// Says when nobody wants the result any more.
    pub cancelled: CancelToken,
    /// Notes of effects.
    pub journal: WorkerJournal,
}

/// A line for the event log of the workflow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The line.
    pub message: String,
    /// What the step waits for, until the next line.
    pub waiting_for: Option<String>,
}

/// Takes lines at once, so that writing them down delays no work.
///
/// It has no bound, but a step has: it tells a handful of lines for each thing that it touches.
#[derive(Debug, Clone)]
pub struct Progress(UnboundedSender<Line>);

impl Progress {
    /// Sends lines to `lines`.
    #[must_use]
    pub fn new(lines: UnboundedSender<Line>) -> Self {
        Self(lines)
    }

    /// Tells a line.
    pub fn say(&self, message: impl Into<String>) {
        self.tell(Line { message: message.into(), waiting_for: None });
    }

    /// Tells a line and what the step waits for.
    pub fn wait(&self, message: impl Into<String>, waiting_for: impl Into<String>) {
        self.tell(Line { message: message.into(), waiting_for: Some(waiting_for.into()) });
    }

    fn tell(&self, line: Line) {
        // The other end is gone only when the job is.
        let _job_is_gone = self.0.send(line);
    }
}

/// What a cancelled step reports.
#[must_use]
pub fn cancellation(reason: &str) -> StepFailure {
    let message = format!("cancelled: {reason}");
    StepFailure { message, hint: None, retryable: false, code: FailureCode::Other }
}
