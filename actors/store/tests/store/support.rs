//! A store on a real file, a clock that stands still, and a worker that answers.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use oa_protocol::build::{ConfigCommand, ConfigOutput};
use oa_protocol::deploy::{DeployCommand, DeployOutput};
use oa_protocol::step::{CancelStep, StepKey, StepNews, StepOutput, StepReport};
use oa_protocol::unit::{Unit, UnitOption};
use oa_protocol::{EtcdToken, WorkflowId};
use oa_runtime::Wire;
use oa_store::{Applied, Clock, Event, NewWorkflow, Status, Store, StoreConfig, WorkflowRecord};
use tempfile::TempDir;

pub(crate) const NOON: i64 = 1_800_000_000_000;

pub(crate) struct Site {
    pub(crate) store: Store,
    pub(crate) now: Arc<AtomicI64>,
    pub(crate) dir: TempDir,
}

impl Site {
    pub(crate) async fn open() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let now = Arc::new(AtomicI64::new(NOON));
        let store = open(dir.path(), &now).await;
        Self { store, now, dir }
    }

    /// Closes the store and opens it again, as a restart of the node does.
    pub(crate) async fn restart(self) -> Self {
        self.store.close().await;
        let Self { now, dir, store } = self;
        drop(store);
        let store = open(dir.path(), &now).await;
        Self { store, now, dir }
    }

    pub(crate) fn now_ms(&self) -> i64 {
        self.now.load(Ordering::SeqCst)
    }

    pub(crate) fn pass(&self, ms: i64) {
        self.now.fetch_add(ms, Ordering::SeqCst);
    }

    pub(crate) async fn workflow(&self, milestones: &[&str]) -> WorkflowId {
        let new = NewWorkflow {
            deployment_repo: Some("acme/shop_docker".into()),
            milestones: Some(milestones.iter().map(|&name| name.to_owned()).collect()),
            scheduled_start_time_ms: Some(NOON + 60_000),
            created_by: Some("ada".into()),
            ..NewWorkflow::default()
        };
        self.store.workflows().create(new).await.expect("it is valid").id
    }

    pub(crate) async fn apply(&self, id: WorkflowId, event: Event) -> Applied {
        self.store.journal().apply(id, event).await.expect("the journal takes it")
    }

    /// A workflow that is executed.
    pub(crate) async fn running(&self) -> WorkflowId {
        let id = self.workflow(&["config", "deploy"]).await;
        self.apply(id, execute()).await;
        id
    }

    /// A workflow whose `config` found `prefix`.
    pub(crate) async fn configured(&self, prefix: &str) -> WorkflowId {
        let id = self.running().await;
        let key = self.live_key(id).await;
        self.apply(id, report(key, configured(prefix))).await;
        id
    }

    pub(crate) async fn live_key(&self, id: WorkflowId) -> StepKey {
        let state = self.store.journal().load(id).await.expect("readable").expect("it is there");
        state.live.expect("an attempt is in flight").key(id)
    }

    pub(crate) async fn get(&self, id: WorkflowId) -> WorkflowRecord {
        self.store.workflows().get(id).await.expect("readable").expect("it is there")
    }

    pub(crate) async fn status(&self, id: WorkflowId) -> Status {
        self.get(id).await.status
    }

    pub(crate) async fn offenders(&self) -> u64 {
        self.store.journal().offenders().await.expect("an answer")
    }

    /// What waits in the outbox, in the order of its making.
    pub(crate) async fn sent(&self) -> Vec<Sent> {
        let rows = self.store.outbox().due(100_000, i64::MAX).await.expect("an answer");
        let mut sent: Vec<(String, Sent)> = Vec::new();
        for row in rows {
            let envelope = row.envelope().expect("this release wrote it");
            let message = match envelope.name.as_str() {
                ConfigCommand::NAME => Sent::Config(envelope.decode().expect("it is one")),
                DeployCommand::NAME => Sent::Deploy(envelope.decode().expect("it is one")),
                _ => Sent::Cancel(envelope.decode().expect("it is one")),
            };
            sent.push((envelope.message_id().to_string(), message));
        }
        sent.sort_by(|a, b| a.0.cmp(&b.0));
        sent.into_iter().map(|(_, message)| message).collect()
    }

    /// Every line of a journal has the version after the one before it.
    pub(crate) async fn check_journal(&self, id: WorkflowId) {
        let record = self.get(id).await;
        let versions: Vec<u64> = record.events.iter().map(|entry| entry.version).collect();
        assert_eq!(versions, (1..=record.version).collect::<Vec<_>>(), "versions of {id}");
    }

    /// Live attempts by workflow, as the database has them.
    pub(crate) async fn live_attempts(&self) -> BTreeMap<String, i64> {
        let sql = "SELECT workflow_id, count(*) AS n FROM step_attempts \
                   WHERE state IN ('queued', 'accepted') GROUP BY workflow_id";
        self.rows(sql, |row| {
            (row.try_get("", "workflow_id").expect("text"), row.try_get("", "n").expect("a number"))
        })
        .await
        .into_iter()
        .collect()
    }

    pub(crate) async fn rows<T>(
        &self,
        sql: &str,
        read: impl Fn(&sea_orm::QueryResult) -> T,
    ) -> Vec<T> {
        use sea_orm::ConnectionTrait;
        let db = self.store.database().reader();
        let statement = sea_orm::Statement::from_string(db.get_database_backend(), sql);
        db.query_all_raw(statement).await.expect("an answer").iter().map(read).collect()
    }

    /// Changes the database behind the store's back.
    pub(crate) async fn tamper(&self, sql: &'static str) {
        use sea_orm::ConnectionTrait;
        self.store
            .database()
            .write::<_, std::convert::Infallible, _>(move |tx| {
                Box::pin(async move {
                    tx.execute_unprepared(sql).await?;
                    Ok(())
                })
            })
            .await
            .expect("it is written");
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Sent {
    Config(ConfigCommand),
    Deploy(DeployCommand),
    Cancel(CancelStep),
}

pub(crate) async fn open(dir: &Path, now: &Arc<AtomicI64>) -> Store {
    let now = Arc::clone(now);
    let config = StoreConfig {
        clock: Clock::new(move || now.load(Ordering::SeqCst)),
        ..StoreConfig::new(dir.join("openaperture.db"), "node-1")
    };
    Store::open(&config).await.expect("the store opens")
}

pub(crate) fn execute() -> Event {
    Event::Execute { options: None, by: "ada".into() }
}

pub(crate) fn cancel() -> Event {
    Event::Cancel { by: "ada".into(), reason: "wrong branch".into() }
}

pub(crate) fn report(step: StepKey, news: StepNews) -> Event {
    Event::StepReport(StepReport { step, worker: "node-1".into(), at_ms: NOON, news })
}

pub(crate) fn configured(prefix: &str) -> StepNews {
    let unit = Unit::new(
        format!("{prefix}@.service"),
        vec![UnitOption::new("Service", "ExecStart", "/bin/app")],
    );
    let output = ConfigOutput {
        etcd_token: Some(EtcdToken::new("local").expect("valid")),
        units: vec![unit],
        fleet_config: Default::default(),
        source_commit: Some("c0ffee".into()),
        source_repo: Some("acme/shop".into()),
        deployment_commit: "decade".into(),
        pushed: false,
    };
    StepNews::Succeeded { output: StepOutput::Config(Box::new(output)) }
}

pub(crate) fn deployed() -> StepNews {
    StepNews::Succeeded { output: StepOutput::Deploy(DeployOutput { units: Vec::new() }) }
}
