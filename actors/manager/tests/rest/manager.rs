//! A Manager for one test: its own system, transport, data directory and port.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use oa_manager::{Health, Manager, ManagerArgs, ManagerConfig, child_spec};
use oa_runtime::{ActorRef, PostOffice, System, Transport};
use oa_store::{Clock, Store, StoreConfig};
use oa_transport_memory::MemoryTransport;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::http::{Answer, Request};

/// Starting and stopping take no longer.
const LIMIT: Duration = Duration::from_secs(20);

/// The recorder of this process; there can be only one.
fn prometheus() -> PrometheusHandle {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    HANDLE
        .get_or_init(|| PrometheusBuilder::new().install_recorder().expect("the first recorder"))
        .clone()
}

/// A running Manager.
pub(crate) struct TestManager {
    system: System,
    manager: ActorRef<Manager>,
    store: Store,
    post_office: PostOffice,
    transport: Arc<MemoryTransport>,
    address: SocketAddr,
    token: String,
    config: ManagerConfig,
    health: Health,
    dir: TempDir,
}

impl TestManager {
    /// One with the default configuration.
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// One with a changed configuration.
    pub(crate) async fn start_with(change: impl FnOnce(&mut ManagerConfig)) -> Self {
        let mut config = ManagerConfig {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            ..ManagerConfig::default()
        };
        change(&mut config);
        Self::start_in(tempfile::tempdir().expect("a directory"), config, Clock::default()).await
    }

    /// One whose store reads the time from `clock`.
    pub(crate) async fn start_at(clock: Clock) -> Self {
        let config = ManagerConfig {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            ..ManagerConfig::default()
        };
        Self::start_in(tempfile::tempdir().expect("a directory"), config, clock).await
    }

    async fn start_in(dir: TempDir, config: ManagerConfig, clock: Clock) -> Self {
        let settings =
            StoreConfig { clock, ..StoreConfig::new(dir.path().join("management.db"), "test") };
        let store = Store::open(&settings).await.expect("a store");
        let system = System::builder("test").arbiters(1).build();
        let transport = Arc::new(MemoryTransport::new());
        let post_office =
            PostOffice::new(&system, "test", "", Arc::clone(&transport) as Arc<dyn Transport>);
        let args = ManagerArgs::new(config.clone(), dir.path(), store.clone(), post_office.clone());
        let health = Health::default();
        let args = args.prometheus(prometheus()).health(health.clone());
        let address = args.address();
        let manager =
            system.spawn_ready(child_spec(args), LIMIT).await.expect("the Manager starts");
        let address = address.borrow().expect("the Manager listens");
        let token = fs::read_to_string(dir.path().join("admin-token"))
            .expect("the token")
            .trim()
            .to_owned();
        Self { system, manager, store, post_office, transport, address, token, config, health, dir }
    }

    /// Stops it in order and starts another one on the same data directory.
    pub(crate) async fn restart(self) -> Self {
        let Self { system, store, dir, config, .. } = self;
        system.shutdown(LIMIT).await;
        store.close().await;
        Self::start_in(dir, config, Clock::default()).await
    }

    /// Stops it in order.
    pub(crate) async fn stop(&self) {
        self.manager.stop();
        tokio::time::timeout(LIMIT, self.manager.stopped()).await.expect("the Manager stops");
    }

    /// Resolves when `count` requests wait in long polls.
    pub(crate) async fn until_waiting(&self, count: usize) {
        let line = format!("oa_http_long_polls {count}");
        let seen = async {
            while !self.get("/metrics").await.body.lines().any(|seen| seen == line) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(LIMIT, seen).await.expect("requests that wait");
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The admin token.
    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    /// Its data directory.
    pub(crate) fn data_dir(&self) -> &Path {
        self.dir.path()
    }

    /// Its database.
    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// The looks at the parts of its node.
    pub(crate) fn health(&self) -> &Health {
        &self.health
    }

    /// Its system of actors.
    pub(crate) fn system(&self) -> &System {
        &self.system
    }

    /// What carries its mail.
    pub(crate) fn transport(&self) -> &MemoryTransport {
        &self.transport
    }

    /// Its post office.
    pub(crate) fn post_office(&self) -> &PostOffice {
        &self.post_office
    }

    /// A request with the token.
    pub(crate) fn request(&self, method: &str, path: &str) -> Request {
        Request::new(method, path).header("Authorization", &format!("Bearer {}", self.token))
    }

    /// The answer to a `GET`.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.request("GET", path).send(self.address).await
    }

    /// The answer to a `POST` of JSON.
    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.request("POST", path).json(&body).send(self.address).await
    }

    /// The answer to a `PUT` of JSON.
    pub(crate) async fn put(&self, path: &str, body: Value) -> Answer {
        self.request("PUT", path).json(&body).send(self.address).await
    }

    /// The answer to a `DELETE`, with the header that the original's client sends along.
    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.request("DELETE", path)
            .header("Content-Type", "application/json")
            .send(self.address)
            .await
    }

    /// Registers a cluster.
    pub(crate) async fn cluster(&self, etcd_token: &str) {
        self.post("/clusters", json!({"etcd_token": etcd_token})).await.expect_status(201);
    }

    /// Creates a workflow and returns its path.
    pub(crate) async fn workflow(&self, body: Value) -> String {
        let answer = self.post("/workflows", body).await.expect_status(201);
        answer.header("location").expect("its path").to_owned()
    }
}
