//! One thing that was looked at.

use serde::Serialize;

/// What was found, how bad it is, and how to mend it.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Finding {
    /// What was looked at.
    pub(super) subject: &'static str,
    pub(super) verdict: Verdict,
    /// What was found, with its figures.
    pub(super) found: String,
    /// What to do about it.
    pub(super) fix: Option<String>,
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Verdict {
    Fine,
    /// Something that is missing and not needed by everybody.
    Note,
    /// A node works, and not as well as it could.
    Warning,
    /// A node, or a step of a workflow, does not work.
    Bad,
}

impl Finding {
    pub(super) fn fine(subject: &'static str, found: impl Into<String>) -> Self {
        Self { subject, verdict: Verdict::Fine, found: found.into(), fix: None }
    }

    pub(super) fn note(
        subject: &'static str,
        found: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self::mendable(subject, Verdict::Note, found, fix)
    }

    pub(super) fn warning(
        subject: &'static str,
        found: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self::mendable(subject, Verdict::Warning, found, fix)
    }

    pub(super) fn bad(
        subject: &'static str,
        found: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self::mendable(subject, Verdict::Bad, found, fix)
    }

    fn mendable(
        subject: &'static str,
        verdict: Verdict,
        found: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self { subject, verdict, found: found.into(), fix: Some(fix.into()) }
    }
}
