//! Runs git: by argument vector, in a cleared environment, in its own process group, with a deadline.
//!
//! Nothing that lies on this machine changes what git does: no configuration of system or user, no variable of the
//! parent but a few (see [`super::environment`]), no hook, no helper, no prompt.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use secrecy::{ExposeSecret, SecretString};
use tokio::process::Command;

use super::budget::Budget;
use super::environment::{LOCAL_SERVICE_SETTINGS, SETTINGS, environment, quote};
use super::error::{GitError, GitSetupError};
use super::process::{Outcome, Programs, Running};
use super::url::{GitUrl, UrlRules};
use super::version;
use crate::config::BuilderConfig;

/// Address space that one git may use: enough for any repository within the limits, too little to harm the machine.
const MEMORY_LIMIT_BYTES: u64 = 2 << 30;

/// Name of a remote that is fetched from in part.
const FILTERED: &str = "filtered";

/// The git program with its rules, for one attempt. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Git {
    inner: Arc<Inner>,
    programs: Programs,
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
    /// Settings of this call alone.
    settings: Vec<String>,
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
            settings: Vec::new(),
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

    /// Ends the options and names the repository as one that keeps what `filter` leaves out.
    ///
    /// Git takes a filter only for a remote with a name and this promise.
    pub(crate) fn at_filtered(mut self, remote: &'a GitUrl, filter: &str) -> Self {
        self.remote = Some(remote);
        self.settings = vec![
            format!("remote.{FILTERED}.url={}", remote.location()),
            format!("remote.{FILTERED}.promisor=true"),
            format!("remote.{FILTERED}.partialCloneFilter={filter}"),
        ];
        self.argument(format!("--filter={filter}")).argument("--").argument(FILTERED)
    }

    pub(crate) fn input(mut self, input: Vec<u8>) -> Self {
        self.input = input;
        self
    }
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
        let mut command = Command::new(&program);
        command.env_clear().envs(environment.iter().map(|(name, value)| (name, value)));
        version::check(command).await?;
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
            programs: Programs::default(),
        })
    }

    /// The same git for an attempt of its own, whose programs can be waited for.
    pub(crate) fn for_attempt(&self) -> Self {
        Self { inner: Arc::clone(&self.inner), programs: Programs::default() }
    }

    /// What runs in this attempt.
    pub(crate) fn programs(&self) -> &Programs {
        &self.programs
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
        for setting in SETTINGS.into_iter().chain(call.settings.iter().map(String::as_str)) {
            command.arg("-c").arg(setting);
        }
        // Each call may speak the one protocol that its repository needs; a call without a repository none.
        let protocol = call.remote.map_or("none", GitUrl::protocol);
        command.arg("-c").arg(format!("protocol.{protocol}.allow=always"));
        command.env("GIT_ALLOW_PROTOCOL", protocol);
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
        let running = Running::new(child, &self.programs);
        self.limit(running.group());
        Ok(running)
    }

    /// Bounds what git may write and use; what git starts inherits it.
    fn limit(&self, leader: Option<Pid>) {
        let Some(leader) = leader else { return };
        for (resource, limit) in [
            (Resource::Fsize, self.inner.file_limit_bytes),
            (Resource::As, MEMORY_LIMIT_BYTES),
            (Resource::Core, 0),
        ] {
            let limit = Some(limit);
            // A kernel that refuses leaves the deadline as the only bound.
            let _ = prlimit(Some(leader), resource, Rlimit { current: limit, maximum: limit });
        }
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
        let settings =
            LOCAL_SERVICE_SETTINGS.map(|setting| format!("-c {}", quote(setting))).join(" ");
        Some(format!("{option}={program} {settings} {service}"))
    }
}

/// `name <mail>`, without what would end the field.
fn author(name: &str, email: &str) -> String {
    let clean = |text: &str| {
        text.chars().filter(|c| !c.is_control() && !"<>".contains(*c)).collect::<String>()
    };
    format!("{} <{}>", clean(name).trim(), clean(email).trim())
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
}
