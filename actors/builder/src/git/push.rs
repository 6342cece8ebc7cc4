//! Makes a commit and hands it to the remote's branch.
//!
//! The branch moves only from the very commit that the new one was made on, so two Builders cannot overwrite one another,
//! and a commit that was taken back meanwhile does not come back. The slower one gets [`Pushed::Raced`].

use super::budget::Budget;
use super::checkout::Mirror;
use super::command::Call;
use super::complaint::{classify, tidy};
use super::error::GitError;
use super::reference::CommitId;

/// Where the new commit is kept until it is pushed.
const RENDERED: &str = "refs/openaperture/rendered";

/// A commit to be made.
#[derive(Debug)]
pub(crate) struct NewCommit<'a> {
    pub(crate) parent: &'a CommitId,
    pub(crate) message: &'a str,
    /// Seconds since 1970, UTC.
    pub(crate) authored_at: i64,
    /// Seconds since 1970, UTC.
    pub(crate) committed_at: i64,
    pub(crate) files: &'a [NewFile],
}

/// A file at the top of the new commit's tree, replacing what is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NewFile {
    /// Letters, digits and `: - _ . \ @`; the caller checks.
    pub(crate) name: String,
    pub(crate) text: String,
    pub(crate) executable: bool,
}

/// How a push ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pushed {
    /// The branch is at the new commit.
    Done,
    /// The branch moved meanwhile.
    Raced,
}

impl Mirror {
    /// Makes a commit on top of `parent`, here.
    pub(crate) async fn commit(
        &self,
        commit: &NewCommit<'_>,
        budget: Budget,
    ) -> Result<CommitId, GitError> {
        const COMMAND: &str = "fast-import";
        let stream = import_stream(self.git().author(), commit);
        let call = Call::new(COMMAND, self.directory())
            .argument("--quiet")
            .argument("--force")
            .input(stream);
        let outcome = self.git().run(call, budget).await?;
        if !outcome.status.success() {
            return Err(GitError::Failed { command: COMMAND, why: tidy(&outcome.stderr) });
        }
        let answer = String::from_utf8_lossy(&outcome.stdout);
        CommitId::parse(answer.trim()).map_err(|_| GitError::Failed {
            command: COMMAND,
            why: format!("it answered `{}`", tidy(&answer)),
        })
    }

    /// Hands `commit` to the remote's `branch`, if that is still at `parent`.
    pub(crate) async fn push(
        &self,
        commit: &CommitId,
        parent: &CommitId,
        branch: &str,
        budget: Budget,
    ) -> Result<Pushed, GitError> {
        let call = Call::new("push", self.directory())
            .argument("--porcelain")
            .argument("--no-verify")
            // The commit lies on top of `parent`, so nothing is ever forced; an ordinary push would also go on top of
            // an ancestor.
            .argument(format!("--force-with-lease=refs/heads/{branch}:{parent}"));
        let call = call.at(self.url()).argument(format!("{commit}:refs/heads/{branch}"));
        let outcome = self.git().run(call, budget).await?;
        if outcome.status.success() {
            return Ok(Pushed::Done);
        }
        match refusal(&String::from_utf8_lossy(&outcome.stdout)) {
            Some(why) if is_race(&why) => Ok(Pushed::Raced),
            Some(why) => Err(GitError::PushRefused {
                repository: self.url().to_string(),
                branch: branch.to_owned(),
                why: tidy(&why),
            }),
            None => Err(classify("push", &outcome.stderr, self.url(), None)),
        }
    }
}

/// The reason of the line `!<TAB>from:to<TAB>[rejected] (reason)`.
fn refusal(porcelain: &str) -> Option<String> {
    let line = porcelain.lines().find(|line| line.starts_with('!'))?;
    Some(line.rsplit('\t').next().unwrap_or(line).to_owned())
}

/// Whether the branch moved between our fetch and our push, in the words of the sides that can notice it.
fn is_race(why: &str) -> bool {
    [
        "fetch first",
        "non-fast-forward",
        "stale info",
        "failed to update ref",
        "cannot lock ref",
        "incorrect old value",
    ]
    .iter()
    .any(|text| why.contains(text))
}

