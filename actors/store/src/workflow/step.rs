//! What an event does to a workflow.

use std::sync::Arc;

use oa_protocol::build::ConfigOutput;
use oa_protocol::step::{StepFailure, StepNews, StepOutput, StepReport};
use oa_protocol::{AttemptId, FailureCode};

use super::dispatch::{last_config, lost_at, wanted_targets};
use super::draft::{Draft, bounded};
use super::event::{Event, Ignored, TimerKind};
use super::milestone::Milestone;
use super::plan::Plan;
use super::state::{Step, Target, WorkflowFailure, WorkflowState};
use super::status::{AttemptStatus, Status, StepStatus};
use super::text::duration_text;

/// How often a step is tried before its workflow fails.
pub const MAX_TRIES: u32 = 5;
/// Pause before the second try; doubles with each.
const FIRST_PAUSE_MS: i64 = 1000;
/// Longest pause between two tries.
const LONGEST_PAUSE_MS: i64 = 300_000;
/// Who acts when a timer does.
const TIMER: &str = "timer";

/// Says what `event` does to `state` at `now_ms`.
///
/// The whole transition is in the [`Plan`]; nothing else is looked at and nothing is changed.
///
/// # Errors
///
/// [`Ignored`] with the reason why it changes nothing.
pub fn step(state: &WorkflowState, event: &Event, now_ms: i64) -> Result<Plan, Ignored> {
    let impossible = || Ignored::NotPossible { status: state.status, event: event.kind() };
    match (state.status, event) {
        (Status::Succeeded | Status::Failed | Status::RolledBack | Status::Cancelled, _) => {
            Err(Ignored::Finished { status: state.status })
        }
        (Status::Created, Event::Execute { options, by }) => {
            Ok(execute(state, options.as_ref(), by, now_ms))
        }
        (
            Status::Scheduled
            | Status::Running
            | Status::Waiting
            | Status::Undoing
            | Status::Parked,
            Event::Execute { .. },
        ) => Err(Ignored::AlreadyStarted { status: state.status }),
        (
            Status::Created | Status::Scheduled | Status::Running | Status::Waiting,
            Event::Cancel { by, reason },
        ) => Ok(cancel(state, by, reason, now_ms)),
        (
            Status::Scheduled | Status::Running | Status::Waiting,
            Event::TimerFired(kind) | Event::WaitedFor { kind, .. },
        ) => timer(state, event, *kind, now_ms),
        (Status::Running, Event::AttemptLost { attempt_id }) => lost(state, *attempt_id, now_ms),
        (Status::Running, Event::StepReport(report)) => reported(state, report, now_ms),
        (Status::Waiting, Event::ClaimReleased) => Ok(resume(state, now_ms)),
        (Status::Created | Status::Undoing | Status::Parked, _) => Err(impossible()),
        (Status::Scheduled | Status::Running | Status::Waiting, _) => Err(impossible()),
    }
}

/// The targets whose holders [`step`] may have to know for this event; more than needed does no harm.
#[must_use]
pub fn targets(state: &WorkflowState, event: &Event) -> Vec<Target> {
    if !state.status.is_open() || !state.steps.iter().any(|step| step.milestone.is_deploy()) {
        return Vec::new();
    }
    let output: Option<&ConfigOutput> = match event {
        Event::StepReport(StepReport {
            news: StepNews::Succeeded { output: StepOutput::Config(output) },
            ..
        }) => Some(output),
        Event::StepReport(StepReport { news: StepNews::Succeeded { .. }, .. })
        | Event::TimerFired(TimerKind::Retry | TimerKind::Start)
        | Event::WaitedFor { kind: TimerKind::Retry | TimerKind::Start, .. }
        | Event::ClaimReleased => last_config(state),
        _ => None,
    };
    let wanted =
        output.and_then(|output| wanted_targets((output.etcd_token.as_ref()?, output)).ok());
    wanted.unwrap_or_default()
}

