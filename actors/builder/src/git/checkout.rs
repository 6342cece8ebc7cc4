//! Brings one revision of a repository onto this machine.
//!
//! A [`Mirror`] is a bare repository of its own in the directory of the attempt. Only the wanted revision is fetched,
//! without history where the transport allows; of a [source](Part::Commit) only the commit, where the server allows.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::budget::Budget;
use super::command::{Call, Git};
use super::complaint::{classify, tidy};
use super::error::GitError;
use super::local;
use super::objects::{Commit, Objects};
use super::reference::GitRef;
use super::url::GitUrl;

/// Where the fetched revision is kept.
const FETCHED: &str = "refs/openaperture/fetched";

/// How much of a revision is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// With all its files.
    Whole,
    /// The commit alone: its name and its time.
    Commit,
}

/// What a revision turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The remote's `HEAD`.
    Default,
    /// This branch.
    Branch(String),
    /// This tag.
    Tag(String),
    /// A commit by its name.
    Commit,
}

/// A revision that is here now.
#[derive(Debug)]
pub(crate) struct Fetched {
    pub(crate) origin: Origin,
    pub(crate) commit: Commit,
    /// Reads further objects of the same revision.
    pub(crate) objects: Objects,
}

/// A private bare repository that holds what was fetched from `url`.
#[derive(Debug)]
pub(crate) struct Mirror {
    git: Git,
    directory: PathBuf,
    url: GitUrl,
    part: Part,
}

impl Mirror {
    /// Makes an empty one in `directory`, which must not exist yet.
    pub(crate) fn create(
        git: &Git,
        directory: PathBuf,
        url: GitUrl,
        part: Part,
    ) -> Result<Self, GitError> {
        let real = url.local_path().map(local::check).transpose()?;
        let url = match real {
            Some(real) => url.resolved(real),
            None => url,
        };
        skeleton(&directory)
            .map_err(|cause| GitError::Workspace { path: directory.clone(), cause })?;
        Ok(Self { git: git.clone(), directory, url, part })
    }

