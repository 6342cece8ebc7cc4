//! Repositories made by the real `git`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// A bare repository, as a forge would keep it, and a work tree beside it to commit from.
#[derive(Debug)]
pub struct TestRepository {
    directory: TempDir,
}

impl TestRepository {
    /// Makes a repository with one commit on `main` that holds `files` (name, content).
    ///
    /// # Panics
    ///
    /// If git fails: nothing can be tested then.
    #[must_use]
    pub fn with_files(files: &[(&str, &str)]) -> Self {
        let directory = TempDir::with_prefix("oa-test-git-").expect("a temporary directory");
        let repository = Self { directory };
        repository.git_at(
            repository.directory.path(),
            &["init", "-q", "--bare", "--template=", "-b", "main", "bare.git"],
        );
        repository.git_at(
            repository.directory.path(),
            &["init", "-q", "--template=", "-b", "main", "work"],
        );
        repository.commit(files, "first");
        repository
    }

    /// A copy of both, which shares nothing with this one. Its work tree is one commit behind if somebody pushed.
    ///
    /// # Panics
    ///
    /// If the files cannot be copied.
    #[must_use]
    pub fn copy(&self) -> Self {
        let directory = TempDir::with_prefix("oa-test-git-").expect("a temporary directory");
        copy_tree(self.directory.path(), directory.path()).expect("a copy");
        Self { directory }
    }

    /// Path of the bare repository.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.directory.path().join("bare.git")
    }

    /// Writes `files`, commits them, pushes, and returns the commit.
    ///
    /// # Panics
    ///
    /// If git fails.
    pub fn commit(&self, files: &[(&str, &str)], message: &str) -> String {
        let work = self.work();
        for (name, content) in files {
            let file = work.join(name);
            fs::create_dir_all(file.parent().expect("a file lies in a directory"))
                .expect("a directory");
            fs::write(file, content).expect("a file");
        }
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "--allow-empty", "-m", message]);
        self.git(&["push", "-q", &self.path().display().to_string(), "HEAD:main"]);
        self.head()
    }

    /// The commit that the bare repository's `main` points to.
    ///
    /// # Panics
    ///
    /// If git fails.
    #[must_use]
    pub fn head(&self) -> String {
        let output = self.git_at(&self.path(), &["rev-parse", "main"]);
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// How many commits `main` has.
    ///
    /// # Panics
    ///
    /// If git fails.
    #[must_use]
    pub fn commits(&self) -> usize {
        let output = self.git_at(&self.path(), &["rev-list", "--count", "main"]);
        String::from_utf8_lossy(&output.stdout).trim().parse().expect("git counts commits")
    }

    /// The content of a file at `main`, if it is there.
    #[must_use]
    pub fn file(&self, name: &str) -> Option<String> {
        let output = run(&self.path(), &["show", &format!("main:{name}")]);
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// The work tree beside the bare repository.
    #[must_use]
    pub fn work(&self) -> PathBuf {
        self.directory.path().join("work")
    }

    /// Runs git in the work tree.
    ///
    /// # Panics
    ///
    /// If git fails.
    pub fn git(&self, arguments: &[&str]) -> Output {
        self.git_at(&self.work(), arguments)
    }

    fn git_at(&self, directory: &Path, arguments: &[&str]) -> Output {
        let output = run(directory, arguments);
        assert!(
            output.status.success(),
            "git {arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        output
    }
}

fn copy_tree(from: &Path, to: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            fs::create_dir(&target)?;
            copy_tree(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

fn run(directory: &Path, arguments: &[&str]) -> Output {
    Command::new("git")
        .args([
            "-c",
            "user.name=Test",
            "-c",
            "user.email=test@example.invalid",
            "-c",
            "commit.gpgsign=false",
        ])
        .args(arguments)
        .current_dir(directory)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()
        .expect("git is installed")
}
