//! Why a workflow waits, or how it came to its end.

use oa_api::{Finding, ReasonCode};
use oa_protocol::{FailureCode, mailbox};
use oa_store::workflow::{Attempt, AttemptStatus, MAX_TRIES, WorkflowFailure};
use oa_store::{JournalEntry, Module, Status, TimerKind, WaitingMessage, WorkflowState};

use super::finding::{Draft, NOBODY, YOU, finding, for_time, in_time};

/// Who moves workflows on.
const ORCHESTRATOR: &str = "workflow_orchestrator";
/// Most lines of a failure that are shown as log.
const MAX_LINES: usize = 20;

/// What is known of a workflow at one moment.
#[derive(Debug)]
pub(super) struct Facts {
    /// As the state machine sees it.
    pub(super) state: WorkflowState,
    /// What it waits for, with whoever holds its target now.
    pub(super) waiting_for: Option<String>,
    /// The last line of its journal.
    pub(super) last: Option<JournalEntry>,
    /// Messages that carry the live attempt and have not left the outbox.
    pub(super) mail: Vec<WaitingMessage>,
    /// Modules that can do the step in hand and have sent a heartbeat lately.
    pub(super) workers: Vec<Module>,
    /// The moment.
    pub(super) now_ms: i64,
}

/// The component that reads `mailbox`, as it registers.
pub(super) fn component_of(mailbox: &str) -> &str {
    if mailbox == mailbox::DEPLOY_OA { "deployer_oa" } else { mailbox }
}

impl Facts {
    /// The one reason why it does not go on; nothing if it succeeded.
    pub(super) fn finding(&self) -> Option<Finding> {
        let draft = match self.state.status {
            Status::Succeeded => return None,
            Status::Created => self.not_started(),
            Status::Scheduled => self.scheduled(),
            Status::Waiting => self.target_busy(),
            Status::Failed | Status::RolledBack | Status::Cancelled => self.ended(),
            Status::Running | Status::Undoing | Status::Parked => match &self.state.live {
                Some(live) if live.status == AttemptStatus::Queued => self.queued(live),
                Some(live) => self.accepted(live),
                None => self.between_attempts(),
            },
        };
        Some(draft.version(self.last.as_ref().map(|entry| entry.version)).done())
    }

    fn begin(&self, code: ReasonCode, reason: impl Into<String>) -> Draft {
        let state = match self.state.status {
            // It runs, as far as the journal knows; what it does is wait.
            Status::Running if code != ReasonCode::InHand => Status::Waiting.as_str(),
            status => status.as_str(),
        };
        let subject = format!("workflow {}", self.state.id);
        finding(&subject, state, code, reason).since(self.last.as_ref().map(|entry| entry.at_ms))
    }