/// A timer means something in the states that set it, and only when its time has come.
fn timer(
    state: &WorkflowState,
    event: &Event,
    kind: TimerKind,
    now_ms: i64,
) -> Result<Plan, Ignored> {
    match (state.status, kind) {
        (Status::Scheduled, TimerKind::Start)
        | (Status::Running | Status::Waiting, TimerKind::Deadline)
        | (Status::Running, TimerKind::Retry | TimerKind::Lost) => {}
        (status, _) => return Err(Ignored::NotPossible { status, event: event.kind() }),
    }
    due(state, event, kind, now_ms)?;
    match kind {
        TimerKind::Start => Ok(start(state, now_ms)),
        TimerKind::Deadline => Ok(overdue(state, now_ms)),
        TimerKind::Retry => Ok(retry(state, now_ms)),
        TimerKind::Lost => silent(state, now_ms),
    }
}

/// Whether the timer stands, and its time has come.
fn due(state: &WorkflowState, event: &Event, kind: TimerKind, now_ms: i64) -> Result<(), Ignored> {
    let Some(&due_at_ms) = state.timers.get(&kind) else { return Err(Ignored::NoTimer { kind }) };
    let has_come = match event {
        Event::WaitedFor { due_at_ms: waited_for_ms, .. } => *waited_for_ms == due_at_ms,
        _ => due_at_ms <= now_ms,
    };
    if has_come { Ok(()) } else { Err(Ignored::NotDue { kind, due_at_ms }) }
}

fn execute(
    state: &WorkflowState,
    options: Option<&serde_json::Value>,
    by: &str,
    now_ms: i64,
) -> Plan {
    let mut draft = Draft::new(state, now_ms);
    let milestones = state.spec.milestones.as_deref().unwrap_or_default();
    draft.next.steps =
        milestones.iter().zip(0..).map(|(&milestone, seq)| pending(seq, milestone)).collect();
    draft.next.execute_options = state.execute_options.clone().or_else(|| options.cloned());
    draft.next.started_at_ms = Some(now_ms);
    draft.next.status = Status::Running;
    draft.say(format!("started by {by}"));
    draft.begin(0);
    draft.plan("executed", by)
}

fn pending(seq: u32, milestone: Milestone) -> Step {
    Step {
        seq,
        milestone,
        status: StepStatus::Pending,
        attempts: 0,
        started_at_ms: None,
        finished_at_ms: None,
        waiting_for: None,
        output: None,
    }
}

fn cancel(state: &WorkflowState, by: &str, reason: &str, now_ms: i64) -> Plan {
    let mut draft = Draft::new(state, now_ms);
    draft.cancel(by, reason);
    draft.plan("cancelled", by)
}

fn start(state: &WorkflowState, now_ms: i64) -> Plan {
    let mut draft = Draft::new(state, now_ms);
    draft.next.timers.remove(&TimerKind::Start);
    draft.next.status = Status::Running;
    draft.next.waiting_for = None;
    draft.end_step(StepStatus::Done);
    draft.say("the start time has come");
    draft.begin(state.current_seq.map_or(0, |seq| seq + 1));
    draft.plan("start_time", TIMER)
}

fn overdue(state: &WorkflowState, now_ms: i64) -> Plan {
    let mut draft = Draft::new(state, now_ms);
    let age = duration_text(now_ms - state.started_at_ms.unwrap_or(now_ms));
    let waiting =
        state.waiting_for.as_ref().map_or_else(String::new, |what| format!(", waiting for {what}"));
    draft.fail(WorkflowFailure {
        message: format!("the workflow did not finish within its time: {age} have passed{waiting}"),
        hint: Some(
            "check that a worker for this milestone runs and is connected, then create it again"
                .to_owned(),
        ),
        code: FailureCode::DeadlinePassed,
    });
    draft.plan("failed", TIMER)
}

