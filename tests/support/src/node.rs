//! A real `oa-node` with its own data directory.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::service::free_ports;

/// How long a node may take until it is ready, on a machine that compiles beside it.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// The directory that holds this workspace's binaries, which `make test` builds first.
///
/// # Panics
///
/// If the running test does not lie in a cargo target directory.
#[must_use]
pub fn binaries() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own file");
    let directory = test.ancestors().find(|a| a.join("oa-node").is_file());
    directory.expect("`make test` builds oa-node before the tests").to_path_buf()
}

/// A data directory and the settings of the node that lives in it.
#[derive(Debug)]
pub struct NodeHome {
    directory: TempDir,
    program: PathBuf,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
}

impl Default for NodeHome {
    fn default() -> Self {
        Self::new()
    }
}

impl NodeHome {
    /// A fresh directory. Units run as root there if the test does, since a test owns its machine.
    ///
    /// # Panics
    ///
    /// If no temporary directory can be made.
    #[must_use]
    pub fn new() -> Self {
        let directory = TempDir::with_prefix("oa-test-node-").expect("a temporary directory");
        let program = binaries().join("oa-node");
        let home = Self { directory, program, arguments: Vec::new(), environment: Vec::new() };
        home.with_config("")
    }

    /// Adds `text` to the configuration, in front of the table of the embedded cluster.
    ///
    /// # Panics
    ///
    /// If the file cannot be written, or no ports are free.
    #[must_use]
    pub fn with_config(self, text: &str) -> Self {
        // Nodes of other tests run at the same time, so each gives its units ports of its own.
        let first_port = free_ports(8).expect("free ports");
        let cluster =
            format!("[cluster.local]\nallow_root_units = true\nfirst_port = {first_port}\n");
        std::fs::write(self.config_file(), format!("{text}\n{cluster}"))
            .expect("a writable directory");
        self
    }

    /// Starts another file from now on, such as a later release.
    #[must_use]
    pub fn with_program(mut self, program: PathBuf) -> Self {
        self.program = program;
        self
    }

    /// Adds a command-line argument.
    #[must_use]
    pub fn with_argument(mut self, argument: &str) -> Self {
        self.arguments.push(argument.to_owned());
        self
    }

    /// Adds an environment variable.
    #[must_use]
    pub fn with_environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The first port that units of this node get.
    ///
    /// # Panics
    ///
    /// If the configuration file is gone.
    #[must_use]
    pub fn first_port(&self) -> u16 {
        let text = std::fs::read_to_string(self.config_file()).expect("the configuration file");
        let port = text.lines().find_map(|line| line.strip_prefix("first_port = "));
        port.and_then(|port| port.parse().ok()).expect("the configuration names the first port")
    }

    /// The data directory.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// What the node printed on standard error, over all its starts.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    /// The command that starts the node, for tests that expect it to fail.
    #[must_use]
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(["--listen", "127.0.0.1:0", "--data-dir"])
            .arg(self.data())
            .arg("--config")
            .arg(self.config_file())
            .args(&self.arguments)
            .envs(self.environment.iter().map(|(name, value)| (name.as_str(), value.as_str())))
            .env("OA_LOG", "info")
            .stdin(Stdio::null());
        command
    }

    /// Starts the node and waits until it says that it is ready.
    ///
    /// # Panics
    ///
    /// With the node's log, if it is not ready in time.
    pub async fn start(&self) -> TestNode {
        match self.start_with(&[], &[]).await {
            Ok(node) => node,
            Err(status) => panic!("oa-node ended with {status}; its log:\n{}", self.log()),
        }
    }

    /// Starts the node with further arguments and variables; its status if it ends before it is ready.
    ///
    /// # Errors
    ///
    /// How it ended.
    ///
    /// # Panics
    ///
    /// With the node's log, if it is neither ready nor at its end in time.
    pub async fn start_with(
        &self,
        arguments: &[&str],
        environment: &[(&str, String)],
    ) -> Result<TestNode, ExitStatus> {
        let log =
            File::options().create(true).append(true).open(self.log_file()).expect("a log file");
        let mut command = self.command();
        command.args(arguments).envs(environment.iter().map(|(name, value)| (name, value)));
        command.stdout(Stdio::piped()).stderr(log).kill_on_drop(true);
        let mut child = command.spawn().expect("oa-node starts");
        let output = child.stdout.take().expect("standard output is piped");
        let mut lines = BufReader::new(output).lines();
        let ready = async {
            while let Ok(Some(line)) = lines.next_line().await {
                if let Some(url) = line.strip_prefix("ready ") {
                    return Some(url.to_owned());
                }
            }
            None
        };
        match tokio::time::timeout(READY_WITHIN, ready).await {
            Ok(Some(url)) => Ok(TestNode { child, url, data: self.data() }),
            Ok(None) => Err(child.wait().await.expect("its end can be awaited")),
            Err(_) => {
                panic!("oa-node was not ready within {READY_WITHIN:?}; its log:\n{}", self.log())
            }
        }
    }

    fn config_file(&self) -> PathBuf {
        self.directory.path().join("node.toml")
    }

    fn log_file(&self) -> PathBuf {
        self.directory.path().join("log")
    }
}

/// A running node.
#[derive(Debug)]
pub struct TestNode {
    child: Child,
    url: String,
    data: PathBuf,
}

impl TestNode {
    /// Where its REST API listens, such as `http://127.0.0.1:43210`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The admin token that the first start wrote.
    ///
    /// # Panics
    ///
    /// If there is none.
    #[must_use]
    pub fn token(&self) -> String {
        let file = self.data.join("admin-token");
        std::fs::read_to_string(file).expect("a started node has an admin token").trim().to_owned()
    }

    /// Its data directory.
    #[must_use]
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// Its process id.
    ///
    /// # Panics
    ///
    /// If it ended.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id().expect("the node runs")
    }

    /// Kills it as a power cut would, and waits until it is gone.
    pub async fn kill(mut self) {
        self.signal(Signal::KILL);
        let _status = self.child.wait().await;
    }

    /// Waits until it ends by itself, such as by a crash that a test planted.
    ///
    /// # Panics
    ///
    /// If its end cannot be awaited.
    pub async fn ended(&mut self) -> ExitStatus {
        self.child.wait().await.expect("its end can be awaited")
    }

    /// Asks it to drain and waits for its end.
    ///
    /// # Panics
    ///
    /// If it does not end within 30 seconds.
    pub async fn stop(mut self) -> ExitStatus {
        self.ask_to_stop();
        let ended = tokio::time::timeout(Duration::from_secs(30), self.child.wait()).await;
        ended.expect("a node drains in time").expect("its end can be awaited")
    }

    /// Asks it to drain, and does not wait.
    pub fn ask_to_stop(&self) {
        self.signal(Signal::TERM);
    }

    fn signal(&self, signal: Signal) {
        let id = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        if let Some(id) = id {
            let _already_gone = kill_process(id, signal);
        }
    }
}
