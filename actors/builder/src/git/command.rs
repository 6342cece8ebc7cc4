//! Runs git: by argument vector, in a cleared environment, in its own process group, with a deadline.
//!
//! Nothing that lies on this machine changes what git does: no configuration of system or user, no variable of the
//! parent but a few (see [`super::environment`]), no hook, no helper, no prompt.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process_group, prlimit};
use secrecy::{ExposeSecret, SecretString};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio::time::{Instant, timeout_at};

use super::environment::{SETTINGS, environment, quote};
use super::error::{GitError, GitSetupError};
use super::url::{GitUrl, UrlRules};
use crate::config::BuilderConfig;

/// The oldest git that honours everything set here.
///
/// # Source
///
/// Git release notes 2.32: `GIT_CONFIG_GLOBAL` and `GIT_CONFIG_SYSTEM`.
const OLDEST: (u32, u32) = (2, 32);

/// Longest time that a step gets.
const LONGEST_STEP: Duration = Duration::from_secs(24 * 60 * 60);

/// Longest complaint that is kept.
const STDERR_LIMIT: usize = 64 << 10;

/// The git program with its rules. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Git {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    program: PathBuf,
    environment: Vec<(OsString, OsString)>,
    rules: UrlRules,
    https_tokens: BTreeMap<String, PathBuf>,
    file_limit_bytes: u64,
    author: String,
}

/// Until when a step may run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Budget {
    until: Instant,
    limit: Duration,
}

impl Budget {
    pub(crate) fn of(limit: Duration) -> Self {
        // A command may name any time; a clock cannot hold every one.
        let limit = limit.min(LONGEST_STEP);
        Self { until: Instant::now() + limit, limit }
    }

    /// Waits for `work`, at most until the end of the step.
    pub(crate) async fn bound<T>(
        self,
        command: &'static str,
        work: impl Future<Output = Result<T, GitError>>,
    ) -> Result<T, GitError> {
        match timeout_at(self.until, work).await {
            Ok(result) => result,
            Err(_) => Err(GitError::TimedOut { command, limit: self.limit }),
        }
    }
}

/// One run of git in the repository `directory`.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    pub(crate) command: &'static str,
    pub(crate) directory: &'a Path,
    pub(crate) arguments: Vec<OsString>,
    pub(crate) input: Vec<u8>,
    /// Bytes of output that are read at most.
    pub(crate) output_limit: usize,
    pub(crate) remote: Option<&'a GitUrl>,
}

impl<'a> Call<'a> {
    pub(crate) fn new(command: &'static str, directory: &'a Path) -> Self {
        Self {
            command,
            directory,
            arguments: Vec::new(),
            input: Vec::new(),
            output_limit: 1 << 20,
            remote: None,
        }
    }

