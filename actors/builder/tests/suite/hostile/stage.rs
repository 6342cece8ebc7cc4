//! Where a case is played: a repository, what lies around it, and who watches.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use oa_builder::BuilderConfig;
use oa_protocol::build::ConfigCommand;
use oa_test_services::git::TestRepository;
use serde_json::Value;
use tempfile::TempDir;

use super::Expected;
use crate::support::{ETCD, UNIT, Workshop, command, deployment, program, source};

/// What nobody may ever read; it lies in files around the repository.
const SECRET: &str = "c4n4ry-s3cr3t";

/// Programs that may run: git, what it reaches a repository of this machine with, and what stands in for a setting.
const MAY_RUN: [&str; 3] = ["git", "sh", "true"];

/// Made once; every stage has copies of its own.
static DEPLOYMENT: LazyLock<TestRepository> = LazyLock::new(deployment);
static SOURCE: LazyLock<TestRepository> = LazyLock::new(source);

/// An entry of a tree: mode, name, object.
pub(crate) type Entry<'a> = (&'a str, &'a [u8], String);

/// A deployment repository that a case makes hostile.
pub(crate) struct Stage {
    place: TempDir,
    pub(crate) deployment: TestRepository,
    pub(crate) source: TestRepository,
}

impl Stage {
    pub(crate) fn new() -> Self {
        let place = tempfile::tempdir().expect("a directory");
        let stage = Self { place, deployment: DEPLOYMENT.copy(), source: SOURCE.copy() };
        make_parent(&stage.secret());
        fs::write(stage.secret(), format!("{{\"token\": \"{SECRET}\"}}\n")).expect("a secret");
        fs::write(stage.victim(), "untouched\n").expect("a victim");
        program(&stage.evil(), &stage.canary());
        stage
    }

    /// A file that holds a secret.
    pub(crate) fn secret(&self) -> PathBuf {
        self.place.path().join("outside/secret")
    }

    /// A file that someone might want to overwrite.
    pub(crate) fn victim(&self) -> PathBuf {
        self.place.path().join("outside/victim")
    }

    /// A program that sings when it runs.
    pub(crate) fn evil(&self) -> PathBuf {
        self.place.path().join("outside/evil")
    }

    /// What the program leaves behind.
    pub(crate) fn canary(&self) -> PathBuf {
        self.place.path().join("canary")
    }

    pub(crate) fn command(&self) -> ConfigCommand {
        command(&self.deployment, &self.source)
    }

