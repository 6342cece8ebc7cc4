//! A finding in the making, and times in sentences.

use oa_api::{Finding, ReasonCode};
use oa_store::workflow::duration_text;

/// Who acts next when no component does.
pub(super) const YOU: &str = "you";
/// Who acts next when nothing is left to do.
pub(super) const NOBODY: &str = "nobody";
/// What happens next when nothing does.
pub(super) const NOTHING: &str = "nothing happens by itself";

/// Collects what a [`Finding`] says.
#[derive(Debug)]
pub(super) struct Draft(Finding);

/// Begins a finding: what it is about, how that stands, and why.
pub(super) fn finding(
    subject: &str,
    state: &str,
    code: ReasonCode,
    reason: impl Into<String>,
) -> Draft {
    Draft(Finding {
        subject: subject.to_owned(),
        state: state.to_owned(),
        reason_code: code.as_str().to_owned(),
        reason: reason.into(),
        owner: YOU.to_owned(),
        next: NOTHING.to_owned(),
        ..Finding::default()
    })
}

impl Draft {
    /// Adds since when.
    pub(super) fn since(mut self, since_ms: Option<i64>) -> Self {
        self.0.since_ms = since_ms;
        self
    }

    /// Adds who acts next, and what will happen or is to be done.
    pub(super) fn then(mut self, owner: &str, next: impl Into<String>) -> Self {
        self.0.owner = owner.to_owned();
        self.0.next = next.into();
        self
    }

    /// Adds the version of the event that shows it.
    pub(super) fn version(mut self, version: Option<u64>) -> Self {
        self.0.evidence.event_version = version.and_then(|version| i64::try_from(version).ok());
        self
    }

    /// Adds the attempt.
    pub(super) fn attempt(mut self, id: Option<String>) -> Self {
        self.0.evidence.attempt_id = id;
        self
    }

    /// Adds the message.
    pub(super) fn message(mut self, id: impl Into<String>) -> Self {
        self.0.evidence.message_id = Some(id.into());
        self
    }

    /// Adds lines of the log.
    pub(super) fn log(mut self, lines: Vec<String>) -> Self {
        self.0.evidence.log_lines = lines;
        self
    }

    /// The finding.
    pub(super) fn done(self) -> Finding {
        self.0
    }
}

/// `in 4 min 50 s`, or `now` if the time has come.
pub(super) fn in_time(at_ms: i64, now_ms: i64) -> String {
    match at_ms - now_ms {
        ..1000 => "now".to_owned(),
        left => format!("in {}", duration_text(left)),
    }
}

/// `for 4 min 50 s`.
pub(super) fn for_time(since_ms: i64, now_ms: i64) -> String {
    format!("for {}", duration_text(now_ms - since_ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_as_parts_of_a_sentence() {
        assert_eq!(in_time(65_000, 0), "in 1 min 5 s");
        assert_eq!(in_time(5, 10), "now");
        assert_eq!(for_time(0, 2_500), "for 2 s");
    }

    #[test]
    fn what_is_not_said_is_that_nothing_happens_and_you_act() {
        let finding = finding("node", "failed", ReasonCode::StepFailed, "so it is").done();
        assert_eq!((finding.owner.as_str(), finding.next.as_str()), (YOU, NOTHING));
    }
}
