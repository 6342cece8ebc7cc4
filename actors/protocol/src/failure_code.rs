//! What kind of failure a step had: a word for programs, beside the sentence for people.

use serde::{Deserialize, Serialize};

macro_rules! failure_codes {
    ($($(#[$doc:meta])* $variant:ident = $word:literal,)*) => {
        /// Why a step did not succeed, as a word that stays the same from release to release.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        #[non_exhaustive]
        pub enum FailureCode {
            $($(#[$doc])* $variant,)*
            /// Something that has no word of its own, or a word of a later release.
            #[default]
            #[serde(other)]
            Other,
        }

        impl FailureCode {
            /// Every kind that has a word of its own.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The word; nothing for [`FailureCode::Other`].
            #[must_use]
            pub fn as_str(self) -> Option<&'static str> {
                match self {
                    $(Self::$variant => Some($word),)*
                    Self::Other => None,
                }
            }
        }
    };
}

failure_codes! {
    /// There is no such repository, or none that the worker may see.
    RepositoryNotFound = "repository_not_found",
    /// The repository has no such branch, tag or commit.
    RevisionNotFound = "revision_not_found",
    /// The server of the repository does not answer.
    RepositoryUnreachable = "repository_unreachable",
    /// The repository may not be read, or is not one that is safe to use.
    RepositoryRefused = "repository_refused",
    /// What was rendered could not be pushed.
    PushRefused = "push_refused",
    /// There is no git that can be used.
    GitUnusable = "git_unusable",
    /// The deployment repository lacks a file.
    FileMissing = "file_missing",
    /// A file of the deployment repository does not hold what it should.
    FileInvalid = "file_invalid",
    /// A template holds more than declared names.
    TemplateRefused = "template_refused",
    /// The workflow itself lacks what the step needs.
    PlanIncomplete = "plan_incomplete",
    /// The cluster that `etcd.json` names is not known to the worker.
    ClusterUnknown = "cluster_unknown",
    /// The cluster does not answer.
    ClusterSilent = "cluster_silent",
    /// The cluster has no machine.
    NoMachine = "no_machine",
    /// `fleet.json` asks for what cannot be.
    FleetConfigInvalid = "fleet_config_invalid",
    /// A unit file cannot become a unit.
    UnitInvalid = "unit_invalid",
    /// The cluster refuses to run a unit.
    UnitRefused = "unit_refused",
    /// A unit did not become healthy.
    UnitUnhealthy = "unit_unhealthy",
    /// No port could be had for a unit.
    NoPort = "no_port",
    /// Somebody else deployed the same units meanwhile.
    Superseded = "superseded",
    /// The step took longer than it may.
    TimeOver = "time_over",
    /// Nothing more was heard of the worker.
    AttemptLost = "attempt_lost",
    /// The workflow took longer than it may.
    DeadlinePassed = "deadline_passed",
    /// The worker itself failed.
    WorkerFailed = "worker_failed",
}

impl FailureCode {
    /// Whether it says nothing.
    #[must_use]
    pub fn is_other(&self) -> bool {
        *self == Self::Other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_is_that_of_the_wire() {
        for code in FailureCode::ALL {
            let wire = serde_json::to_value(code).expect("a code is a word");
            assert_eq!(wire.as_str(), code.as_str());
        }
    }

    #[test]
    fn a_word_of_a_later_release_is_some_other_failure() {
        let code: FailureCode = serde_json::from_str("\"eaten_by_a_dog\"").expect("any word");
        assert!(code.is_other());
    }
}
