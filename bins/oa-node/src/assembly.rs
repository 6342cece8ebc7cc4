//! Puts the components of this node together.
//!
//! ```text
//! data directory ─► databases, embedded cluster ─► transport, post office ─► components
//! ```
//!
//! The only place that names a concrete transport.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusHandle;
use oa_fleet::{Engine, Engines, EtcdToken, FleetClient};
use oa_fleet_host::{FleetHost, FleetHostConfig, KeeperProgram, StopUnits};
use oa_manager::{Health, Trouble};
use oa_runtime::{Actor, ChildSpec, PostOffice, System, Transport};
use oa_store::{NewCluster, Store, StoreConfig};
use oa_transport_memory::MemoryTransport;
use oa_worker_journal::WorkerJournal;

use crate::config::{Component, Config};
use crate::data_dir::DataDir;
use crate::error::NodeError;

/// How long a component may take until its first start is done.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// Everything that runs on this node.
pub(crate) struct Assembly {
    pub(crate) system: System,
    /// Where the REST API listens, if this node hosts the Manager.
    pub(crate) address: Option<SocketAddr>,
    store: Option<Store>,
    journals: Vec<WorkerJournal>,
    health: Health,
    fleet_host: Option<FleetHost>,
    stop_units: StopUnits,
    drain: Duration,
}

impl Assembly {
    /// Starts everything that the configuration names.
    pub(crate) async fn start(
        config: &Config,
        data: &DataDir,
        metrics: PrometheusHandle,
    ) -> Result<Self, NodeError> {
        let system = System::builder("oa").arbiters(2).build();
        let transport: Arc<dyn Transport> = Arc::new(MemoryTransport::new());
        let post_office =
            PostOffice::new(&system, &config.node.name, &config.node.exchange, transport);
        let units = &config.cluster.local;
        let mut assembly = Self {
            system,
            address: None,
            store: None,
            journals: Vec::new(),
            health: Health::default(),
            fleet_host: None,
            stop_units: if units.stop_units { StopUnits::Stop } else { StopUnits::Leave },
            drain: config.node.drain,
        };
        match assembly.start_parts(config, data, &post_office, metrics).await {
            Ok(()) => Ok(assembly),
            Err(why) => {
                // Whatever was started already ends in order, so that the next start finds everything free.
                assembly.stop().await;
                Err(why)
            }
        }
    }

    async fn start_parts(
        &mut self,
        config: &Config,
        data: &DataDir,
        post_office: &PostOffice,
        metrics: PrometheusHandle,
    ) -> Result<(), NodeError> {
        let engines = self.start_cluster(config, data).await?;
        oa_crash_points::crash_point!(NodeClusterStarted);
        if config.hosts(Component::Manager) {
            self.start_management(config, data, post_office, metrics).await?;
        }
        self.start_workers(config, data, post_office, &engines).await?;
        self.start_watchers(config, post_office, engines).await
    }

    /// The embedded cluster, where something of this node can use it.
    async fn start_cluster(
        &mut self,
        config: &Config,
        data: &DataDir,
    ) -> Result<Engines, NodeError> {
        const USERS: [Component; 3] =
            [Component::Deployer, Component::DeployerOa, Component::FleetManager];
        if !USERS.iter().any(|component| config.hosts(*component)) {
            return Ok(Engines::default());
        }
        let directory = data.inner("fleet")?;
        let socket = directory.join("fleet.sock");
        // Not by its path: when a new release is put there, this node still starts keepers of its own.
        let program = "/proc/self/exe".into();
        let host = FleetHost::start(FleetHostConfig {
            data_dir: directory,
            socket: socket.clone(),
            keeper: KeeperProgram { program, arguments: vec!["unit-keeper".into()] },
            allow_root_units: config.cluster.local.allow_root_units,
            primary_ip: "127.0.0.1".into(),
            log_limit_bytes: config.cluster.local.log_limit_bytes,
            keeper_patience: oa_fleet_host::KEEPER_PATIENCE,
        })
        .await
        .map_err(|cause| NodeError::part("embedded cluster", cause))?;
        let storage = host.storage();
        self.health.watch(move || {
            let trouble = storage.trouble()?;
            Some(Trouble {
                part: "embedded cluster".to_owned(),
                code: trouble.code.to_owned(),
                message: trouble.message,
                hint: trouble.hint,
            })
        });
        self.fleet_host = Some(host);
        let client = FleetClient::unix(socket)
            .map_err(|cause| NodeError::part("client of the embedded cluster", cause))?;
        let engine: Arc<dyn Engine> = Arc::new(client);
        Ok(Engines::new([(local_token()?, engine)]))
    }