    pub(crate) fn git(&self) -> &Git {
        &self.git
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    pub(crate) fn url(&self) -> &GitUrl {
        &self.url
    }

    /// Fetches `wanted`, or the remote's `HEAD`. A branch wins over a tag, a tag over the beginning of a commit's name.
    pub(crate) async fn fetch(
        &self,
        wanted: Option<&GitRef>,
        budget: Budget,
    ) -> Result<Fetched, GitError> {
        // It starts while the fetch is under way, and looks only when it is asked.
        let mut objects = Objects::open(self, budget)?;
        let origin = match wanted {
            None => self.fetch_one("HEAD", None, budget).await.map(|()| Origin::Default)?,
            Some(name) if name.as_str() == "HEAD" => {
                self.fetch_one("HEAD", None, budget).await.map(|()| Origin::Default)?
            }
            Some(name) if name.as_str().starts_with("refs/") => self
                .fetch_one(name.as_str(), wanted, budget)
                .await
                .map(|()| full_name(name.as_str()))?,
            Some(name) if name.is_full_hash() => self.fetch_commit(name, budget).await?,
            Some(name) => self.fetch_name(name, budget).await?,
        };
        match objects.commit(FETCHED).await? {
            Some(commit) => Ok(Fetched { origin, commit, objects }),
            None => Err(self.unknown(wanted)),
        }
    }

    async fn fetch_name(&self, name: &GitRef, budget: Budget) -> Result<Origin, GitError> {
        let branch = self.fetch_one(&format!("refs/heads/{name}"), Some(name), budget).await;
        match branch {
            Ok(()) => return Ok(Origin::Branch(name.to_string())),
            Err(refusal) if !refusal.is_unknown_ref() => return Err(refusal),
            Err(_) => {}
        }
        let tag = self.fetch_one(&format!("refs/tags/{name}"), Some(name), budget).await;
        match tag {
            Ok(()) => Ok(Origin::Tag(name.to_string())),
            Err(refusal) if refusal.is_unknown_ref() && name.may_be_short_hash() => {
                self.fetch_everything(name, budget).await
            }
            Err(refusal) => Err(refusal),
        }
    }

    /// A server may refuse to hand out a commit that no branch or tag points to; then its history is searched.
    async fn fetch_commit(&self, name: &GitRef, budget: Budget) -> Result<Origin, GitError> {
        match self.fetch_one(&name.as_str().to_ascii_lowercase(), Some(name), budget).await {
            Ok(()) => Ok(Origin::Commit),
            Err(refusal) if refusal.is_unknown_ref() => self.fetch_everything(name, budget).await,
            Err(refusal) => Err(refusal),
        }
    }

    async fn fetch_one(
        &self,
        source: &str,
        wanted: Option<&GitRef>,
        budget: Budget,
    ) -> Result<(), GitError> {
        let refspecs = [format!("+{source}:{FETCHED}")];
        match self.call_fetch(true, &refspecs, wanted, budget).await {
            // Plain files behind a web server have no way to leave history out.
            Err(GitError::Failed { why, .. }) if why.contains("does not support shallow") => {
                self.call_fetch(false, &refspecs, wanted, budget).await
            }
            result => result,
        }
    }

    async fn fetch_everything(&self, name: &GitRef, budget: Budget) -> Result<Origin, GitError> {
        let refspecs =
            ["+refs/heads/*:refs/openaperture/heads/*", "+refs/tags/*:refs/openaperture/tags/*"];
        self.call_fetch(false, &refspecs.map(String::from), Some(name), budget).await?;
        let mut objects = Objects::open(self, budget)?;
        let Some(commit) = objects.commit(name.as_str()).await? else {
            return Err(self.unknown(Some(name)));
        };
        let call = Call::new("update-ref", &self.directory)
            .argument("--")
            .argument(FETCHED)
            .argument(commit.id.as_str());
        let outcome = self.git.run(call, budget).await?;
        if !outcome.status.success() {
            return Err(GitError::Failed { command: "update-ref", why: tidy(&outcome.stderr) });
        }
        Ok(Origin::Commit)
    }

    async fn call_fetch(
        &self,
        shallow: bool,
        refspecs: &[String],
        wanted: Option<&GitRef>,
        budget: Budget,
    ) -> Result<(), GitError> {
        let mut call =
            Call::new("fetch", &self.directory).argument("--quiet").argument("--no-tags");
        call = call.argument("--no-write-fetch-head").argument("--no-auto-maintenance");
        if shallow {
            call = call.argument("--depth=1");
        }
        call = match self.part {
            Part::Commit if shallow => call.at_filtered(&self.url, "tree:0"),
            Part::Commit | Part::Whole => call.at(&self.url),
        };
        for refspec in refspecs {
            call = call.argument(refspec);
        }
        let outcome = self.git.run(call, budget).await?;
        if outcome.status.success() {
            return Ok(());
        }
        if is_beyond_limits(&outcome.stderr) {
            let limit_bytes = self.git.file_limit_bytes();
            return Err(GitError::TooLarge { repository: self.url.to_string(), limit_bytes });
        }
        Err(classify("fetch", &outcome.stderr, &self.url, wanted))
    }

    /// The branch that the remote's `HEAD` names.
    pub(crate) async fn default_branch(&self, budget: Budget) -> Result<Option<String>, GitError> {
        let call = Call::new("ls-remote", &self.directory)
            .argument("--symref")
            .at(&self.url)
            .argument("HEAD");
        let outcome = self.git.run(call, budget).await?;
        if !outcome.status.success() {
            return Err(classify("ls-remote", &outcome.stderr, &self.url, None));
        }
        let text = String::from_utf8_lossy(&outcome.stdout);
        let branch = text
            .lines()
            .find_map(|line| line.strip_prefix("ref: refs/heads/")?.strip_suffix("\tHEAD"));
        // What the remote says is checked like what a user says.
        Ok(branch.filter(|name| GitRef::parse(name).is_ok()).map(str::to_owned))
    }

    fn unknown(&self, wanted: Option<&GitRef>) -> GitError {
        let repository = self.url.to_string();
        match wanted {
            Some(reference) => {
                GitError::UnknownRef { repository, reference: reference.to_string() }
            }
            None => GitError::Empty { repository },
        }
    }
}

/// Whether git met the limits that it runs under, of a file or of memory.
fn is_beyond_limits(stderr: &str) -> bool {
    const TEXTS: [&str; 5] =
        ["signal 25", "File too large", "ut of memory", "mmap failed", "Cannot allocate memory"];
    // The program that takes the objects in is ended by the kernel: it says nothing itself.
    let mut fatal = stderr.lines().filter(|line| line.contains("fatal:"));
    let died = fatal.next().is_some_and(|line| line.contains("invalid index-pack output"))
        && fatal.next().is_none();
    died || TEXTS.iter().any(|text| stderr.contains(text))
}

fn full_name(name: &str) -> Origin {
    match (name.strip_prefix("refs/heads/"), name.strip_prefix("refs/tags/")) {
        (Some(branch), _) => Origin::Branch(branch.to_owned()),
        (_, Some(tag)) => Origin::Tag(tag.to_owned()),
        _ => Origin::Commit,
    }
}

/// What `git init --bare` makes, as far as git needs it.
///
/// # Source
///
/// gitrepository-layout(5).
fn skeleton(directory: &Path) -> io::Result<()> {
    fs::create_dir(directory)?;
    fs::create_dir(directory.join("objects"))?;
    fs::create_dir(directory.join("refs"))?;
    fs::write(directory.join("HEAD"), "ref: refs/heads/none\n")?;
    fs::write(directory.join("config"), "[core]\n\trepositoryformatversion = 0\n\tbare = true\n")
}
