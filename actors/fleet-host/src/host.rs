//! The host: cluster, runners and API together.

use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use rustix::process::{Resource, Rlimit};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::api::Server;
use crate::cluster::Cluster;
use crate::config::{FleetHostConfig, StopUnits};
use crate::error::FleetHostError;
use crate::storage::HostStorage;

/// A running one-machine cluster.
///
/// Dropping it without [`FleetHost::stop`] is like a crash: the units go on, and the next host adopts them.
#[derive(Debug)]
pub struct FleetHost {
    cluster: Arc<Cluster>,
    server: Server,
    socket: PathBuf,
    /// Lets units go that waited for others.
    attending: JoinHandle<()>,
    /// Looks after the records of runs.
    metering: JoinHandle<()>,
    /// Held as long as this host works on its directory.
    _lock: File,
}

impl FleetHost {
    /// Reads the definitions, adopts what runs, starts what should run, and serves the API.
    ///
    /// Call this within a tokio runtime.
    ///
    /// # Errors
    ///
    /// [`FleetHostError`] if the directory or the socket cannot be used, or another host works in the directory.
    pub async fn start(config: FleetHostConfig) -> Result<Self, FleetHostError> {
        let unusable = |cause| FleetHostError::Directory { path: config.data_dir.clone(), cause };
        private_directory(&config.data_dir).map_err(unusable)?;
        let lock = lock(&config.data_dir).await?;
        let cluster = Arc::new(Cluster::open(&config)?);
        cluster.begin();
        let server = Server::start(&config.socket, Arc::clone(&cluster))?;
        let attending = tokio::spawn(Arc::clone(&cluster).attend());
        let metering = tokio::spawn(Arc::clone(&cluster.ledger).watch());
        Ok(Self { cluster, server, socket: config.socket, attending, metering, _lock: lock })
    }

    /// The socket of the API.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Whether its directory takes writes.
    #[must_use]
    pub fn storage(&self) -> Arc<HostStorage> {
        Arc::clone(self.cluster.storage())
    }

    /// Stops serving; the units are left running or stopped first.
    pub async fn stop(self, units: StopUnits) {
        self.cluster.close();
        self.server.stop().await;
        self.attending.abort();
        if units == StopUnits::Stop {
            self.cluster.halt_in_order().await;
        }
        self.cluster.runners().end(units).await;
    }
}

impl Drop for FleetHost {
    fn drop(&mut self) {
        self.cluster.close();
        self.metering.abort();
        self.server.abandon();
        self.attending.abort();
        self.cluster.runners().abandon();
    }
}

/// Makes a directory that only this user can enter.
pub(crate) fn private_directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Raises the number of files that this process may have open to the most that it may raise it to: each unit takes two.
/// Returns what it was before.
pub(crate) fn raise_open_files() -> u64 {
    let limit = rustix::process::getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(why) = rustix::process::setrlimit(Resource::Nofile, raised) {
        tracing::warn!("failed to raise the limit of open files: {why}");
    }
    limit.current.unwrap_or(u64::MAX)
}

/// Two hosts in one directory would each start the units of the other.
///
/// A program that was just being started when the last host ended holds its lock until it runs, so this tries for a
/// moment.
async fn lock(directory: &Path) -> Result<File, FleetHostError> {
    let unusable = |cause| FleetHostError::Directory { path: directory.to_path_buf(), cause };
    let path = directory.join("host.lock");
    let file = File::options().write(true).create(true).truncate(false).open(path);
    let file = file.map_err(unusable)?;
    for _ in 0..50 {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(file),
            Err(rustix::io::Errno::WOULDBLOCK) => sleep(Duration::from_millis(10)).await,
            Err(why) => return Err(unusable(why.into())),
        }
    }
    Err(FleetHostError::InUse { path: directory.to_path_buf() })
}