    fn milestone(&self) -> &'static str {
        self.state.current().map_or("step", |step| step.milestone.as_str())
    }

    fn due(&self, kind: TimerKind) -> String {
        self.state.timers.get(&kind).map_or_else(|| "later".into(), |at| in_time(*at, self.now_ms))
    }

    fn not_started(&self) -> Draft {
        let next = format!("oa workflow execute {}", self.state.id);
        self.begin(ReasonCode::NotStarted, "it was made and has not been executed").then(YOU, next)
    }

    fn scheduled(&self) -> Draft {
        let what = self.waiting_for.as_deref().unwrap_or("its start time");
        let next = format!("it starts by itself {}", self.due(TimerKind::Start));
        self.begin(ReasonCode::StartTime, format!("it waits for {what}")).then(ORCHESTRATOR, next)
    }

    fn target_busy(&self) -> Draft {
        let what = self.waiting_for.as_deref().unwrap_or("another workflow");
        let holder = what.strip_prefix("workflow ").and_then(|rest| rest.split(',').next());
        let mut next = "it goes on by itself when that one has ended".to_owned();
        if let Some(holder) = holder {
            next.push_str(&format!("; oa why {holder} says what that one does"));
        }
        let since = self.state.wait.as_ref().map(|wait| wait.since_ms);
        self.begin(ReasonCode::TargetBusy, format!("it waits for {what}"))
            .since(since)
            .then(ORCHESTRATOR, next)
    }

    /// The command is decided, and no worker has said a word.
    fn queued(&self, live: &Attempt) -> Draft {
        let worker = component_of(&live.to.mailbox);
        let milestone = self.milestone();
        let again = self.due(TimerKind::Lost);
        let told =
            |draft: Draft| draft.since(Some(live.created_at_ms)).attempt(Some(live.id.to_string()));
        if let Some(parked) = self.mail.iter().find(|mail| mail.is_parked) {
            let why = parked.why.as_deref().unwrap_or("no reason is recorded");
            let reason = format!(
                "the command for `{milestone}` was set aside after {} tries: {why}",
                parked.tries
            );
            let next =
                format!("see that {worker} runs; the command is sent again by itself {again}");
            return told(self.begin(ReasonCode::MessageParked, reason))
                .message(&parked.id)
                .then(YOU, next);
        }
        if self.workers.is_empty() {
            let reason = format!("`{milestone}` needs {worker}, and none has been heard of lately");
            let next = format!(
                "start a node whose `components` list `{worker}`; it then gets the command by itself"
            );
            let draft = told(self.begin(ReasonCode::NoWorker, reason)).then(YOU, next);
            return match self.mail.first() {
                Some(mail) => draft.message(&mail.id).log(mail.why.clone().into_iter().collect()),
                None => draft,
            };
        }
        if let Some(mail) = self.mail.first() {
            let why = mail.why.as_deref().unwrap_or("it is on its way");
            let reason =
                format!("the command for `{milestone}` is not handed over to {worker} yet: {why}");
            let next =
                format!("it is tried again by itself {}", in_time(mail.next_at_ms, self.now_ms));
            return told(self.begin(ReasonCode::NotHandedOver, reason))
                .message(&mail.id)
                .then("relay", next);
        }
        let reason =
            format!("{worker} has the command for `{milestone}` and has not begun with it");
        let next = format!("it is begun when {worker} has room, and sent again by itself {again}");
        told(self.begin(ReasonCode::NotTaken, reason)).then(worker, next)
    }

    /// A worker has written the command down.
    fn accepted(&self, live: &Attempt) -> Draft {
        let component = component_of(&live.to.mailbox);
        let (milestone, lost) = (self.milestone(), self.due(TimerKind::Lost));
        let node = live.worker.as_deref().unwrap_or("a node");
        let since = live.accepted_at_ms.or(Some(live.created_at_ms));
        let told = |draft: Draft| draft.attempt(Some(live.id.to_string()));
        if !self.workers.iter().any(|worker| worker.hostname == node) {
            let reason = format!(
                "{component} of node `{node}` has `{milestone}` in hand and is not heard of any more"
            );
            let next = format!(
                "start that node again: it goes on where it was; otherwise the attempt counts as lost {lost}, and another \
                 one is made"
            );
            return told(self.begin(ReasonCode::WorkerSilent, reason)).since(since).then(YOU, next);
        }
        let step = self.state.current().and_then(|step| step.waiting_for.clone());
        let Some(what) = step.or_else(|| self.waiting_for.clone()) else {
            let reason = format!("{component} of node `{node}` has `{milestone}` in hand");
            let next = format!("it ends by itself; without a word it counts as lost {lost}");
            return told(self.begin(ReasonCode::InHand, reason)).since(since).then(component, next);
        };
        let next = format!(
            "`{milestone}` goes on or fails by itself; without a word it counts as lost {lost}"
        );
        told(self.begin(ReasonCode::StepWaits, format!("`{milestone}` waits for {what}")))
            .then(component, next)
    }

    fn between_attempts(&self) -> Draft {
        let tries = self.state.current().map_or(0, |step| step.attempts);
        let what = self.waiting_for.as_deref().unwrap_or("its next attempt");
        let next = format!(
            "attempt {} of {MAX_TRIES} begins by itself {}",
            tries + 1,
            self.due(TimerKind::Retry)
        );
        self.begin(ReasonCode::NextAttempt, format!("`{}` waits for {what}", self.milestone()))
            .attempt(self.noted_attempt())
            .then(ORCHESTRATOR, next)
    }

    /// The attempt that the last line of the journal is about.
    fn noted_attempt(&self) -> Option<String> {
        let id = self.last.as_ref()?.data.get("attempt_id")?;
        id.as_str().map(str::to_owned)
    }

    fn ended(&self) -> Draft {
        let unknown = || WorkflowFailure {
            message: "no reason is recorded".to_owned(),
            hint: None,
            code: FailureCode::Other,
        };
        let failure = self.state.failure.clone().unwrap_or_else(unknown);
        let mut lines = failure.message.lines();
        // What follows is shown as the log.
        let reason = lines.next().unwrap_or_default().trim_end_matches("; it printed last:");
        let mut reason = reason.to_owned();
        let log: Vec<String> = lines.take(MAX_LINES).map(str::to_owned).collect();
        let code = self.code_of(&failure);
        if code == ReasonCode::Cancelled {
            return self
                .begin(code, reason)
                .since(self.state.finished_at_ms)
                .then(NOBODY, "nothing happens by itself; deploy again if it is wanted after all");
        }
        if let Some(step) = self.state.current() {
            reason = format!("`{}` failed: {reason}", step.milestone);
        }
        let next = match failure.hint {
            Some(hint) => format!("nothing happens by itself; {hint}"),
            None => "nothing happens by itself; remove the cause, then deploy again".to_owned(),
        };
        self.begin(code, reason)
            .since(self.state.finished_at_ms)
            .attempt(self.noted_attempt())
            .log(log)
            .then(YOU, next)
    }

    fn code_of(&self, failure: &WorkflowFailure) -> ReasonCode {
        if self.state.status == Status::Cancelled {
            return ReasonCode::Cancelled;
        }
        let known = failure.code.as_str().and_then(ReasonCode::from_word);
        known.unwrap_or(ReasonCode::StepFailed)
    }
}

/// A component that was heard of and is not any more.
pub(super) fn silent_component(module: &Module, now_ms: i64) -> Finding {
    let subject = format!("component {} of node {}", module.kind, module.hostname);
    let reason = format!("no heartbeat has come {}", for_time(module.updated_at_ms, now_ms));
    let next = format!(
        "see that node `{}` runs and is connected; with its next heartbeat it counts again",
        module.hostname
    );
    finding(&subject, "silent", ReasonCode::ComponentSilent, reason)
        .since(Some(module.updated_at_ms))
        .then(YOU, next)
        .done()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_failure_is_a_reason() {
        for code in FailureCode::ALL {
            let word = code.as_str().expect("a kind with a word");
            assert!(ReasonCode::from_word(word).is_some(), "{word}");
        }
    }

    #[test]
    fn a_mailbox_belongs_to_a_component() {
        assert_eq!(component_of(mailbox::BUILDER), "builder");
        assert_eq!(component_of(mailbox::DEPLOY_OA), "deployer_oa");
    }
}
