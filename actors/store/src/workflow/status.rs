//! The closed lists of states, and their names in the database and on the wire.

/// A state in the database that this release does not know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a known {what}")]
pub struct UnknownStatus {
    /// What it should have been, such as `workflow state`.
    pub what: &'static str,
    /// What it was.
    pub text: String,
}

macro_rules! named_states {
    ($(#[$doc:meta])* $name:ident, $what:literal, { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)*
        }

        impl $name {
            /// Every state, in the order of the list.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Its name in the database and on the wire.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = UnknownStatus;

            fn from_str(text: &str) -> Result<Self, UnknownStatus> {
                match text {
                    $($text => Ok(Self::$variant),)*
                    _ => Err(UnknownStatus { what: $what, text: text.to_owned() }),
                }
            }
        }
    };
}

named_states! {
    /// Where a workflow is.
    Status, "workflow state", {
        /// Made, not executed yet; nothing waits for it.
        Created = "created",
        /// Waits for its start time.
        Scheduled = "scheduled",
        /// A step is in flight or waits for its next attempt.
        Running = "running",
        /// Waits for another workflow to release a target.
        Waiting = "waiting",
        /// Takes back what it did.
        Undoing = "undoing",
        /// Set aside, waiting for a person.
        Parked = "parked",
        /// Everything is done.
        Succeeded = "succeeded",
        /// A step failed for good; what was done before stays.
        Failed = "failed",
        /// A step failed for good and everything was taken back.
        RolledBack = "rolled_back",
        /// A person ended it.
        Cancelled = "cancelled",
    }
}

named_states! {
    /// Where a step is.
    StepStatus, "step state", {
        /// Not begun.
        Pending = "pending",
        /// Begun.
        Doing = "doing",
        /// Done.
        Done = "done",
        /// Failed for good.
        Failed = "failed",
        /// Ended without a clear word from the worker.
        MaybeDone = "maybe_done",
        /// Being taken back.
        Undoing = "undoing",
        /// Taken back.
        Undone = "undone",
        /// Could not be taken back.
        UndoFailed = "undo_failed",
        /// Never begun, since the workflow ended before.
        Skipped = "skipped",
    }
}

named_states! {
    /// Where an attempt at a step is.
    AttemptStatus, "attempt state", {
        /// Its command is on the way; no worker has said anything.
        Queued = "queued",
        /// A worker has written it down.
        Accepted = "accepted",
        /// The worker did it.
        Succeeded = "succeeded",
        /// The worker could not do it.
        Failed = "failed",
        /// Nothing was heard of it for too long.
        Lost = "lost",
        /// Given up on purpose.
        Superseded = "superseded",
    }
}

impl Status {
    /// Whether nothing will change it any more.
    #[must_use]
    pub fn is_finished(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::RolledBack | Self::Cancelled)
    }

    /// Whether it was executed and has not finished: somebody must act on it sooner or later.
    #[must_use]
    pub fn is_open(self) -> bool {
        self != Self::Created && !self.is_finished()
    }
}

impl AttemptStatus {
    /// Whether a worker may still be at it.
    #[must_use]
    pub fn is_live(self) -> bool {
        matches!(self, Self::Queued | Self::Accepted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_is_read_back_from_its_name() {
        for &status in Status::ALL {
            assert_eq!(status.as_str().parse(), Ok(status));
        }
        for &status in StepStatus::ALL {
            assert_eq!(status.as_str().parse(), Ok(status));
        }
        for &status in AttemptStatus::ALL {
            assert_eq!(status.as_str().parse(), Ok(status));
        }
    }

    #[test]
    fn an_unknown_state_is_an_error_that_names_it() {
        let refusal = "sleeping".parse::<Status>().expect_err("not a state");
        assert_eq!(refusal.to_string(), "`sleeping` is not a known workflow state");
    }

    #[test]
    fn a_state_is_created_open_or_finished_and_only_one_of_them() {
        for &status in Status::ALL {
            let kinds = [status == Status::Created, status.is_open(), status.is_finished()];
            assert_eq!(kinds.iter().filter(|is| **is).count(), 1, "{status}");
        }
    }
}
