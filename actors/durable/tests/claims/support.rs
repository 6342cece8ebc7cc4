//! What the tests of outbox, inbox and relay share.

use std::path::PathBuf;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use oa_durable::{Database, DatabaseConfig, Outbox, Publisher, WriteError, schema};
use oa_runtime::{Address, Envelope, Message, PublishError, Wire};
use sea_orm::DbErr;
use sea_orm_migration::{MigrationName, MigrationTrait, MigratorTrait, SchemaManager};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;
use tokio::sync::{mpsc, oneshot};

/// A message for the outbox.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ping {
    pub(crate) n: u32,
}

impl Message for Ping {
    type Reply = ();
}

impl Wire for Ping {
    const NAME: &'static str = "test.ping";
    const VERSION: u16 = 1;
}

impl Ping {
    /// In an envelope for `mailbox` of the root place.
    pub(crate) fn to(mailbox: &str, n: u32) -> Envelope {
        let to = Address::new("", mailbox).expect("a mailbox");
        Envelope::new(&to, &Self { n }).expect("a small message")
    }
}

/// The tables of this crate.
pub(crate) struct Tables;

impl MigratorTrait for Tables {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(Baseline)]
    }
}

struct Baseline;

impl MigrationName for Baseline {
    fn name(&self) -> &str {
        "baseline"
    }
}

#[allow(elided_lifetimes_in_paths, reason = "the trait elides it")]
#[sea_orm_migration::async_trait::async_trait]
impl MigrationTrait for Baseline {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        schema::outbox_table(manager).await?;
        schema::inbox_table(manager).await?;
        schema::dead_message_table(manager).await
    }
}

/// A migrated database; the directory goes with it.
pub(crate) struct Store {
    pub(crate) db: Database,
    pub(crate) outbox: Outbox,
    pub(crate) directory: TempDir,
}

impl Store {
    pub(crate) async fn open() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("store.db");
        Self::open_at(directory, path).await
    }

    /// At `path`, which may lie on a disk that is mounted in `directory`.
    pub(crate) async fn open_at(directory: TempDir, path: PathBuf) -> Self {
        let db = Database::open(DatabaseConfig::new(path)).await.expect("a database");
        db.migrate::<Tables>().await.expect("migrated");
        Self { outbox: Outbox::new(db.clone()), db, directory }
    }

    /// Puts `envelopes` into the outbox with one commit.
    pub(crate) async fn put(&self, envelopes: Vec<Envelope>) -> Result<(), WriteError> {
        self.db
            .write(move |tx| Box::pin(async move { Ok(Outbox::insert_all(tx, &envelopes).await?) }))
            .await
    }
}

/// A publisher whose test decides about each envelope.
pub(crate) struct Desk {
    envelopes: mpsc::UnboundedSender<Attempt>,
}

/// An envelope that waits for its decision.
pub(crate) struct Attempt {
    pub(crate) envelope: Envelope,
    pub(crate) answer: oneshot::Sender<Result<(), PublishError>>,
}

impl Attempt {
    pub(crate) fn n(&self) -> u32 {
        self.envelope.decode::<Ping>().expect("a ping").n
    }

    pub(crate) fn confirm(self) {
        self.answer.send(Ok(())).expect("the relay waits");
    }

    pub(crate) fn fail(self, error: PublishError) {
        self.answer.send(Err(error)).expect("the relay waits");
    }
}

impl Desk {
    pub(crate) fn open() -> (Self, mpsc::UnboundedReceiver<Attempt>) {
        let (envelopes, attempts) = mpsc::unbounded_channel();
        (Self { envelopes }, attempts)
    }
}

impl Publisher for Desk {
    fn publish(&self, envelope: Envelope) -> BoxFuture<'_, Result<(), PublishError>> {
        let (answer, decided) = oneshot::channel();
        self.envelopes.send(Attempt { envelope, answer }).expect("the test watches");
        async move {
            decided
                .await
                .unwrap_or(Err(PublishError::Unavailable { reason: "desk is gone".to_owned() }))
        }
        .boxed()
    }
}
