//! The Manager: keeps the REST API and the typed mailboxes running.
//!
//! ```text
//! manager ── http thread (accepts, answers)      ends unexpectedly ─► the Manager fails and is started again
//!    └────── mailbox (actor): `manager`, `system_modules`
//! ```

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use metrics_exporter_prometheus::PrometheusHandle;
use oa_runtime::{
    Actor, Backoff, ChildSpec, Context, Failure, Handler, Message, PostOffice, RestartPolicy,
    Subscription,
};
use oa_store::Store;
use tokio::sync::watch;

use crate::app::{App, Traffic};
use crate::auth::{AdminToken, Authenticator};
use crate::config::ManagerConfig;
use crate::health::Health;
use crate::listener::SharedListener;
use crate::mailbox;
use crate::server::HttpThread;
use crate::services::{ClusterService, FleetService, SystemEventService, WorkflowService};

/// What an orderly stop may take beyond the requests under way.
const STOP_MARGIN: Duration = Duration::from_secs(4);

/// The user whom changes with the admin token are attributed to.
const ADMIN_EMAIL: &str = "admin@localhost";

/// What the Manager works with.
#[derive(Clone)]
pub struct ManagerArgs {
    config: ManagerConfig,
    data_dir: PathBuf,
    store: Store,
    post_office: PostOffice,
    prometheus: Option<PrometheusHandle>,
    health: Health,
    listener: Arc<SharedListener>,
    address: watch::Sender<Option<SocketAddr>>,
}

impl ManagerArgs {
    /// Serves `store` through `post_office` and REST. The admin token lies in `data_dir`, which must exist.
    #[must_use]
    pub fn new(
        config: ManagerConfig,
        data_dir: impl Into<PathBuf>,
        store: Store,
        post_office: PostOffice,
    ) -> Self {
        Self {
            config,
            data_dir: data_dir.into(),
            store,
            post_office,
            prometheus: None,
            health: Health::default(),
            listener: Arc::default(),
            address: watch::Sender::new(None),
        }
    }

    /// Shows what `handle` records at `/metrics`.
    #[must_use]
    pub fn prometheus(mut self, handle: PrometheusHandle) -> Self {
        self.prometheus = Some(handle);
        self
    }

    /// Shows what `health` sees at `/readyz`.
    #[must_use]
    pub fn health(mut self, health: Health) -> Self {
        self.health = health;
        self
    }

    /// The address on which the REST API is served; `None` before the start and after the stop.
    #[must_use]
    pub fn address(&self) -> watch::Receiver<Option<SocketAddr>> {
        self.address.subscribe()
    }
}

/// How the Manager is supervised: always started again; an orderly stop lets requests end.
pub fn child_spec(args: ManagerArgs) -> ChildSpec<Manager> {
    let drain = args.config.drain + STOP_MARGIN;
    ChildSpec::new(args)
        .restart(RestartPolicy::Permanent)
        .backoff(Backoff::doubling(Duration::from_millis(100), Duration::from_secs(10)))
        .drain(drain)
}

/// Keeps the REST API and the typed mailboxes running.
pub struct Manager {
    args: ManagerArgs,
    http: HttpThread,
    traffic: Arc<Traffic>,
    subscriptions: Vec<Subscription>,
}

impl Actor for Manager {
    const KIND: &'static str = "manager";
    type Args = ManagerArgs;

    async fn init(args: &ManagerArgs, ctx: &mut Context<Self>) -> Result<Self, Failure> {
        let (listener, address) = args.listener.open(args.config.listen)?;
        let token = AdminToken::load_or_create(&args.data_dir)?;
        let admin = args.store.users().ensure(ADMIN_EMAIL, "OpenAperture", "Admin").await?;
        let authenticator = Authenticator::new(token, admin.id);
        let mailbox = ctx.spawn_child(mailbox::child_spec(args.store.clone()))?;
        let subscriptions = mailbox::serve(&args.post_office, &mailbox).await?;

        let traffic = Traffic::new(args.config.max_long_polls);
        let app = Arc::new(App {
            config: args.config.clone(),
            authenticator,
            clusters: ClusterService::new(args.store.clone()),
            fleet: FleetService::new(args.post_office.clone(), args.config.cluster_timeout),
            workflows: WorkflowService::new(args.store.clone(), args.post_office.clone()),
            system_events: SystemEventService::new(args.store.clone(), args.post_office.node()),
            store: args.store.clone(),
            post_office: args.post_office.clone(),
            health: args.health.clone(),
            system: ctx.system().clone(),
            prometheus: args.prometheus.clone(),
            traffic: Arc::clone(&traffic),
        });
        let (http, ended) = HttpThread::start(app, listener).await?;
        ctx.pipe(async move {
            HttpEnded { reason: ended.await.unwrap_or_else(|_| "its thread panicked".to_owned()) }
        });

        args.address.send_replace(Some(address));
        tracing::info!(%address, "the REST API is served");
        Ok(Self { args: args.clone(), http, traffic, subscriptions })
    }

    async fn stopping(&mut self, _ctx: &mut Context<Self>) {
        let limit = self.args.config.drain;
        self.http.pause().await;
        let mail = self.subscriptions.drain(..).map(|mail| mail.close_within(limit));
        tokio::join!(self.traffic.drain(limit), join_all(mail));
        self.http.stop().await;
        self.args.listener.close();
        self.args.address.send_replace(None);
    }
}

/// The HTTP server ended, which it does not do by itself.
struct HttpEnded {
    reason: String,
}

impl Message for HttpEnded {
    type Reply = ();
}

impl Handler<HttpEnded> for Manager {
    async fn handle(&mut self, ended: HttpEnded, ctx: &mut Context<Self>) -> Result<(), Failure> {
        // The socket may be what is broken: the next start makes a new one.
        self.args.listener.close();
        ctx.fail(Failure::new(format!("the HTTP server ended: {}", ended.reason)));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use oa_runtime::System;
    use oa_store::StoreConfig;
    use oa_transport_memory::MemoryTransport;
    use tokio::net::TcpStream;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn a_manager_whose_server_ended_is_started_again_and_listens() {
        let dir = tempfile::tempdir().expect("a directory");
        let store =
            Store::open(&StoreConfig::new(dir.path().join("db"), "test")).await.expect("a store");
        let system = System::builder("test").arbiters(1).build();
        let post_office = PostOffice::new(&system, "test", "", Arc::new(MemoryTransport::new()));
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let config = ManagerConfig { listen, ..ManagerConfig::default() };
        let args = ManagerArgs::new(config, dir.path(), store, post_office);
        let mut address = args.address();
        let manager =
            system.spawn_ready(child_spec(args), LIMIT).await.expect("the Manager starts");
        let first = address.borrow_and_update().expect("it listens");
        TcpStream::connect(first).await.expect("it accepts");

        manager
            .tell(HttpEnded { reason: "a test says so".to_owned() })
            .expect("room in the mailbox");
        tokio::time::timeout(LIMIT, address.changed())
            .await
            .expect("it is started again")
            .expect("it is there");
        let second = address.borrow().expect("it listens again");
        TcpStream::connect(second).await.expect("it accepts again");
        system.shutdown(LIMIT).await;
    }
}
