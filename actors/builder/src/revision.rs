//! Which revisions are deployed, and what templates may say about them.

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;
use oa_protocol::InvalidName;
use oa_protocol::build::ConfigCommand;

use crate::error::BuildError;
use crate::git::{Commit, Git, GitRef, GitUrl};
use crate::template::Values;

/// The revisions that the workflow names, checked.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) deployment: GitUrl,
    pub(crate) deployment_ref: Option<GitRef>,
    pub(crate) source: Option<GitUrl>,
    pub(crate) source_ref: Option<GitRef>,
}

impl Wanted {
    pub(crate) fn parse(command: &ConfigCommand, git: &Git) -> Result<Self, BuildError> {
        let deployment = GitUrl::parse(&command.deployment_repo, git.rules())
            .map_err(|cause| BuildError::Field { field: "deployment_repo", cause })?;
        Ok(Self {
            deployment,
            deployment_ref: reference(
                "deployment_repo_git_ref",
                command.deployment_repo_git_ref.as_deref(),
            )?,
            source: repository("source_repo", command.source_repo.as_deref(), git)?,
            source_ref: reference("source_repo_git_ref", command.source_repo_git_ref.as_deref())?,
        })
    }
}

pub(crate) fn repository(
    field: &'static str,
    text: Option<&str>,
    git: &Git,
) -> Result<Option<GitUrl>, BuildError> {
    checked(field, text, |text| GitUrl::parse(text, git.rules()))
}

pub(crate) fn reference(
    field: &'static str,
    text: Option<&str>,
) -> Result<Option<GitRef>, BuildError> {
    checked(field, text, GitRef::parse)
}

/// An empty text counts as absent, as in the original.
fn checked<T>(
    field: &'static str,
    text: Option<&str>,
    parse: impl Fn(&str) -> Result<T, InvalidName>,
) -> Result<Option<T>, BuildError> {
    let text = text.filter(|text| !text.is_empty());
    text.map(parse).transpose().map_err(|cause| BuildError::Field { field, cause })
}

/// What is deployed.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) repository: Option<GitUrl>,
    /// The commit, or without a repository what the workflow calls it.
    pub(crate) reference: Option<String>,
    /// Seconds since 1970, UTC.
    pub(crate) time: i64,
}

impl Source {
    /// A source that is not looked at: only its name is known, and the time is that of the deployment's author.
    pub(crate) fn unseen(reference: Option<GitRef>, deployment: &Commit) -> Self {
        // The author's time, since the commits made here repeat it: a second run then renders the same.
        Self {
            repository: None,
            reference: reference.map(|name| name.to_string()),
            time: deployment.authored_at,
        }
    }

    pub(crate) fn values(&self) -> Values {
        const WHY: &str = "the workflow names neither `source_repo` nor `source_repo_git_ref`, and source.json does not either";
        let values = match &self.reference {
            Some(reference) => Values::default().with("commit_hash", reference.clone()),
            None => Values::default().without("commit_hash", WHY),
        };
        match rfc1123(self.time) {
            Some(time) => values.with("timestamp", time),
            None => values.without("timestamp", "the time of the commit is out of range"),
        }
    }
}

fn rfc1123(seconds: i64) -> Option<String> {
    let time = Timestamp::from_second(seconds).ok()?;
    DateTimePrinter::new().timestamp_to_rfc9110_string(&time).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_rfc_1123_in_utc() {
        assert_eq!(rfc1123(1_795_556_146).as_deref(), Some("Tue, 24 Nov 2026 21:35:46 GMT"));
        assert_eq!(rfc1123(i64::MAX), None);
    }
}