    /// Manager and WorkflowOrchestrator share the store.
    async fn start_management(
        &mut self,
        config: &Config,
        data: &DataDir,
        post_office: &PostOffice,
        metrics: PrometheusHandle,
    ) -> Result<(), NodeError> {
        let mut settings = StoreConfig::new(data.path().join("store.db"), &config.node.name);
        settings.first_port = config.cluster.local.first_port;
        let store = Store::open(&settings).await;
        let store = store.map_err(|cause| NodeError::part("database", cause))?;
        self.store = Some(store.clone());
        let mut local = NewCluster::new(local_token()?);
        local.name = Some("this machine".into());
        let seeded = store.clusters().ensure(local).await;
        seeded.map_err(|cause| NodeError::part("record of the embedded cluster", cause))?;
        let orchestrator = oa_workflow_orchestrator::OrchestratorArgs {
            store: store.clone(),
            post_office: post_office.clone(),
        };
        self.spawn("workflow orchestrator", oa_workflow_orchestrator::child_spec(orchestrator))
            .await?;
        let manager = oa_manager::ManagerArgs::new(
            config.manager.clone(),
            data.path(),
            store,
            post_office.clone(),
        )
        .prometheus(metrics)
        .health(self.health.clone());
        let address = manager.address();
        self.spawn("manager", oa_manager::child_spec(manager)).await?;
        self.address = *address.borrow();
        Ok(())
    }

    async fn start_workers(
        &mut self,
        config: &Config,
        data: &DataDir,
        post_office: &PostOffice,
        engines: &Engines,
    ) -> Result<(), NodeError> {
        if config.hosts(Component::Builder) {
            let journal = self.journal(config, data, "builder.db").await?;
            let builder = config.builder.clone();
            let spec = oa_builder::child_spec(builder, post_office.clone(), journal);
            self.spawn("builder", spec).await?;
        }
        let (office, engines) = (post_office.clone(), engines.clone());
        if config.hosts(Component::Deployer) {
            let journal = self.journal(config, data, "deployer.db").await?;
            let settings = config.deployer.clone();
            let spec = oa_deployer::deployer(settings, office.clone(), journal, engines.clone());
            self.spawn("deployer", spec).await?;
        }
        if config.hosts(Component::DeployerOa) {
            let journal = self.journal(config, data, "deployer-oa.db").await?;
            let settings = config.deployer.clone();
            let spec = oa_deployer::deployer_oa(settings, office, journal, engines);
            self.spawn("deployer_oa", spec).await?;
        }
        Ok(())
    }

    async fn start_watchers(
        &mut self,
        config: &Config,
        post_office: &PostOffice,
        engines: Engines,
    ) -> Result<(), NodeError> {
        if config.hosts(Component::FleetManager) {
            let args = oa_fleet_manager::FleetManagerArgs {
                engines,
                post_office: post_office.clone(),
                config: config.fleet_manager.clone(),
            };
            self.spawn("fleet manager", oa_fleet_manager::child_spec(args)).await?;
        }
        if config.hosts(Component::Overseer) {
            let args = oa_overseer::OverseerArgs { post_office: post_office.clone() };
            self.spawn("overseer", oa_overseer::child_spec(args)).await?;
        }
        if config.hosts(Component::Notifications) {
            let args = oa_notifications::NotificationsArgs { post_office: post_office.clone() };
            self.spawn("notifications", oa_notifications::child_spec(args)).await?;
        }
        Ok(())
    }

    async fn journal(
        &mut self,
        config: &Config,
        data: &DataDir,
        file: &str,
    ) -> Result<WorkerJournal, NodeError> {
        let opened = WorkerJournal::open(data.path().join(file), config.node.name.as_str()).await;
        let journal = opened.map_err(|cause| NodeError::part("journal of a worker", cause))?;
        let (trouble, part) = (journal.database().trouble(), format!("journal {file}"));
        self.health.watch(move || {
            let error = trouble.borrow().clone()?;
            Some(Trouble::of_storage(part.as_str(), &error))
        });
        self.journals.push(journal.clone());
        Ok(journal)
    }

    async fn spawn<A: Actor>(
        &self,
        part: &'static str,
        spec: ChildSpec<A>,
    ) -> Result<(), NodeError> {
        let started = self.system.spawn_ready(spec, READY_WITHIN).await;
        started.map(drop).map_err(|cause| NodeError::part(part, cause))
    }

    /// Resolves with the file of the first database whose disk failed to flush a commit.
    pub(crate) async fn storage_lost(&self) -> PathBuf {
        let stores = self.store.iter().map(Store::database);
        let journals = self.journals.iter().map(WorkerJournal::database);
        let lost = stores.chain(journals).map(|database| {
            Box::pin(async move {
                database.lost().await;
                database.path().to_path_buf()
            })
        });
        let lost: Vec<_> = lost.collect();
        // A node of watchers alone has no database.
        if lost.is_empty() {
            return std::future::pending().await;
        }
        futures_util::future::select_all(lost).await.0
    }

    /// Ends everything in the reverse of the order in which it was started.
    pub(crate) async fn stop(self) {
        let report = self.system.shutdown(self.drain).await;
        if !report.is_clean() {
            tracing::warn!(abandoned = ?report.abandoned, took = ?report.took, "not everything ended in time");
        }
        oa_crash_points::crash_point!(NodeComponentsStopped);
        tracing::debug!(took = ?report.took, "components have stopped");
        for journal in self.journals {
            journal.close().await;
        }
        if let Some(store) = self.store {
            store.close().await;
        }
        oa_crash_points::crash_point!(NodeDatabasesClosed);
        tracing::debug!("databases are closed");
        if let Some(host) = self.fleet_host {
            host.stop(self.stop_units).await;
        }
    }
}

/// The token of the embedded cluster.
fn local_token() -> Result<EtcdToken, NodeError> {
    EtcdToken::new("local").map_err(|cause| NodeError::part("embedded cluster", cause))
}