fn retry(state: &WorkflowState, now_ms: i64) -> Plan {
    let mut draft = Draft::new(state, now_ms);
    if let Some(step) = state.current() {
        draft.say(format!(
            "trying milestone {} again, attempt {}",
            step.milestone,
            step.attempts + 1
        ));
    }
    draft.dispatch();
    draft.plan("retry", TIMER)
}

fn resume(state: &WorkflowState, now_ms: i64) -> Plan {
    let mut draft = Draft::new(state, now_ms);
    draft.dispatch();
    if draft.next.status == Status::Running {
        draft.say("the targets are free; going on");
    }
    draft.plan("resumed", "journal")
}

/// The `lost` timer: before a worker spoke the command is sent again, afterwards the attempt counts as lost.
fn silent(state: &WorkflowState, now_ms: i64) -> Result<Plan, Ignored> {
    let Some(live) = &state.live else { return Err(Ignored::NoTimer { kind: TimerKind::Lost }) };
    if live.status == AttemptStatus::Accepted {
        return lost(state, live.id, now_ms);
    }
    let mut draft = Draft::new(state, now_ms);
    draft.resend();
    Ok(draft.plan("resent", TIMER))
}

fn lost(state: &WorkflowState, attempt_id: AttemptId, now_ms: i64) -> Result<Plan, Ignored> {
    let live = state.live.as_ref().filter(|live| live.id == attempt_id);
    let live = live.ok_or(Ignored::StaleAttempt { attempt_id })?;
    let worker = live.worker.as_deref().unwrap_or("the worker");
    let failure = StepFailure {
        message: format!("nothing was heard of attempt {} from {worker}", live.no),
        hint: Some("check that the worker runs and is connected".to_owned()),
        retryable: true,
        code: FailureCode::AttemptLost,
    };
    let mut draft = Draft::new(state, now_ms);
    draft.close_attempt(AttemptStatus::Lost, Some(failure.clone()));
    try_again(&mut draft, failure);
    Ok(draft.plan("lost", TIMER))
}

/// Pause after so many tries at a step.
pub(super) fn pause_ms(tries: u32) -> i64 {
    let doublings = tries.saturating_sub(1).min(20);
    (FIRST_PAUSE_MS << doublings).min(LONGEST_PAUSE_MS)
}

/// After a failure that may pass: sets the timer for the next try, or fails after the last.
fn try_again(draft: &mut Draft, failure: StepFailure) {
    let tries = draft.next.current().map_or(0, |step| step.attempts);
    if tries >= MAX_TRIES {
        let message = format!("gave up after {tries} attempts: {}", failure.message);
        return draft.fail(WorkflowFailure { message, hint: failure.hint, code: failure.code });
    }
    let pause_ms = pause_ms(tries);
    let (message, pause) = (bounded(&failure.message), duration_text(pause_ms));
    draft.next.timers.insert(TimerKind::Retry, draft.now_ms + pause_ms);
    draft.say(format!("attempt {tries} failed: {message}; next attempt in {pause}"));
    let waiting = format!("the next attempt, since the last one failed: {message}");
    if let Some(step) = draft.next.current_mut() {
        step.waiting_for = Some(waiting.clone());
    }
    draft.next.waiting_for = Some(waiting);
}

