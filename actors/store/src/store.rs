//! Opening the store and handing out its parts.

use std::path::PathBuf;
use std::sync::Arc;

use oa_durable::{Database, DatabaseConfig, DeadMessages, Outbox, Relay, RelayConfig, Synchronous};
use oa_runtime::PostOffice;

use crate::clock::Clock;
use crate::clusters::Clusters;
use crate::error::StoreError;
use crate::journal::{Journal, JournalParts};
use crate::lease::Lease;
use crate::modules::Modules;
use crate::ports::Ports;
use crate::schema::Migrator;
use crate::system_events::SystemEvents;
use crate::usage::Usages;
use crate::users::Users;
use crate::workflow::Destinations;
use crate::workflows::Workflows;

/// What [`Store::open`] needs to know.
#[derive(Debug, Clone)]
pub struct StoreConfig {
    /// The SQLite file. Its directory must exist.
    pub path: PathBuf,
    /// Name of this node; it owns the workflows while the store is open.
    pub node: String,
    /// When a commit counts as durable. Default: [`Synchronous::Full`].
    pub synchronous: Synchronous,
    /// Where commands of workflows go. Default: the usual mailboxes of this node's own place.
    pub destinations: Destinations,
    /// The time. Default: the machine's.
    pub clock: Clock,
    /// The first port that units get. Default: 45000, as in the original.
    pub first_port: u16,
}

impl StoreConfig {
    /// The defaults for the file at `path`, opened by `node`.
    pub fn new(path: impl Into<PathBuf>, node: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            node: node.into(),
            synchronous: Synchronous::default(),
            destinations: Destinations::default(),
            clock: Clock::default(),
            first_port: 45_000,
        }
    }
}

/// The management database of one node. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    db: Database,
    clock: Clock,
    lease: Arc<Lease>,
    journal: Journal,
    first_port: u16,
}

impl Store {
    /// Opens the database, brings its schema up to date and takes over its workflows.
    ///
    /// # Errors
    ///
    /// [`StoreError::Open`] if another process has it open; [`StoreError::Migrate`] if a newer release wrote it.
    pub async fn open(config: &StoreConfig) -> Result<Self, StoreError> {
        let database =
            DatabaseConfig { synchronous: config.synchronous, ..DatabaseConfig::new(&config.path) };
        let db = Database::open(database).await?;
        db.migrate::<Migrator>().await?;
        let lease = Arc::new(Lease::take(&db, &config.node).await?);
        let journal = Journal::new(JournalParts {
            db: db.clone(),
            clock: config.clock.clone(),
            lease: Arc::clone(&lease),
            destinations: Arc::new(config.destinations.clone()),
        });
        Ok(Self { db, clock: config.clock.clone(), lease, journal, first_port: config.first_port })
    }

    /// Workflows as REST objects.
    #[must_use]
    pub fn workflows(&self) -> Workflows {
        Workflows::new(self.db.clone(), self.clock.clone(), self.journal.clone())
    }

    /// What happens to workflows.
    #[must_use]
    pub fn journal(&self) -> Journal {
        self.journal.clone()
    }

    /// Messages that wait to be handed over.
    #[must_use]
    pub fn outbox(&self) -> Outbox {
        Outbox::new(self.db.clone())
    }

    /// Messages that nobody could handle.
    #[must_use]
    pub fn dead_messages(&self) -> DeadMessages {
        DeadMessages::new(self.db.clone())
    }

    /// Hands the messages of the outbox over, until the store is closed or the future is dropped.
    pub async fn relay(&self, post_office: PostOffice) {
        Relay::run(self.outbox(), post_office, RelayConfig::default()).await;
    }

    /// Clusters.
    #[must_use]
    pub fn clusters(&self) -> Clusters {
        Clusters::new(self.db.clone(), self.clock.clone())
    }

    /// Ports of clusters.
    #[must_use]
    pub fn ports(&self) -> Ports {
        Ports::new(self.db.clone(), self.clock.clone(), self.first_port)
    }

    /// What operators should know.
    #[must_use]
    pub fn system_events(&self) -> SystemEvents {
        SystemEvents::new(self.db.clone(), self.clock.clone())
    }

    /// Components that run.
    #[must_use]
    pub fn modules(&self) -> Modules {
        Modules::new(self.db.clone(), self.clock.clone())
    }

    /// When units ran, and what they used.
    #[must_use]
    pub fn usage(&self) -> Usages {
        Usages::new(self.db.clone(), self.clock.clone())
    }

    /// People.
    #[must_use]
    pub fn users(&self) -> Users {
        Users::new(self.db.clone(), self.clock.clone())
    }

    /// The database below, for what is not of this crate: retention, dead messages, a check that it answers.
    #[must_use]
    pub fn database(&self) -> &Database {
        &self.db
    }

    /// The clock that it was opened with.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Gives the workflows back, writes what is queued and closes the database.
    pub async fn close(&self) {
        if let Err(cause) = self.lease.release(&self.db).await {
            tracing::warn!(error = %cause, "the lease on workflows was not given back; the next owner takes it anyway");
        }
        self.db.close().await;
    }
}
