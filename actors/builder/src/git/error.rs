//! What git says when it fails, in types.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use oa_protocol::FailureCode;

use super::reference::GitRef;
use super::url::GitUrl;

/// Why git cannot be used at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GitSetupError {
    /// No such program.
    #[error("failed to run `{program}`; install git 2.32 or newer")]
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
    #[error("git {found} is too old; install 2.32 or newer")]
    TooOld {
        /// Its version.
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

/// Reads git's complaint about a remote repository. `reference` is what was wanted from it.
pub(crate) fn classify(
    command: &'static str,
    stderr: &str,
    url: &GitUrl,
    reference: Option<&GitRef>,
) -> GitError {
    let repository = url.to_string();
    let why = tidy(stderr);
    let says = |texts: &[&str]| texts.iter().any(|text| why.contains(text));
    if says(&[
        "couldn't find remote ref",
        "not our ref",
        "Server does not allow request for unadvertised object",
    ]) {
        return match reference {
            Some(reference) => {
                GitError::UnknownRef { repository, reference: reference.to_string() }
            }
            None => GitError::Empty { repository },
        };
    }
    if says(&["No space left on device", "Disk quota exceeded"]) {
        return GitError::Failed { command, why };
    }
    if says(&[
        "Host key verification failed",
        "Permission denied",
        "Authentication failed",
        "error: 403",
        "error: 401",
    ]) {
        return GitError::AccessDenied { repository, why };
    }
    if says(&["certificate verif", "certificate problem", "SSL certificate"]) {
        return GitError::Untrusted { repository, why };
    }
    if says(&[
        "Could not resolve host",
        "Connection refused",
        "Connection timed out",
        "Connection reset",
        "Connection closed",
        "Failed to connect",
        "Network is unreachable",
        "No route to host",
        "timed out",
        "unexpected disconnect",
        "early EOF",
        "hung up unexpectedly",
        "error: 429",
        "error: 500",
        "error: 502",
        "error: 503",
        "error: 504",
    ]) {
        return GitError::Unreachable { repository, why };
    }
    if says(&[
        "does not appear to be a git repository",
        "not a git repository",
        "epository not found",
        "' not found",
        "could not be found",
        "error: 404",
        "could not read Username",
        "does not exist",
    ]) {
        return GitError::UnknownRepository { repository };
    }
    GitError::Failed { command, why }
}

/// The end of what git said: one line, printable, without credentials and without advice.
pub(crate) fn tidy(stderr: &str) -> String {
    const LONGEST: usize = 600;
    let lines = stderr.lines().map(|line| line.trim().trim_start_matches("remote:").trim());
    let lines: Vec<&str> =
        lines.filter(|line| !line.is_empty() && !line.starts_with("hint:")).collect();
    let text: String = redact(&lines.join("; ")).chars().filter(|c| !c.is_control()).collect();
    let length = text.chars().count();
    match length.checked_sub(LONGEST) {
        None | Some(0) => text,
        Some(surplus) => format!("…{}", text.chars().skip(surplus).collect::<String>()),
    }
}

/// `text` with the credentials of every URL in it replaced by `***`.
pub(crate) fn redact(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        clean.push_str(before);
        let authority =
            &after[..after.find(['/', '?', '#', ' ', '\'', '"', '\n']).unwrap_or(after.len())];
        // `ssh://git@host` stays readable; the user of any other URL can be a token.
        match authority.rfind('@') {
            Some(end) if authority[..end].contains(':') || !before.ends_with("ssh://") => {
                clean.push_str("***");
                rest = &after[end..];
            }
            _ => rest = after,
        }
    }
    clean.push_str(rest);
    clean
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::url::UrlRules;

    fn url() -> GitUrl {
        let rules = UrlRules { default_host: "https://github.com".into(), allow_local: false };
        GitUrl::parse("org/name", &rules).expect("a repository")
    }

    #[test]
    fn credentials_are_cut_out_of_texts() {
        assert_eq!(
            redact("fatal: unable to access 'https://user:secret@host/a.git/': no"),
            "fatal: unable to access 'https://***@host/a.git/': no"
        );
        assert_eq!(redact("https://token@host/a"), "https://***@host/a");
        assert_eq!(
            redact("ssh://git@host/a and https://x:y@z"),
            "ssh://git@host/a and https://***@z"
        );
    }

    #[test]
    fn what_git_says_becomes_a_type() {
        let name = GitRef::parse("nope").expect("a name");
        let kind = |text: &str| classify("fetch", text, &url(), Some(&name));
        assert!(matches!(
            kind("fatal: couldn't find remote ref refs/heads/nope"),
            GitError::UnknownRef { .. }
        ));
        assert!(matches!(
            kind("remote: Repository not found.\nfatal: x"),
            GitError::UnknownRepository { .. }
        ));
        assert!(matches!(
            kind(
                "fatal: could not read Username for 'https://github.com': terminal prompts disabled"
            ),
            GitError::UnknownRepository { .. }
        ));
        assert!(matches!(
            kind("git@host: Permission denied (publickey)."),
            GitError::AccessDenied { .. }
        ));
        assert!(matches!(kind("ssh: Could not resolve hostname x"), GitError::Unreachable { .. }));
        let strange = kind("fatal: \u{1b}[31mstrange\nhint: try harder");
        assert_eq!(strange.to_string(), "`git fetch` failed: fatal: [31mstrange");
    }

    #[test]
    fn only_what_time_can_cure_is_retryable() {
        let name = GitRef::parse("nope").expect("a name");
        let retryable = |text: &str| classify("fetch", text, &url(), Some(&name)).is_retryable();
        assert!(retryable("fatal: unable to access 'x': Could not resolve host: github.com"));
        assert!(!retryable("fatal: couldn't find remote ref nope"));
        assert!(!retryable("remote: Repository not found."));
        assert!(!retryable(
            "fatal: unable to access 'x': SSL certificate problem: self-signed certificate"
        ));
        assert!(!retryable(
            "fatal: unable to access 'x': server certificate verification failed. CAfile: none"
        ));
    }
}
