//! What git says when it fails, in types.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use oa_protocol::FailureCode;

/// Why git cannot be used at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GitSetupError {
    /// No such program.
    #[error("failed to run `{program}`; install git 2.34.1 or newer")]
    Missing {
        /// What was tried.
        program: PathBuf,
        /// Why it did not run.
        #[source]
        cause: io::Error,
    },
    /// It answered something else than a version.
    #[error("`{program} version` answered `{answer}`, which names no version")]
    Unreadable {
        /// What was asked.
        program: PathBuf,
        /// The answer.
        answer: String,
    },
    /// It is too old for what the Builder needs.
    #[error("`{program}` is too old; install 2.34.1 or newer, it says `{found}`")]
    TooOld {
        /// What was asked.
        program: PathBuf,
        /// Its answer.
        found: String,
    },
}

/// Why git did not do something.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GitError {
    /// The program did not start.
    #[error("failed to run `git {command}`")]
    Spawn {
        /// The subcommand.
        command: &'static str,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// It took longer than the step may take.
    #[error("`git {command}` was stopped: the step's time of {limit:?} was over")]
    TimedOut {
        /// The subcommand.
        command: &'static str,
        /// Time of the whole step.
        limit: Duration,
    },
    /// It took longer than one call may take.
    #[error(
        "`git {command}` was stopped: it took longer than the {limit:?} of `builder.call_timeout`"
    )]
    Hangs {
        /// The subcommand.
        command: &'static str,
        /// Time of one call.
        limit: Duration,
    },
    /// It wrote more than is read.
    #[error("`git {command}` wrote more than {limit_bytes} bytes")]
    OutputTooLong {
        /// The subcommand.
        command: &'static str,
        /// What is read at most.
        limit_bytes: usize,
    },
    /// No repository there, or none that may be seen.
    #[error("repository {repository} was not found, or it needs credentials")]
    UnknownRepository {
        /// Where.
        repository: String,
    },
    /// The repository is there, the revision is not.
    #[error("repository {repository} has no branch, tag or commit `{reference}`")]
    UnknownRef {
        /// Where.
        repository: String,
        /// The revision.
        reference: String,
    },
    /// The repository has no commit at all.
    #[error("repository {repository} has no commit yet")]
    Empty {
        /// Where.
        repository: String,
    },
    /// The other side refused us.
    #[error("access to repository {repository} was refused: {why}")]
    AccessDenied {
        /// Where.
        repository: String,
        /// What it said.
        why: String,
    },
    /// The other side did not answer.
    #[error("repository {repository} cannot be reached: {why}")]
    Unreachable {
        /// Where.
        repository: String,
        /// What happened.
        why: String,
    },
    /// The repository is larger than the Builder may fetch.
    #[error("repository {repository} is larger than {limit_bytes} bytes")]
    TooLarge {
        /// Where.
        repository: String,
        /// `repository_limit_bytes`.
        limit_bytes: u64,
    },
    /// Objects that git itself does not take in.
    #[error("repository {repository} holds what git refuses: {why}")]
    Malformed {
        /// Where.
        repository: String,
        /// What git found.
        why: String,
    },
    /// A repository of this machine that someone else could have prepared.
    #[error("repository {repository} is not safe to use: {why}")]
    Unsafe {
        /// Its path.
        repository: String,
        /// What is wrong.
        why: String,
    },
    /// The other side did not take the commit.
    #[error("repository {repository} did not take the commit for `{branch}`: {why}")]
    PushRefused {
        /// Where.
        repository: String,
        /// The branch.
        branch: String,
        /// What it said.
        why: String,
    },
    /// Others were faster, every time.
    #[error("branch `{branch}` of {repository} moved during each of {attempts} pushes")]
    PushRaces {
        /// Where.
        repository: String,
        /// The branch.
        branch: String,
        /// How often it was tried.
        attempts: u32,
    },
    /// An object is not what it should be.
    #[error("`{object}` cannot be read from the repository: {why}")]
    Object {
        /// What was asked for.
        object: String,
        /// What is wrong with it.
        why: String,
    },
    /// The token of a host could not be read.
    #[error("failed to read the token of {host} from {path}")]
    Token {
        /// The host.
        host: String,
        /// The file of `https_tokens`.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// Files could not be written here.
    #[error("failed to prepare {path}")]
    Workspace {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// Nobody whom we trust vouches for the server.
    #[error("the certificate of {repository} is not trusted: {why}")]
    Untrusted {
        /// Where it should be.
        repository: String,
        /// The end of what git said.
        why: String,
    },
    /// Anything else that git says.
    #[error("`git {command}` failed: {why}")]
    Failed {
        /// The subcommand.
        command: &'static str,
        /// The end of what it said.
        why: String,
    },
}

impl GitError {
    /// What kind of failure it is for the workflow.
    #[must_use]
    pub fn code(&self) -> FailureCode {
        match self {
            Self::UnknownRepository { .. } => FailureCode::RepositoryNotFound,
            Self::UnknownRef { .. } => FailureCode::RevisionNotFound,
            Self::Unreachable { .. } => FailureCode::RepositoryUnreachable,
            Self::PushRefused { .. } | Self::PushRaces { .. } => FailureCode::PushRefused,
            Self::Spawn { .. } => FailureCode::GitUnusable,
            Self::TimedOut { .. } => FailureCode::TimeOver,
            Self::Workspace { .. } | Self::Failed { .. } => FailureCode::WorkerFailed,
            _ => FailureCode::RepositoryRefused,
        }
    }

    /// Whether the same call may succeed later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Spawn { .. }
            | Self::TimedOut { .. }
            | Self::Hangs { .. }
            | Self::Unreachable { .. }
            | Self::PushRaces { .. }
            | Self::Workspace { .. }
            | Self::Failed { .. } => true,
            Self::OutputTooLong { .. }
            | Self::UnknownRepository { .. }
            | Self::UnknownRef { .. }
            | Self::Empty { .. }
            | Self::AccessDenied { .. }
            | Self::Untrusted { .. }
            | Self::TooLarge { .. }
            | Self::Malformed { .. }
            | Self::Unsafe { .. }
            | Self::PushRefused { .. }
            | Self::Token { .. }
            | Self::Object { .. } => false,
        }
    }

    /// What a person can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::UnknownRepository { .. } => {
                "check the name, and that the Builder's key or token may read the repository"
            }
            Self::UnknownRef { .. } => {
                "check the name of the branch, tag or commit, and that it was pushed"
            }
            Self::Empty { .. } => "push a first commit",
            Self::AccessDenied { .. } => {
                "check `builder.ssh_identity`, `builder.ssh_known_hosts` and `builder.https_tokens`"
            }
            Self::Untrusted { .. } => {
                "name the authority that signed it in `builder.https_ca_file`, and check the clock"
            }
            Self::TooLarge { .. } => {
                "raise `builder.repository_limit_bytes`, or make the repository smaller"
            }
            Self::Malformed { .. } => {
                "find the objects with `git fsck --strict`, and write that part of the history anew"
            }
            Self::Unsafe { .. } => "give the repository to the user that the node runs as",
            Self::PushRefused { why, .. } if why.contains("checked out") => {
                "push to a bare repository, or set `receive.denyCurrentBranch` to `updateInstead` there"
            }
            Self::PushRefused { .. } => {
                "check that the Builder's key or token may push to the branch"
            }
            _ => return None,
        })
    }

    /// Whether the revision was not there.
    pub(crate) fn is_unknown_ref(&self) -> bool {
        matches!(self, Self::UnknownRef { .. } | Self::Empty { .. })
    }
}
