//! One private server process: started, awaited, ended by its process id.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::Stdio;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::eventually::eventually;

/// Why the services are not there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServiceError {
    /// No command was given.
    #[error("nothing to run; usage: oa-test-services -- <command …>")]
    Usage,
    /// A package could not be installed.
    #[error(
        "{packages} missing and not installable from here; run: sudo apt-get install {packages}"
    )]
    Install {
        /// The packages.
        packages: String,
    },
    /// A server did not start.
    #[error("failed to start {service}")]
    Start {
        /// Which one.
        service: &'static str,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// A server started and did not answer in time.
    #[error("{service} did not accept connections on {address} within {waited:?}")]
    NotReady {
        /// Which one.
        service: &'static str,
        /// Where it should listen.
        address: SocketAddr,
        /// How long it had.
        waited: Duration,
    },
    /// The command could not be run.
    #[error("failed to run {program}")]
    Command {
        /// Which program.
        program: String,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
}

/// A port of the loopback address that is free now.
///
/// # Errors
///
/// The cause, if there is none.
pub fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// The first of `count` neighbouring ports that are all free now.
///
/// # Errors
///
/// The cause, if there are none.
pub fn free_ports(count: u16) -> std::io::Result<u16> {
    for _ in 0..100 {
        // The system's own choice, moved below the range from which it chooses, so that it is not given out again.
        let first = free_port()? / 2 + 2000;
        let all: std::io::Result<Vec<TcpListener>> = (first..first + count)
            .map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)))
            .collect();
        if all.is_ok() {
            return Ok(first);
        }
    }
    Err(std::io::Error::other("no neighbouring free ports"))
}

/// A running server process.
#[derive(Debug)]
pub struct Service {
    name: &'static str,
    child: Child,
}

impl Service {
    /// Starts `command` and waits until `port` of the loopback address accepts connections.
    ///
    /// # Errors
    ///
    /// [`ServiceError::Start`] or [`ServiceError::NotReady`].
    pub async fn start(
        name: &'static str,
        command: &mut Command,
        port: u16,
    ) -> Result<Self, ServiceError> {
        let child = command
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(|cause| ServiceError::Start { service: name, cause })?;
        let service = Self { name, child };
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let waited = Duration::from_secs(20);
        let ready =
            eventually(waited, || async move { TcpStream::connect(address).await.is_ok() }).await;
        if ready {
            Ok(service)
        } else {
            Err(ServiceError::NotReady { service: name, address, waited })
        }
    }

    /// Asks the process to end, waits, and kills it after five seconds.
    pub async fn stop(mut self) {
        let Some(id) = self
            .child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(rustix::process::Pid::from_raw)
        else {
            return;
        };
        let _already_gone = rustix::process::kill_process(id, rustix::process::Signal::TERM);
        if tokio::time::timeout(Duration::from_secs(5), self.child.wait()).await.is_err() {
            eprintln!("oa-test-services: {} did not end, killing it", self.name);
            let _already_gone = self.child.kill().await;
        }
    }
}
