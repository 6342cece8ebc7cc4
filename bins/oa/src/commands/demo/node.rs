//! The node of the demo: started, watched, stopped with its units.

use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use oa_api::{Client, local};
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::{sleep, timeout};

use super::place::{LOG, Place};
use crate::output::say;
use crate::problem::Problem;

/// On a machine that still compiles something else beside it.
const READY_WITHIN: Duration = Duration::from_secs(30);
/// The node drains for 10 s by default.
const STOPPED_WITHIN: Duration = Duration::from_secs(30);
const ASK_AGAIN: Duration = Duration::from_millis(20);
const USUAL_PORT: u16 = 4000;
const LOG_TAIL_LINES: usize = 25;

/// A running `oa-node`.
pub(super) struct Node {
    child: Child,
    ready: Option<Ready>,
}

/// The line on which the node says that it is ready.
pub(super) struct Ready {
    lines: Lines<BufReader<ChildStdout>>,
}

impl Node {
    /// Starts the node; it is not ready yet.
    pub(super) fn start(place: &Place) -> Result<Self, Problem> {
        Self::start_at(place, &free_address())
    }

    fn start_at(place: &Place, listen: &str) -> Result<Self, Problem> {
        let program = place.node_program();
        let failed = |cause: io::Error| {
            Problem::new(format!("{} cannot be started", program.display()), cause)
        };
        let log = File::options().create(true).append(true).open(place.log()).map_err(failed)?;
        let mut command = Command::new(program);
        command.arg("--data-dir").arg(place.data_dir()).args(["--listen", listen, "--stop-units"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
        // A Ctrl-C in the terminal is for this program, which then stops the node in order.
        command.process_group(0).kill_on_drop(true);
        for name in ["OA_CONFIG", "OA_URL", "OA_TOKEN", local::DATA_DIR_VARIABLE] {
            command.env_remove(name);
        }
        let mut child = command.spawn().map_err(failed)?;
        let ready =
            child.stdout.take().map(|stdout| Ready { lines: BufReader::new(stdout).lines() });
        Ok(Self { child, ready })
    }

    /// What to wait for before the first request.
    pub(super) fn take_ready(&mut self) -> Ready {
        self.ready.take().expect("standard output is piped, and it is taken once")
    }

    /// Resolves if the node ends, which it should not.
    pub(super) async fn ended(&mut self) -> Problem {
        match self.child.wait().await {
            Ok(status) => Problem::new("the node ended by itself", status),
            Err(cause) => Problem::new("the node cannot be watched", cause),
        }
    }

    /// Stops the node and its units: in order if it can, by force if it must.
    pub(super) async fn stop(mut self, place: &Place) -> Result<(), Problem> {
        if self.end().await.is_some_and(|status| status.success()) {
            return Ok(());
        }
        if !place.data_dir().join(local::ADMIN_TOKEN_FILE).exists() {
            // It never came so far that it could have started a unit.
            return Ok(());
        }
        // Units outlive a node that died; the next one adopts them and stops them with itself.
        let mut next = Self::start_at(place, "127.0.0.1:0")?;
        let adopted = next.take_ready().wait().await;
        let stopped = next.end().await;
        adopted?;
        match stopped {
            Some(status) if status.success() => Ok(()),
            _ => Err(Problem::new(
                "units of the demo may still run",
                "the node could not be stopped in order",
            )),
        }
    }

    /// Asks the node to end and waits for it, then insists. `None` if it had to be killed.
    async fn end(&mut self) -> Option<ExitStatus> {
        if let Ok(Some(status)) = self.child.try_wait() {
            return Some(status);
        }
        let id = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        if let Some(id) = id {
            // Only fails if it is gone, which the wait below sees.
            let _ = kill_process(id, Signal::TERM);
        }
        if let Ok(ended) = timeout(STOPPED_WITHIN, self.child.wait()).await {
            return ended.ok();
        }
        let _ = self.child.kill().await;
        None
    }
}

impl Ready {
    /// Waits for the line and returns the URL on it.
    pub(super) async fn wait(mut self) -> Result<String, Problem> {
        let what = "the node did not become ready";
        let url = timeout(READY_WITHIN, async {
            while let Some(line) = self.lines.next_line().await? {
                if let Some(url) = line.strip_prefix("ready ") {
                    return Ok(Some(url.to_owned()));
                }
            }
            Ok::<_, io::Error>(None)
        });
        match url.await {
            Ok(Ok(Some(url))) => {
                // A full pipe would stop the node.
                tokio::spawn(
                    async move { while let Ok(Some(_)) = self.lines.next_line().await {} },
                );
                Ok(url)
            }
            Ok(Ok(None)) => Err(Problem::new(what, "it ended before")),
            Ok(Err(cause)) => Err(Problem::new(what, cause)),
            Err(_) => {
                Err(Problem::new(what, format!("nothing was heard of it for {READY_WITHIN:?}")))
            }
        }
    }
}

/// Asks `/readyz` until it says yes.
pub(super) async fn wait_until_it_takes_work(client: &Client) -> Result<(), Problem> {
    let ready = async {
        while let Err(error) = client.ready().await {
            if !error.is_retryable() {
                return Err(Problem::client("the node does not take work", &error));
            }
            sleep(ASK_AGAIN).await;
        }
        Ok(())
    };
    timeout(READY_WITHIN, ready).await.unwrap_or_else(|_| {
        Err(Problem::new(
            "the node does not take work",
            format!("not ready after {READY_WITHIN:?}"),
        ))
    })
}

/// The usual address, or one that the node picks if somebody has that.
fn free_address() -> String {
    match TcpListener::bind((Ipv4Addr::LOCALHOST, USUAL_PORT)) {
        Ok(_) => local::DEFAULT_LISTEN.to_owned(),
        Err(_) => {
            say(format_args!("port {USUAL_PORT} is taken, so a free one is used"));
            "127.0.0.1:0".to_owned()
        }
    }
}

/// Prints the end of the node's log.
pub(super) fn print_log_tail(directory: &Path) {
    let log = directory.join(LOG);
    let Ok(bytes) = fs::read(&log) else { return };
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    let from = lines.len().saturating_sub(LOG_TAIL_LINES);
    say(format_args!("--- the last of {}", log.display()));
    for line in &lines[from..] {
        say(format_args!("{line}"));
    }
    say(format_args!("---"));
}
