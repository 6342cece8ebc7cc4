//! A transition in the making.

use oa_protocol::FailureCode;
use oa_protocol::step::{CancelStep, StepFailure};

use super::plan::{Command, Entry, Outgoing, Plan};
use super::state::{Attempt, WorkflowFailure, WorkflowState};
use super::status::{AttemptStatus, Status, StepStatus};
use super::text::duration_text;

/// Longest text of a worker that the journal takes, in characters.
const LONGEST_TEXT: usize = 4000;

/// Collects what a transition changes, sends and says.
pub(super) struct Draft {
    pub(super) now_ms: i64,
    pub(super) next: WorkflowState,
    pub(super) closed: Vec<Attempt>,
    pub(super) outgoing: Vec<Outgoing>,
    lines: Vec<String>,
    data: serde_json::Map<String, serde_json::Value>,
    before: Status,
}

impl Draft {
    pub(super) fn new(state: &WorkflowState, now_ms: i64) -> Self {
        Self {
            now_ms,
            next: state.clone(),
            closed: Vec::new(),
            outgoing: Vec::new(),
            lines: Vec::new(),
            data: serde_json::Map::new(),
            before: state.status,
        }
    }

    /// Adds a line for people.
    pub(super) fn say(&mut self, line: impl Into<String>) {
        self.lines.push(line.into());
    }

    /// Adds a fact for programs.
    pub(super) fn note(&mut self, name: &str, value: impl Into<serde_json::Value>) {
        self.data.insert(name.to_owned(), value.into());
    }

    /// Ends the transition; `kind` gives way to what the workflow has become, if that is more to say.
    pub(super) fn plan(mut self, kind: &'static str, actor: &str) -> Plan {
        self.next.version += 1;
        let kind = match self.next.status {
            status if status.is_finished() => status.as_str(),
            Status::Waiting if self.before != Status::Waiting => Status::Waiting.as_str(),
            _ => kind,
        };
        let entry = Entry {
            kind,
            actor: actor.to_owned(),
            message: self.lines.join("; "),
            milestone: self.next.current().map(|step| step.milestone),
            data: self.data.into(),
        };
        Plan { next: self.next, closed: self.closed, entry, outgoing: self.outgoing }
    }

    /// Closes the live attempt, if there is one.
    pub(super) fn close_attempt(
        &mut self,
        status: AttemptStatus,
        failure: Option<StepFailure>,
    ) -> Option<&Attempt> {
        let mut attempt = self.next.live.take()?;
        attempt.status = status;
        attempt.finished_at_ms = Some(self.now_ms);
        attempt.failure = failure;
        self.next.timers.remove(&super::event::TimerKind::Lost);
        self.note("attempt_id", attempt.id.to_string());
        self.note("attempt_no", attempt.no);
        self.closed.push(attempt);
        self.closed.last()
    }

    /// Closes the live attempt on purpose and tells the mailbox that has its command.
    fn supersede(&mut self, reason: &str) -> bool {
        let id = self.next.id;
        let Some(attempt) = self.close_attempt(AttemptStatus::Superseded, None) else {
            return false;
        };
        let cancel = Outgoing {
            to: attempt.to.clone(),
            idempotency_key: format!("cancel/{}", attempt.id),
            command: Command::Cancel(CancelStep {
                step: attempt.key(id),
                reason: reason.to_owned(),
            }),
        };
        self.outgoing.push(cancel);
        true
    }

    /// Ends the step in hand.
    pub(super) fn end_step(&mut self, status: StepStatus) {
        let now_ms = self.now_ms;
        if let Some(step) = self.next.current_mut() {
            step.status = status;
            step.finished_at_ms = Some(now_ms);
            step.waiting_for = None;
        }
    }

    /// Fails the workflow; what was done stays as it is.
    pub(super) fn fail(&mut self, failure: WorkflowFailure) {
        let place = self.next.current().map(|step| step.milestone);
        let reason = bounded(&failure.message);
        self.supersede(&reason);
        self.end_step(StepStatus::Failed);
        match place {
            Some(milestone) => self.say(format!("milestone {milestone} failed: {reason}")),
            None => self.say(reason),
        }
        self.next.failure = Some(WorkflowFailure {
            message: bounded(&failure.message),
            hint: failure.hint.as_deref().map(bounded),
            code: failure.code,
        });
        self.finish(Status::Failed);
        self.say(format!("workflow failed after {}", self.age()));
    }

    /// Ends the workflow with success.
    pub(super) fn succeed(&mut self) {
        self.finish(Status::Succeeded);
        self.say(format!("completed workflow in {}", self.age()));
    }

    /// Ends the workflow because a person said so.
    pub(super) fn cancel(&mut self, by: &str, reason: &str) {
        let words =
            if reason.is_empty() { String::new() } else { format!(": {}", bounded(reason)) };
        let text = format!("cancelled by {by}{words}");
        let in_flight = self.supersede(&text);
        let tried = self.next.current().is_some_and(|step| step.attempts > 0);
        self.end_step(match (in_flight, tried) {
            (true, _) => StepStatus::MaybeDone,
            (false, true) => StepStatus::Failed,
            (false, false) => StepStatus::Skipped,
        });
        self.next.cancel_by = Some(by.to_owned());
        self.next.failure =
            Some(WorkflowFailure { message: text.clone(), hint: None, code: FailureCode::Other });
        self.say(text);
        self.finish(Status::Cancelled);
    }

    fn finish(&mut self, status: Status) {
        self.next.status = status;
        self.next.finished_at_ms = Some(self.now_ms);
        self.next.timers.clear();
        self.next.claim = None;
        self.next.wait = None;
        self.next.waiting_for = None;
        for step in self.next.steps.iter_mut().filter(|step| step.status == StepStatus::Pending) {
            step.status = StepStatus::Skipped;
        }
    }

    fn age(&self) -> String {
        duration_text(self.now_ms - self.next.started_at_ms.unwrap_or(self.now_ms))
    }
}

/// `text`, cut where the journal would grow without bound.
pub(super) fn bounded(text: &str) -> String {
    match text.char_indices().nth(LONGEST_TEXT) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}
