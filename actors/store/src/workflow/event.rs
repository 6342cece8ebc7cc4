//! What can happen to a workflow, and why it may be ignored.

use std::fmt;
use std::str::FromStr;

use oa_protocol::AttemptId;
use oa_protocol::step::StepReport;

use super::status::Status;

/// Something that happened to a workflow.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A person or a program starts it.
    Execute {
        /// Options of the request; those that the workflow was created with win.
        options: Option<serde_json::Value>,
        /// Who.
        by: String,
    },
    /// News of an attempt from a worker.
    StepReport(StepReport),
    /// A person ends it.
    Cancel {
        /// Who.
        by: String,
        /// Why, in their words.
        reason: String,
    },
    /// One of its timers is due by the clock on the wall, which [`super::step`] checks.
    TimerFired(TimerKind),
    /// Somebody has waited for as long as a timer says, by a clock that nobody can set. It counts if the timer still
    /// stands at that time, whatever the clock on the wall says by now.
    WaitedFor {
        /// Which timer.
        kind: TimerKind,
        /// Where it stood when the waiting began.
        due_at_ms: i64,
    },
    /// Nothing was heard of an attempt for too long.
    AttemptLost {
        /// Which one.
        attempt_id: AttemptId,
    },
    /// The workflow that it waits for has released its targets. The journal makes this one by itself.
    ClaimReleased,
}

/// The name of an [`Event`], for texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// [`Event::Execute`].
    Execute,
    /// [`Event::StepReport`].
    StepReport,
    /// [`Event::Cancel`].
    Cancel,
    /// [`Event::TimerFired`] or [`Event::WaitedFor`].
    TimerFired(TimerKind),
    /// [`Event::AttemptLost`].
    AttemptLost,
    /// [`Event::ClaimReleased`].
    ClaimReleased,
}

impl Event {
    /// Which event this is.
    #[must_use]
    pub fn kind(&self) -> EventKind {
        match self {
            Self::Execute { .. } => EventKind::Execute,
            Self::StepReport(_) => EventKind::StepReport,
            Self::Cancel { .. } => EventKind::Cancel,
            Self::TimerFired(kind) | Self::WaitedFor { kind, .. } => EventKind::TimerFired(*kind),
            Self::AttemptLost { .. } => EventKind::AttemptLost,
            Self::ClaimReleased => EventKind::ClaimReleased,
        }
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Execute => f.write_str("execute"),
            Self::StepReport => f.write_str("step report"),
            Self::Cancel => f.write_str("cancel"),
            Self::TimerFired(kind) => write!(f, "timer {kind}"),
            Self::AttemptLost => f.write_str("attempt lost"),
            Self::ClaimReleased => f.write_str("claim released"),
        }
    }
}

/// The timers of a workflow; it has at most one of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TimerKind {
    /// The start time of a scheduled workflow.
    Start,
    /// The next attempt at a step.
    Retry,
    /// The time that the whole workflow may take is used up.
    Deadline,
    /// Nothing was heard of the live attempt.
    Lost,
}

/// A timer in the database that this release does not know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a known timer")]
pub struct UnknownTimer {
    /// What it was.
    pub text: String,
}

impl TimerKind {
    /// Every timer.
    pub const ALL: [Self; 4] = [Self::Start, Self::Retry, Self::Deadline, Self::Lost];

    /// Its name in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Retry => "retry",
            Self::Deadline => "deadline",
            Self::Lost => "lost",
        }
    }
}

impl fmt::Display for TimerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for TimerKind {
    type Err = UnknownTimer;

    fn from_str(text: &str) -> Result<Self, UnknownTimer> {
        let known = Self::ALL.into_iter().find(|kind| kind.as_str() == text);
        known.ok_or_else(|| UnknownTimer { text: text.to_owned() })
    }
}

/// Why an event changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Ignored {
    /// The workflow is over.
    #[error("the workflow has already ended: {status}")]
    Finished {
        /// How it ended.
        status: Status,
    },
    /// It was executed before.
    #[error("the workflow has already been started: {status}")]
    AlreadyStarted {
        /// Where it is.
        status: Status,
    },
    /// The attempt is not the one in flight.
    #[error("attempt {attempt_id} is not the one in flight")]
    StaleAttempt {
        /// The attempt that the event speaks of.
        attempt_id: AttemptId,
    },
    /// The journal knows it already.
    #[error("attempt {attempt_id} is already known to be accepted")]
    NothingNew {
        /// The attempt that the event speaks of.
        attempt_id: AttemptId,
    },
    /// The timer was taken back.
    #[error("timer `{kind}` is not set")]
    NoTimer {
        /// Which one.
        kind: TimerKind,
    },
    /// The timer was moved to a later time.
    #[error("timer `{kind}` is due only at {due_at_ms} ms")]
    NotDue {
        /// Which one.
        kind: TimerKind,
        /// When it is due.
        due_at_ms: i64,
    },
    /// The event means nothing in this state.
    #[error("{event} means nothing to a workflow that is {status}")]
    NotPossible {
        /// Where the workflow is.
        status: Status,
        /// What happened.
        event: EventKind,
    },
}
