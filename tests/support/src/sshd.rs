//! A private ssh server, so that git over ssh is tested against the real one.

use std::fs;
use std::path::PathBuf;
use std::process::Stdio;

use tempfile::TempDir;
use tokio::process::Command;

use crate::service::{Service, ServiceError, free_port};

const NAME: &str = "sshd";
const PORT: &str = "OA_TEST_SSH_PORT";
const IDENTITY: &str = "OA_TEST_SSH_IDENTITY";
const KNOWN_HOSTS: &str = "OA_TEST_SSH_KNOWN_HOSTS";

/// The server that the runner starts.
#[derive(Debug)]
pub struct SshServer {
    service: Service,
    directory: TempDir,
    port: u16,
}

impl SshServer {
    /// Makes keys, writes a configuration and starts `sshd` for the user of this process.
    ///
    /// # Errors
    ///
    /// [`ServiceError`] if a key or the server could not be made.
    pub async fn start() -> Result<Self, ServiceError> {
        let start = |cause| ServiceError::Start { service: NAME, cause };
        let directory = TempDir::with_prefix("oa-test-sshd-").map_err(start)?;
        let port = free_port().map_err(start)?;
        make_key(directory.path().join("host_key")).await?;
        make_key(directory.path().join("identity")).await?;
        let at = |name: &str| directory.path().join(name);
        fs::copy(at("identity.pub"), at("authorized_keys")).map_err(start)?;
        let host_key = fs::read_to_string(at("host_key.pub")).map_err(start)?;
        fs::write(at("known_hosts"), format!("[127.0.0.1]:{port} {host_key}")).map_err(start)?;
        fs::write(at("sshd_config"), configuration(&directory, port)).map_err(start)?;
        // sshd demands this directory for its privilege separation when it runs as root.
        if rustix::process::geteuid().is_root() {
            fs::create_dir_all("/run/sshd").map_err(start)?;
        }
        let mut command = Command::new("/usr/sbin/sshd");
        command.arg("-D").arg("-e").arg("-f").arg(at("sshd_config"));
        let log = fs::File::create(at("log")).map_err(start)?;
        command.stdout(Stdio::null()).stderr(log);
        let service = Service::start(NAME, &mut command, port).await?;
        Ok(Self { service, directory, port })
    }

    /// What tests read back with [`SshAccess::from_environment`].
    #[must_use]
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let at = |name: &str| self.directory.path().join(name).display().to_string();
        vec![
            (PORT, self.port.to_string()),
            (IDENTITY, at("identity")),
            (KNOWN_HOSTS, at("known_hosts")),
        ]
    }

    /// Ends the server and removes its directory.
    pub async fn stop(self) {
        self.service.stop().await;
    }
}

fn configuration(directory: &TempDir, port: u16) -> String {
    let at = |name: &str| directory.path().join(name).display().to_string();
    format!(
        "ListenAddress 127.0.0.1:{port}\nHostKey {}\nPidFile {}\nAuthorizedKeysFile {}\nStrictModes no\n\
         PasswordAuthentication no\nKbdInteractiveAuthentication no\nUsePAM no\nPermitRootLogin prohibit-password\n",
        at("host_key"),
        at("pid"),
        at("authorized_keys"),
    )
}

async fn make_key(path: PathBuf) -> Result<(), ServiceError> {
    let start = |cause| ServiceError::Start { service: NAME, cause };
    let status = Command::new("/usr/bin/ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(path)
        .stdin(Stdio::null())
        .status()
        .await
        .map_err(start)?;
    if status.success() { Ok(()) } else { Err(start(std::io::Error::other("ssh-keygen failed"))) }
}

/// How a test reaches the server.
#[derive(Debug, Clone)]
pub struct SshAccess {
    /// Port on 127.0.0.1.
    pub port: u16,
    /// Private key that is let in.
    pub identity: PathBuf,
    /// File with the server's host key.
    pub known_hosts: PathBuf,
}

impl SshAccess {
    /// Reads what the runner passed.
    ///
    /// # Panics
    ///
    /// Without the runner: a green run always had a server.
    #[must_use]
    pub fn from_environment() -> Self {
        let read =
            |name| std::env::var(name).expect("run through `make test`, which starts the services");
        Self {
            port: read(PORT).parse().expect("the runner passes a port"),
            identity: read(IDENTITY).into(),
            known_hosts: read(KNOWN_HOSTS).into(),
        }
    }
}