fn reported(state: &WorkflowState, report: &StepReport, now_ms: i64) -> Result<Plan, Ignored> {
    let attempt_id = report.step.attempt_id;
    let Some(live) = state.live.as_ref().filter(|live| live.id == attempt_id) else {
        return late(state, report, now_ms);
    };
    let mut draft = Draft::new(state, now_ms);
    match &report.news {
        StepNews::Accepted if live.status == AttemptStatus::Accepted => {
            Err(Ignored::NothingNew { attempt_id })
        }
        StepNews::Accepted => {
            accept(&mut draft, report);
            draft.say(format!("{} works on it", report.worker));
            Ok(draft.plan("accepted", &report.worker))
        }
        StepNews::Progress { message, waiting_for } => {
            accept(&mut draft, report);
            let waiting_for = waiting_for.as_deref().map(bounded);
            if let Some(step) = draft.next.current_mut() {
                step.waiting_for = waiting_for.clone();
            }
            draft.next.waiting_for = waiting_for;
            draft.say(bounded(message));
            Ok(draft.plan("progress", &report.worker))
        }
        StepNews::Succeeded { output } => {
            succeeded(&mut draft, output);
            Ok(draft.plan("step_succeeded", &report.worker))
        }
        StepNews::Failed { failure } => {
            draft.close_attempt(AttemptStatus::Failed, Some(failure.clone()));
            if failure.retryable {
                try_again(&mut draft, failure.clone());
            } else {
                let StepFailure { message, hint, code, .. } = failure.clone();
                draft.fail(WorkflowFailure { message, hint, code });
            }
            Ok(draft.plan("step_failed", &report.worker))
        }
    }
}

/// A success of an attempt that was given up is worth a line; everything else about it is not.
fn late(state: &WorkflowState, report: &StepReport, now_ms: i64) -> Result<Plan, Ignored> {
    let attempt_id = report.step.attempt_id;
    if !matches!(report.news, StepNews::Succeeded { .. }) {
        return Err(Ignored::StaleAttempt { attempt_id });
    }
    let mut draft = Draft::new(state, now_ms);
    draft.say(format!(
        "{} reported success of an attempt that was given up; ignored",
        report.worker
    ));
    draft.note("attempt_id", attempt_id.to_string());
    Ok(draft.plan("late_success", &report.worker))
}

/// Any word of a worker says that it has the attempt.
fn accept(draft: &mut Draft, report: &StepReport) {
    let (now_ms, milestone) = (draft.now_ms, draft.next.current().map(|step| step.milestone));
    if let Some(live) = draft.next.live.as_mut().filter(|live| live.status == AttemptStatus::Queued)
    {
        live.status = AttemptStatus::Accepted;
        live.accepted_at_ms = Some(now_ms);
        live.worker = Some(report.worker.clone());
        if let Some(milestone) = milestone {
            draft.next.timers.insert(TimerKind::Lost, lost_at(milestone, now_ms));
        }
    }
}

fn succeeded(draft: &mut Draft, output: &StepOutput) {
    let Some((seq, milestone, started)) =
        draft.next.current().map(|step| (step.seq, step.milestone, step.started_at_ms))
    else {
        return;
    };
    let fits = match output {
        StepOutput::Config(_) => milestone == Milestone::Config,
        StepOutput::Deploy(_) => milestone.is_deploy(),
    };
    if !fits {
        draft.close_attempt(AttemptStatus::Failed, None);
        return draft.fail(WorkflowFailure {
            message: format!(
                "the worker answered milestone {milestone} with the output of another one"
            ),
            hint: Some("check that all nodes run the same release".to_owned()),
            code: FailureCode::WorkerFailed,
        });
    }
    draft.close_attempt(AttemptStatus::Succeeded, None);
    draft.end_step(StepStatus::Done);
    draft.next.waiting_for = None;
    if let Some(step) = draft.next.current_mut() {
        step.output = Some(Arc::new(output.clone()));
    }
    if let StepOutput::Config(config) = output {
        resolve_source(draft, config);
    }
    let time = duration_text(draft.now_ms - started.unwrap_or(draft.now_ms));
    draft.say(format!("completed milestone {milestone} in {time}"));
    draft.begin(seq + 1);
}

/// From here on the workflow speaks of the commit that it deploys, not of a branch that moves.
fn resolve_source(draft: &mut Draft, config: &ConfigOutput) {
    let spec = &mut draft.next.spec;
    if let Some(commit) = &config.source_commit {
        spec.source_repo_git_ref = Some(commit.clone());
        spec.source_commit_hash = Some(commit.clone());
    }
    if spec.source_repo.as_deref().unwrap_or_default().is_empty() {
        spec.source_repo = config.source_repo.clone();
    }
}