    /// Runs git on the bare repository with `input`; its answer.
    pub(crate) fn git(&self, arguments: &[&str], input: &[u8]) -> String {
        let mut git = Command::new("git");
        git.args(["-c", "user.name=Eve", "-c", "user.email=eve@example.invalid", "--git-dir"]);
        git.arg(self.deployment.path()).args(arguments).current_dir(self.place.path());
        git.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
        git.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = git.spawn().expect("git is installed");
        child.stdin.take().expect("piped").write_all(input).expect("git reads");
        let output = child.wait_with_output().expect("git ends");
        assert!(
            output.status.success(),
            "{arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    pub(crate) fn blob(&self, content: &[u8]) -> String {
        self.git(&["hash-object", "-w", "--stdin"], content)
    }

    /// A file of the tree.
    pub(crate) fn file<'a>(&self, name: &'a str, content: impl AsRef<[u8]>) -> Entry<'a> {
        ("100644", name.as_bytes(), self.blob(content.as_ref()))
    }

    /// A symbolic link of the tree.
    pub(crate) fn link<'a>(&self, name: &'a str, target: impl AsRef<Path>) -> Entry<'a> {
        ("120000", name.as_bytes(), self.blob(target.as_ref().as_os_str().as_bytes()))
    }

    /// An object of any content, also one that git would not make.
    pub(crate) fn literal(&self, kind: &str, content: &[u8]) -> String {
        self.git(&["hash-object", "-t", kind, "-w", "--stdin", "--literally"], content)
    }

    /// A tree of these entries in this order, whatever they are.
    pub(crate) fn tree(&self, entries: &[Entry<'_>]) -> String {
        let mut bytes = Vec::new();
        for (mode, name, object) in entries {
            bytes.extend_from_slice(mode.as_bytes());
            bytes.push(b' ');
            bytes.extend_from_slice(name);
            bytes.push(0);
            for at in (0..object.len()).step_by(2) {
                bytes.push(u8::from_str_radix(&object[at..at + 2], 16).expect("hex"));
            }
        }
        self.literal("tree", &bytes)
    }

    /// What every repository has, with `entries` added or put in the place of others, in git's order.
    pub(crate) fn whole(&self, entries: Vec<Entry<'_>>) -> String {
        let mut all: Vec<Entry<'_>> =
            vec![self.file("app@.service.eex", UNIT), self.file("etcd.json", ETCD)];
        all.retain(|(_, name, _)| entries.iter().all(|(_, other, _)| name != other));
        all.extend(entries);
        let key = |(mode, name, _): &Entry<'_>| {
            let end: &[u8] = if *mode == "40000" { b"/" } else { b"" };
            [*name, end].concat()
        };
        all.sort_by_key(key);
        self.tree(&all)
    }

    /// Makes a commit of [`whole`](Self::whole) the branch `main`.
    pub(crate) fn commit(&self, entries: Vec<Entry<'_>>) -> String {
        let tree = self.whole(entries);
        self.commit_tree(&tree)
    }

    pub(crate) fn commit_tree(&self, tree: &str) -> String {
        let commit = self.git(&["commit-tree", "-m", "hostile", tree], b"");
        self.point_at("refs/heads/main", &commit);
        commit
    }

    /// Makes `main` a commit with a file that lies in that many directories.
    pub(crate) fn deep(&self, levels: usize) {
        let base = self.deployment.head();
        let path = format!("{}x", "d/".repeat(levels));
        let stream = format!(
            "commit refs/heads/main\ncommitter Eve <eve@example.invalid> 1 +0000\ndata 1\nx\nfrom {base}\n\
             M 100644 inline {path}\ndata 1\nx\n"
        );
        self.git(&["-c", "core.maxTreeDepth=100000", "fast-import", "--quiet"], stream.as_bytes());
    }

    /// Writes a ref as a file, whatever it is.
    pub(crate) fn point_at(&self, name: &str, content: &str) {
        let file = self.deployment.path().join(name);
        make_parent(&file);
        fs::write(file, format!("{content}\n")).expect("a ref");
    }

    /// Appends to the configuration of the bare repository.
    pub(crate) fn configure(&self, text: &str) {
        let file = self.deployment.path().join("config");
        let before = fs::read_to_string(&file).expect("a configuration");
        fs::write(file, format!("{before}{text}")).expect("a configuration");
    }

    /// Runs the milestone and looks at everything that it may have done.
    pub(crate) async fn play(
        &self,
        command: &ConfigCommand,
        expected: Expected,
        configure: fn(&mut BuilderConfig),
    ) -> Result<(), String> {
        let (trace, git) = (self.place.path().join("trace"), self.place.path().join("git"));
        fs::create_dir(&trace).map_err(|why| why.to_string())?;
        let script = format!("#!/bin/sh\nGIT_TRACE2_EVENT={} exec git \"$@\"\n", trace.display());
        crate::support::executable(&git, &script);
        let workshop = Workshop::with(|config| {
            config.git_program = git;
            configure(config);
        })
        .await;
        let before = self.snapshot();

        let result = workshop.run(command).await;

        let told = workshop.told.borrow().join("\n");
        let said = match &result {
            Ok(output) => format!("{told}\n{output:?}"),
            Err(error) => format!("{told}\n{:?}", error.to_failure()),
        };
        self.check_traces(&trace, &said, expected, &before)?;
        match (expected, result) {
            (Expected::Harmless { pushed }, Ok(output)) if output.pushed == pushed => Ok(()),
            (Expected::Refused(_) | Expected::NotTaken, Err(error)) => {
                let words: &[&str] = match expected {
                    Expected::Refused(words) => words,
                    _ => &["did not take the commit for `main`"],
                };
                let failure = error.to_failure();
                if failure.retryable {
                    return Err(format!("another attempt cannot help: {failure:?}"));
                }
                if failure.message.chars().any(char::is_control) {
                    return Err(format!("{failure:?} holds a control character"));
                }
                let missing = words.iter().find(|word| !failure.message.contains(**word));
                missing.map_or(Ok(()), |word| Err(format!("`{word}` is not in {failure:?}")))
            }
            (expected, result) => Err(format!("expected {expected:?}, got {result:?}")),
        }
    }

    fn check_traces(
        &self,
        trace: &Path,
        said: &str,
        expected: Expected,
        before: &BTreeMap<PathBuf, Vec<u8>>,
    ) -> Result<(), String> {
        if self.canary().exists() {
            return Err("the canary sang: a program of the repository ran".into());
        }
        if let Some(stranger) = programs(trace)
            .into_iter()
            .find(|program| !MAY_RUN.contains(&program.rsplit('/').next().unwrap_or(program)))
        {
            return Err(format!("`{stranger}` ran"));
        }
        let objects = ["cat-file", "--batch-all-objects", "--batch", "--buffer"];
        let kept = matches!(expected, Expected::Harmless { pushed: true })
            .then(|| self.git(&objects, b""))
            .unwrap_or_default();
        if said.contains(SECRET) || kept.contains(SECRET) {
            return Err(format!("the secret came out: {said}"));
        }
        let after = self.snapshot();
        let taken = matches!(expected, Expected::Harmless { pushed: true });
        let (objects, main) = (self.deployment.path().join("objects"), "refs/heads/main");
        let may_change = |path: &Path| {
            (taken && path == self.deployment.path().join(main))
                || ((taken || matches!(expected, Expected::NotTaken)) && path.starts_with(&objects))
        };
        let names = before.keys().chain(after.keys());
        let changed = names.filter(|path| before.get(*path) != after.get(*path));
        match changed.into_iter().find(|path| !may_change(path)) {
            Some(path) => Err(format!("{} changed", path.display())),
            None => Ok(()),
        }
    }

    /// All that lies around the attempt: the files outside, and both repositories.
    fn snapshot(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut files = BTreeMap::new();
        let outside = self.place.path().join("outside");
        for root in [outside, self.deployment.path(), self.source.path()] {
            collect(&root, &mut files);
        }
        files
    }
}

