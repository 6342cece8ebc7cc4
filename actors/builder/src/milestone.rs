//! The `config` milestone: renders the deployment repository and reads what it says.
//!
//! ```text
//! deployment repository ─┐                       ┌─ nothing changed ──────────────► output
//!                        ├─► read ─► render ─► units
//! source repository ─────┘      ▲                └─ changed ─► commit ─► push ─► output
//!                               └────────────── the branch moved meanwhile ──┘
//! ```
//!
//! Everything is checked before anything is pushed. A second run finds its own commit and makes none:
//! what is rendered depends on the two revisions alone, never on the clock.
//!
//! If the branch moved, what is there now is rendered and pushed once more, even where the others changed the same rendered
//! file: it is derived, the workflow was asked to derive it from this source, and their text stays in the history. If they
//! changed what it is derived from (a template, a JSON file, a unit), the step fails retryably instead: this attempt was
//! about another revision, and source.json may now name another source.

use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use oa_protocol::build::{ConfigCommand, ConfigOutput};
use tokio::sync::OnceCell;

use crate::attempt::{Attempt, remove_leftovers};
use crate::config::BuilderConfig;
use crate::error::BuildError;
use crate::git::{
    Budget, Commit, CommitId, Fetched, Git, GitError, GitRef, GitSetupError, GitUrl, Mirror,
    NewCommit, NewFile, Origin, Part, Pushed,
};
use crate::repository::Files;
use crate::revision::{Source, Wanted, reference, repository};

/// Pushes that are tried: after one lost race the work is done again on what is there then. Who loses twice fails
/// retryably, so that the pauses of the workflow's attempts lie between further tries.
const PUSHES: u32 = 2;

/// Runs the milestone, any number of times at once. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ConfigMilestone {
    config: Arc<BuilderConfig>,
    /// Looked for until it is found, so that installing git needs no restart.
    git: Arc<OnceCell<Git>>,
}

impl ConfigMilestone {
    /// Makes one whose attempts have their directories below `work_dir`.
    #[must_use]
    pub fn new(config: BuilderConfig) -> Self {
        Self { config: Arc::new(config), git: Arc::default() }
    }

    /// Looks for git and removes what attempts of an earlier process left behind; call it before the first attempt.
    ///
    /// # Errors
    ///
    /// [`GitSetupError`] if git is missing or too old. Steps fail with the same reason until it is there.
    pub async fn prepare(&self) -> Result<(), GitSetupError> {
        remove_leftovers(&self.config.work_dir).await;
        self.git().await.map(drop)
    }

    /// Runs the milestone; `progress` gets a line whenever something worth telling happened.
    ///
    /// Dropping the future ends every git and removes the directory of the attempt.
    ///
    /// # Errors
    ///
    /// [`BuildError`] with what to correct, or why to try again.
    pub async fn run(
        &self,
        command: &ConfigCommand,
        progress: impl Fn(String),
    ) -> Result<ConfigOutput, BuildError> {
        let git = self.git().await?;
        let wanted = Wanted::parse(command, git)?;
        let git = &git.for_attempt();
        let attempt = Attempt::begin(&self.config.work_dir, git.programs().clone())?;
        oa_crash_points::crash_point!(BuilderDirectoryMade);
        let budget = Budget::of(command.timeout, self.config.call_timeout);
        let result =
            Run { git, directory: attempt.path(), budget, command }.config(wanted, &progress).await;
        attempt.end().await;
        result
    }

    async fn git(&self) -> Result<&Git, GitSetupError> {
        self.git.get_or_try_init(|| Git::open(&self.config)).await
    }
}

/// What became of the rendered files.
enum Published {
    /// The branch has them already, or there is no branch.
    Unchanged,
    /// They are this commit.
    As(CommitId),
    /// The branch moved meanwhile.
    Raced,
}

/// The revision of the deployment repository that is read.
struct Revision {
    origin: Origin,
    commit: Commit,
}