/// # Source
///
/// git-fast-import(1), "Input Format".
fn import_stream(author: &str, commit: &NewCommit<'_>) -> Vec<u8> {
    let mut stream = Vec::new();
    let mut line = |text: &str| stream.extend_from_slice(text.as_bytes());
    line(&format!("feature done\ncommit {RENDERED}\nmark :1\n"));
    line(&format!("author {author} {} +0000\n", commit.authored_at));
    line(&format!("committer {author} {} +0000\n", commit.committed_at));
    line(&format!("data {}\n{}\n", commit.message.len(), commit.message));
    line(&format!("from {}\n", commit.parent));
    for file in commit.files {
        let mode = if file.executable { "100755" } else { "100644" };
        line(&format!(
            "M {mode} inline {}\ndata {}\n{}\n",
            quoted(&file.name),
            file.text.len(),
            file.text
        ));
    }
    line("\nget-mark :1\ndone\n");
    stream
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('\\', r"\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use oa_test_services::git::TestRepository;

    use super::*;
    use crate::config::BuilderConfig;
    use crate::git::{Git, GitUrl, Part};

    #[test]
    fn a_lost_race_is_told_from_a_refusal() {
        let why = |text: &str| {
            refusal(&format!("To /srv/a.git\n!\tabc:refs/heads/main\t{text}\nDone\n"))
                .expect("a line")
        };
        assert!(is_race(&why("[rejected] (fetch first)")));
        assert!(is_race(&why("[rejected] (non-fast-forward)")));
        assert!(is_race(&why(
            "[remote rejected] (cannot lock ref 'refs/heads/main': is at a but expected b)"
        )));
        assert!(!is_race(&why("[remote rejected] (branch is currently checked out)")));
        assert!(!is_race(&why("[remote rejected] (protected branch hook declined)")));
    }

    #[tokio::test]
    async fn a_push_goes_on_top_of_the_very_commit_that_it_was_made_on() {
        let repository = TestRepository::with_files(&[("a", "1")]);
        let first = repository.head();
        let parent = repository.commit(&[("b", "2")], "second");
        let config = BuilderConfig { allow_local_repositories: true, ..BuilderConfig::default() };
        let git = Git::open(&config).await.expect("git");
        let path = repository.path().display().to_string();
        let url = GitUrl::parse(&path, git.rules()).expect("a path");
        let place = tempfile::tempdir().expect("a directory");
        let budget = Budget::of(Duration::from_secs(30), Duration::from_secs(30));
        let mirror =
            Mirror::create(&git, place.path().join("mirror"), url, Part::Whole).expect("a mirror");
        let fetched = mirror.fetch(None, budget).await.expect("fetched");
        assert_eq!(fetched.commit.id.as_str(), parent);
        let files = [NewFile { name: "b".into(), text: "2".into(), executable: false }];
        let commit = NewCommit {
            parent: &fetched.commit.id,
            message: "ours",
            authored_at: 1,
            committed_at: 2,
            files: &files,
        };
        let commit = mirror.commit(&commit, budget).await.expect("a commit");
        let push = async || mirror.push(&commit, &fetched.commit.id, "main", budget).await;
        let move_main = |to: &str| {
            repository.git(&["push", "-q", "-f", &path, &format!("{to}:refs/heads/main")])
        };

        let theirs = repository.commit(&[("c", "3")], "theirs");
        assert_eq!(push().await.expect("an answer"), Pushed::Raced, "the branch went on");
        assert_eq!(repository.head(), theirs);
        move_main(&first);
        assert_eq!(push().await.expect("an answer"), Pushed::Raced, "the branch went back");
        assert_eq!(repository.head(), first);
        repository.git(&["--git-dir", &path, "update-ref", "-d", "refs/heads/main"]);
        assert_eq!(push().await.expect("an answer"), Pushed::Raced, "the branch is gone");
        move_main(&parent);
        assert_eq!(push().await.expect("an answer"), Pushed::Done);
        assert_eq!(repository.head(), commit.as_str());
    }

    #[test]
    fn a_text_cannot_end_its_field_of_the_stream() {
        let parent = CommitId::parse(&"a".repeat(40)).expect("a commit");
        let file = NewFile {
            name: "a\\b@.service".into(),
            text: "\nM 100644 inline evil\n".into(),
            executable: false,
        };
        let commit = NewCommit {
            parent: &parent,
            message: "Deployment",
            authored_at: 1,
            committed_at: 2,
            files: std::slice::from_ref(&file),
        };
        let stream = String::from_utf8(import_stream("A <a@b>", &commit)).expect("text");
        assert!(
            stream.contains(
                "M 100644 inline \"a\\\\b@.service\"\ndata 22\n\nM 100644 inline evil\n\n"
            ),
            "{stream}"
        );
    }
}