/// Every file below `directory`: the content of small ones, the size of large ones.
fn collect(directory: &Path, files: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in fs::read_dir(directory).expect("readable").flatten() {
        let (path, kind) = (entry.path(), entry.file_type().expect("a kind"));
        if kind.is_dir() {
            collect(&path, files);
            continue;
        }
        let size = entry.metadata().map_or(0, |found| found.len());
        let content = if kind.is_symlink() {
            fs::read_link(&path).expect("a link").into_os_string().into_encoded_bytes()
        } else if size < 1 << 16 {
            fs::read(&path).expect("a file")
        } else {
            size.to_be_bytes().to_vec()
        };
        files.insert(path, content);
    }
}

/// Every program that a git started, by git's own account of it; hooks, helpers and pagers are among them.
fn programs(trace: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(trace).expect("the account of git").flatten() {
        let text = fs::read_to_string(entry.path()).expect("an account");
        for line in text.lines() {
            let event: Value = serde_json::from_str(line).unwrap_or_default();
            if !matches!(event["event"].as_str(), Some("child_start" | "exec")) {
                continue;
            }
            if event["child_class"] == "hook" {
                found.push(format!("hook {}", event["hook_name"]));
                continue;
            }
            let word = event["argv"][0].as_str().or(event["exe"].as_str()).unwrap_or("?");
            // With `use_shell`, git hands the whole line to `sh`.
            found.push(word.split(' ').next().unwrap_or(word).trim_matches('\'').to_owned());
        }
    }
    found
}

fn make_parent(path: &Path) {
    fs::create_dir_all(path.parent().expect("it lies in a directory")).expect("a directory");
}