    pub(crate) fn argument(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    /// Ends the options and names the repository.
    pub(crate) fn at(mut self, remote: &'a GitUrl) -> Self {
        self.remote = Some(remote);
        self.argument("--").argument(remote.location())
    }

    pub(crate) fn input(mut self, input: Vec<u8>) -> Self {
        self.input = input;
        self
    }
}

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Git {
    /// Finds the program and checks that it is new enough.
    ///
    /// # Errors
    ///
    /// [`GitSetupError`] if it is missing or too old.
    pub(crate) async fn open(config: &BuilderConfig) -> Result<Self, GitSetupError> {
        let program = config.git_program.clone();
        let environment = environment(config, std::env::vars_os());
        let output = Command::new(&program)
            .arg("version")
            .env_clear()
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .map_err(|cause| GitSetupError::Missing { program: program.clone(), cause })?;
        let answer = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        match version(&answer) {
            None => return Err(GitSetupError::Unreadable { program, answer }),
            Some(found) if found < OLDEST => return Err(GitSetupError::TooOld { found: answer }),
            Some(_) => {}
        }
        Ok(Self {
            inner: Arc::new(Inner {
                program,
                environment,
                rules: UrlRules {
                    default_host: config.git_host.clone(),
                    allow_local: config.allow_local_repositories,
                },
                https_tokens: config.https_tokens.clone(),
                file_limit_bytes: config.repository_limit_bytes,
                author: author(&config.author_name, &config.author_email),
            }),
        })
    }

    /// What may be fetched.
    pub(crate) fn rules(&self) -> &UrlRules {
        &self.inner.rules
    }

    /// `name <mail>` of those who commit here.
    pub(crate) fn author(&self) -> &str {
        &self.inner.author
    }

    pub(crate) fn file_limit_bytes(&self) -> u64 {
        self.inner.file_limit_bytes
    }

    /// Runs git to its end; a status other than 0 is for the caller to judge.
    pub(crate) async fn run(
        &self,
        mut call: Call<'_>,
        budget: Budget,
    ) -> Result<Outcome, GitError> {
        let command = call.command;
        let input = std::mem::take(&mut call.input);
        let running = self.start(&call)?;
        budget.bound(command, running.finish(command, &input, call.output_limit)).await
    }

    /// Starts git with piped input and output.
    pub(crate) fn start(&self, call: &Call<'_>) -> Result<Running, GitError> {
        let spawn = |cause| GitError::Spawn { command: call.command, cause };
        let mut command = Command::new(&self.inner.program);
        command.env_clear().envs(self.inner.environment.iter().map(|(name, value)| (name, value)));
        // Git finds the repository by this alone; a home of its own keeps the user's files out.
        command
            .env("GIT_DIR", call.directory)
            .env("HOME", call.directory)
            .env("XDG_CONFIG_HOME", call.directory);
        for setting in SETTINGS {
            command.arg("-c").arg(setting);
        }
        if self.inner.rules.allow_local {
            command.args(["-c", "protocol.file.allow=always"]);
        }
        if let Some((setting, header)) =
            call.remote.map_or(Ok(None), |url| self.authorization(url))?
        {
            // Every user of the machine can read the arguments of a program, but not its environment.
            command.env("GIT_CONFIG_COUNT", "1");
            command
                .env("GIT_CONFIG_KEY_0", setting)
                .env("GIT_CONFIG_VALUE_0", header.expose_secret());
        }
        command.arg(call.command);
        if let Some(option) = self.local_service(call) {
            command.arg(option);
        }
        command.args(&call.arguments).current_dir(call.directory);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.process_group(0).kill_on_drop(true).spawn().map_err(spawn)?;
        let group = ProcessGroup::of(&child);
        if let Some(Pid { .. }) = group.0 {
            let limit = Some(self.inner.file_limit_bytes);
            // What git starts inherits it. A kernel that refuses leaves the deadline as the only bound.
            let _ = prlimit(group.0, Resource::Fsize, Rlimit { current: limit, maximum: limit });
        }
        Ok(Running { group, child })
    }

    /// The setting that carries the token of this host, if it has one, and its value.
    fn authorization(&self, remote: &GitUrl) -> Result<Option<(String, SecretString)>, GitError> {
        let token =
            remote.https_host().and_then(|host| Some((host, self.inner.https_tokens.get(host)?)));
        let Some((host, path)) = token else { return Ok(None) };
        let token = std::fs::read_to_string(path).map_err(|cause| GitError::Token {
            host: host.to_owned(),
            path: path.clone(),
            cause,
        })?;
        let credentials = STANDARD.encode(format!("x-access-token:{}", token.trim()));
        let setting = format!("http.{}.extraHeader", remote.location());
        Ok(Some((setting, format!("Authorization: Basic {credentials}").into())))
    }

    /// The other side of a local transport is git too, but takes none of our settings: they are given here.
    ///
    /// The owner of the repository was checked by [`super::local`], so git need not refuse it.
    fn local_service(&self, call: &Call<'_>) -> Option<String> {
        call.remote?.local_path()?;
        let (option, service) = match call.command {
            "push" => ("--receive-pack", "receive-pack"),
            _ => ("--upload-pack", "upload-pack"),
        };
        let program = quote(&self.inner.program.to_string_lossy());
        Some(format!(
            "{option}={program} -c core.hooksPath=/dev/null -c core.fsmonitor=false -c gc.auto=0 \
             -c maintenance.auto=false -c receive.autogc=false -c 'safe.directory=*' {service}"
        ))
    }
}

/// A git that runs. Dropping it kills git and all that git started.
#[derive(Debug)]
pub(crate) struct Running {
    // Before the child: the group is killed while its leader is not reaped, so the number is still its own.
    group: ProcessGroup,
    pub(crate) child: Child,
}

impl Running {
    async fn finish(
        mut self,
        command: &'static str,
        input: &[u8],
        output_limit: usize,
    ) -> Result<Outcome, GitError> {
        let failed = |cause| GitError::Spawn { command, cause };
        let stdin = self.child.stdin.take();
        let (stdout, stderr) = (self.child.stdout.take(), self.child.stderr.take());
        let write = async {
            if let Some(mut stdin) = stdin {
                // Git that ends early closes the pipe; its status tells why.
                let _ = stdin.write_all(input).await;
            }
            Ok(())
        };
        let read = async {
            let (bytes, whole) = read_bounded(stdout, output_limit).await.map_err(failed)?;
            if whole {
                Ok(bytes)
            } else {
                Err(GitError::OutputTooLong { command, limit_bytes: output_limit })
            }
        };
        let complain = async {
            read_bounded(stderr, STDERR_LIMIT).await.map(|(bytes, _)| bytes).map_err(failed)
        };
        let ((), stdout, stderr) = tokio::try_join!(write, read, complain)?;
        let status = self.child.wait().await.map_err(failed)?;
        self.group.0 = None;
        Ok(Outcome { status, stdout, stderr: String::from_utf8_lossy(&stderr).into_owned() })
    }
}

/// Kills the group when dropped, unless it was disarmed.
#[derive(Debug)]
struct ProcessGroup(Option<Pid>);

impl ProcessGroup {
    fn of(child: &Child) -> Self {
        Self(child.id().and_then(|id| Pid::from_raw(id.cast_signed())))
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        if let Some(leader) = self.0 {
            // It may have ended by itself meanwhile.
            let _ = kill_process_group(leader, Signal::KILL);
        }
    }
}

/// Reads to the end, keeps the first `limit` bytes, and says whether that was all.
async fn read_bounded(
    reader: Option<impl AsyncRead + Unpin>,
    limit: usize,
) -> std::io::Result<(Vec<u8>, bool)> {
    let Some(mut reader) = reader else { return Ok((Vec::new(), true)) };
    let mut kept = Vec::new();
    (&mut reader).take(limit as u64).read_to_end(&mut kept).await?;
    // On the heap: the future that holds it is part of every larger one.
    let mut surplus = vec![0; 4096];
    let mut whole = true;
    // Read on, so that the writer is never stuck on a full pipe.
    while 0 < reader.read(&mut surplus).await? {
        whole = false;
    }
    Ok((kept, whole))
}

/// `name <mail>`, without what would end the field.
fn author(name: &str, email: &str) -> String {
    let clean = |text: &str| {
        text.chars().filter(|c| !c.is_control() && !"<>".contains(*c)).collect::<String>()
    };
    format!("{} <{}>", clean(name).trim(), clean(email).trim())
}

fn version(answer: &str) -> Option<(u32, u32)> {
    let mut numbers = answer.strip_prefix("git version ")?.split(['.', ' ']);
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_token_goes_to_its_host_only_and_never_into_arguments() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), "s3cret\n").expect("a token");
        let tokens = BTreeMap::from([("git.example".to_owned(), file.path().to_owned())]);
        let config = BuilderConfig { https_tokens: tokens, ..BuilderConfig::default() };
        let git = Git::open(&config).await.expect("git");
        let authorization = |text: &str| {
            let url = GitUrl::parse(text, git.rules()).expect(text);
            git.authorization(&url).expect("a readable token")
        };
        let (setting, header) = authorization("https://git.example/a/b").expect("a header");
        assert_eq!(setting, "http.https://git.example/a/b.extraHeader");
        assert_eq!(header.expose_secret(), "Authorization: Basic eC1hY2Nlc3MtdG9rZW46czNjcmV0");
        for text in ["org/name", "https://git.example.org/a/b", "ssh://git@git.example/a/b"] {
            assert!(authorization(text).is_none(), "{text}");
        }
    }

    #[test]
    fn versions_are_read() {
        assert_eq!(version("git version 2.47.3"), Some((2, 47)));
        assert_eq!(version("git version 2.39.2 (Apple Git-143)"), Some((2, 39)));
        assert_eq!(version("hg 1.0"), None);
    }

    #[tokio::test]
    async fn a_missing_program_is_said_with_what_to_install() {
        let config =
            BuilderConfig { git_program: "/no/such/git".into(), ..BuilderConfig::default() };
        let refusal = Git::open(&config).await.expect_err("no program");
        assert!(refusal.to_string().contains("install git"), "{refusal}");
    }

    #[tokio::test]
    async fn git_is_killed_with_all_it_started_when_its_time_is_over() {
        let directory = tempfile::tempdir().expect("a directory");
        let git = Git::open(&BuilderConfig::default()).await.expect("git");
        // Waits for input that never comes.
        let call = Call::new("hash-object", directory.path()).argument("--stdin");
        let running = git.start(&call).expect("git starts");
        let leader = running.group.0.expect("a process");
        drop(running);
        // The leader is reaped beside us; until then the signal still finds it as a dead process.
        let gone = async {
            while rustix::process::test_kill_process_group(leader).is_ok() {
                tokio::task::yield_now().await;
            }
        };
        timeout_at(Instant::now() + Duration::from_secs(10), gone)
            .await
            .expect("the group is gone");
    }
}