/// One attempt.
struct Run<'a> {
    git: &'a Git,
    directory: &'a Path,
    budget: Budget,
    command: &'a ConfigCommand,
}

impl Run<'_> {
    async fn config(
        &self,
        wanted: Wanted,
        progress: &impl Fn(String),
    ) -> Result<ConfigOutput, BuildError> {
        let Wanted { deployment, deployment_ref, source, source_ref } = wanted;
        let deployment_ref = deployment_ref.as_ref();
        let mirror = Mirror::create(
            self.git,
            self.directory.join("deployment.git"),
            deployment,
            Part::Whole,
        )?;
        // A source that the workflow names whole needs no look into source.json: both are fetched at once.
        let (early, late) = match (source, source_ref) {
            (Some(url), Some(name)) => (Some((url, Some(name))), (None, None)),
            incomplete => (None, incomplete),
        };
        let fetch_early = async {
            match early {
                Some((url, name)) => self.fetch_source(url, name).await.map(Some),
                None => Ok(None),
            }
        };
        let (fetched, early) =
            tokio::try_join!(mirror.fetch(deployment_ref, self.budget), fetch_early)?;
        oa_crash_points::crash_point!(BuilderFetched);
        let (mut deployment, mut files) = self.read(fetched).await?;
        let source = match early {
            Some(source) => source,
            None => self.late_source(&files, late, &deployment.commit).await?,
        };
        tell(progress, &mirror, &deployment, &source);

        let (values, inputs) = (source.values(), files.inputs());
        for pushes in 1.. {
            let changed = files.render(&values)?;
            let output = self.output(&files, &source, &deployment.commit)?;
            oa_crash_points::crash_point!(BuilderRendered);
            match self.publish(&mirror, &deployment, &source, &changed, progress).await? {
                Published::Unchanged => return Ok(output),
                Published::As(commit) => {
                    return Ok(ConfigOutput {
                        deployment_commit: commit.to_string(),
                        pushed: true,
                        ..output
                    });
                }
                Published::Raced if pushes == PUSHES => break,
                Published::Raced => {}
            }
            (deployment, files) =
                self.read(mirror.fetch(deployment_ref, self.budget).await?).await?;
            let moved = files.inputs().differences(&inputs);
            if !moved.is_empty() {
                let repository = mirror.url().to_string();
                return Err(BuildError::InputsMoved { repository, files: moved.join(", ") });
            }
        }
        let (repository, branch) =
            (mirror.url().to_string(), deployment_ref.map_or("HEAD", GitRef::as_str).to_owned());
        Err(GitError::PushRaces { repository, branch, attempts: PUSHES }.into())
    }

    async fn read(&self, fetched: Fetched) -> Result<(Revision, Files), BuildError> {
        let Fetched { origin, commit, mut objects } = fetched;
        let tree = objects.tree(&commit.tree).await?;
        let files = Files::read(&mut objects, &tree).await?;
        Ok((Revision { origin, commit }, files))
    }

    async fn fetch_source(&self, url: GitUrl, name: Option<GitRef>) -> Result<Source, GitError> {
        let directory = self.directory.join("source.git");
        let mirror = Mirror::create(self.git, directory, url.clone(), Part::Commit)?;
        let commit = mirror.fetch(name.as_ref(), self.budget).await?.commit;
        Ok(Source {
            repository: Some(url),
            reference: Some(commit.id.to_string()),
            time: commit.committed_at,
        })
    }

    /// The source as the workflow and source.json name it together; the workflow wins, field by field.
    async fn late_source(
        &self,
        files: &Files,
        (url, name): (Option<GitUrl>, Option<GitRef>),
        deployment: &Commit,
    ) -> Result<Source, BuildError> {
        let defaults = files.source()?;
        let url = match url {
            Some(url) => Some(url),
            None => {
                repository("source_repo in source.json", defaults.source_repo.as_deref(), self.git)?
            }
        };
        let name = match name {
            Some(name) => Some(name),
            None => reference(
                "source_repo_git_ref in source.json",
                defaults.source_repo_git_ref.as_deref(),
            )?,
        };
        match url {
            Some(url) => Ok(self.fetch_source(url, name).await?),
            None => Ok(Source::unseen(name, deployment)),
        }
    }

    /// Reads all that the later milestones need; the files are as rendered.
    fn output(
        &self,
        files: &Files,
        source: &Source,
        deployment: &Commit,
    ) -> Result<ConfigOutput, BuildError> {
        files.check_docker()?;
        Ok(ConfigOutput {
            etcd_token: files.cluster(self.command.needs_cluster)?,
            fleet_config: files.fleet()?,
            units: files.units(self.command.needs_cluster)?,
            source_commit: source.reference.clone(),
            source_repo: source.repository.as_ref().map(|url| url.as_written().to_owned()),
            deployment_commit: deployment.id.to_string(),
            pushed: false,
        })
    }

    /// The branch that a commit may be pushed to.
    async fn branch(&self, mirror: &Mirror, origin: &Origin) -> Result<Option<String>, GitError> {
        match origin {
            Origin::Branch(name) => Ok(Some(name.clone())),
            Origin::Default => mirror.default_branch(self.budget).await,
            Origin::Tag(_) | Origin::Commit => Ok(None),
        }
    }

    /// Commits and pushes what was rendered, if it was and if there is a branch for it.
    async fn publish(
        &self,
        mirror: &Mirror,
        deployment: &Revision,
        source: &Source,
        files: &[NewFile],
        progress: &impl Fn(String),
    ) -> Result<Published, GitError> {
        if files.is_empty() {
            return Ok(Published::Unchanged);
        }
        let parent = &deployment.commit.id;
        let name = source.reference.as_deref().unwrap_or(parent.as_str());
        let commit = NewCommit {
            parent,
            message: &format!("Deployment for commit {name}\n"),
            authored_at: source.time,
            committed_at: now_seconds(),
            files,
        };
        let commit = mirror.commit(&commit, self.budget);
        let (commit, branch) = tokio::try_join!(commit, self.branch(mirror, &deployment.origin))?;
        let names = files.iter().map(|file| file.name.as_str()).collect::<Vec<_>>().join(", ");
        let Some(branch) = branch else {
            progress(format!("rendered {names}; not committed, since the revision is no branch"));
            return Ok(Published::Unchanged);
        };
        oa_crash_points::crash_point!(BuilderCommitted);
        let pushed = mirror.push(&commit, parent, &branch, self.budget).await?;
        oa_crash_points::crash_point!(BuilderPushed);
        match pushed {
            Pushed::Done => {
                progress(format!(
                    "rendered {names}; pushed to branch {branch} as {}",
                    commit.short()
                ));
                Ok(Published::As(commit))
            }
            Pushed::Raced => {
                progress(format!("branch {branch} moved meanwhile; rendering again"));
                Ok(Published::Raced)
            }
        }
    }
}

fn tell(progress: &impl Fn(String), mirror: &Mirror, deployment: &Revision, source: &Source) {
    let origin = match &deployment.origin {
        Origin::Default => "default branch".to_owned(),
        Origin::Branch(name) => format!("branch {name}"),
        Origin::Tag(name) => format!("tag {name}"),
        Origin::Commit => "commit".to_owned(),
    };
    let of = match (&source.repository, &source.reference) {
        (Some(url), Some(commit)) => format!("; source {} at {commit}", url.as_written()),
        (_, Some(name)) => format!("; source {name}"),
        _ => String::new(),
    };
    progress(format!(
        "read {} at {} ({origin}){of}",
        mirror.url().as_written(),
        deployment.commit.id.short()
    ));
}

fn now_seconds() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}
