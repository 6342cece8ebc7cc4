//! The typed mailboxes of the Manager: what components ask, and their heartbeats.

use std::fmt;

use oa_protocol::manager::{
    ClusterRecord, GetCluster, ReleasePorts, ReportSystemEvent, ReservePorts, ReservedPort,
};
use oa_protocol::metering::{RecordIntervals, UnitInterval};
use oa_protocol::module::Heartbeat;
use oa_protocol::{EtcdToken, Refusal, RefusalCode, mailbox};
use oa_runtime::{
    Actor, ActorRef, ChildSpec, Context, Failure, Handler, Mailbox, PostOffice, Subscription,
    TransportError,
};
use oa_store::{NewSystemEvent, PortError, Store, StoreError, SystemEventError};

use crate::services::chain;

/// Deliveries in hand of each mailbox.
const WINDOW: usize = 50;
/// Longest names in a heartbeat.
const MAX_NAME: usize = 255;
/// Most records of runs in one message, and the longest text of one.
const MAX_RECORDS: usize = 1_000;
const MAX_RECORD_TEXT: usize = 1_100;
/// Most lines of a heartbeat's workload, and the longest of them.
const MAX_WORKLOAD: usize = 1_000;

/// Answers components.
pub(crate) struct ManagerMailbox {
    store: Store,
}

impl Actor for ManagerMailbox {
    const KIND: &'static str = "manager_mailbox";
    type Args = Store;

    async fn init(store: &Store, _ctx: &mut Context<Self>) -> Result<Self, Failure> {
        Ok(Self { store: store.clone() })
    }
}

/// How the mailbox is supervised: always started again.
pub(crate) fn child_spec(store: Store) -> ChildSpec<ManagerMailbox> {
    ChildSpec::new(store).name("mailbox")
}

/// Lets `post_office` deliver to `mailbox` until the subscriptions end.
pub(crate) async fn serve(
    post_office: &PostOffice,
    actor: &ActorRef<ManagerMailbox>,
) -> Result<Vec<Subscription>, TransportError> {
    let manager = Mailbox::new(post_office.address(mailbox::MANAGER))
        .accept::<GetCluster, _>(actor)
        .accept::<ReservePorts, _>(actor)
        .accept::<ReleasePorts, _>(actor)
        .accept::<ReportSystemEvent, _>(actor)
        .accept::<RecordIntervals, _>(actor)
        .window(WINDOW);
    let modules = Mailbox::new(post_office.address(mailbox::SYSTEM_MODULES))
        .accept::<Heartbeat, _>(actor)
        .window(WINDOW);
    Ok(vec![post_office.serve(manager).await?, post_office.serve(modules).await?])
}

impl Handler<GetCluster> for ManagerMailbox {
    async fn handle(
        &mut self,
        ask: GetCluster,
        _ctx: &mut Context<Self>,
    ) -> Result<Result<ClusterRecord, Refusal>, Failure> {
        let found = match self.store.clusters().get(&ask.etcd_token).await {
            Ok(found) => found,
            Err(error) => return Ok(Err(store_refusal(&error))),
        };
        Ok(found.map_or_else(
            || Err(no_cluster(&ask.etcd_token)),
            |cluster| {
                Ok(ClusterRecord {
                    etcd_token: cluster.etcd_token,
                    name: cluster.name,
                    allow_docker_builds: cluster.allow_docker_builds.unwrap_or(false),
                })
            },
        ))
    }
}

impl Handler<ReservePorts> for ManagerMailbox {
    async fn handle(
        &mut self,
        ask: ReservePorts,
        _ctx: &mut Context<Self>,
    ) -> Result<Result<Vec<ReservedPort>, Refusal>, Failure> {
        let reserved =
            self.store.ports().reserve(&ask.etcd_token, ask.workflow_id, &ask.units).await;
        oa_crash_points::crash_point!(ManagerPortsReserved);
        Ok(reserved.map_err(port_refusal))
    }
}

impl Handler<ReleasePorts> for ManagerMailbox {
    async fn handle(
        &mut self,
        ask: ReleasePorts,
        _ctx: &mut Context<Self>,
    ) -> Result<Result<(), Refusal>, Failure> {
        let released =
            self.store.ports().release(&ask.etcd_token, ask.workflow_id, &ask.units).await;
        oa_crash_points::crash_point!(ManagerPortsReleased);
        Ok(released.map(drop).map_err(port_refusal))
    }
}

impl Handler<ReportSystemEvent> for ManagerMailbox {
    async fn handle(
        &mut self,
        report: ReportSystemEvent,
        _ctx: &mut Context<Self>,
    ) -> Result<Result<(), Refusal>, Failure> {
        let ReportSystemEvent { kind, severity, message, data } = report;
        let data = Some(data).filter(|data| !data.is_null());
        let new = NewSystemEvent { kind, severity, message: Some(message), data, unique: false };
        let created = self.store.system_events().create(new).await;
        Ok(created.map(drop).map_err(|error| match error {
            SystemEventError::Store(error) => store_refusal(&error),
            SystemEventError::Invalid { .. } => {
                Refusal::new(RefusalCode::Invalid, error.to_string())
            }
            other => Refusal::new(RefusalCode::Conflict, other.to_string()),
        }))
    }
}

impl Handler<RecordIntervals> for ManagerMailbox {
    async fn handle(
        &mut self,
        records: RecordIntervals,
        _ctx: &mut Context<Self>,
    ) -> Result<Result<Option<String>, Refusal>, Failure> {
        if let Err(why) = check_records(&records) {
            return Ok(Err(Refusal::new(RefusalCode::Invalid, why)));
        }
        Ok(self.store.usage().record(records).await.map_err(|error| store_refusal(&error)))
    }
}

impl Handler<Heartbeat> for ManagerMailbox {
    async fn handle(
        &mut self,
        heartbeat: Heartbeat,
        _ctx: &mut Context<Self>,
    ) -> Result<(), Failure> {
        check_heartbeat(&heartbeat).map_err(Failure::permanent)?;
        self.store.modules().heartbeat(&heartbeat, None).await.map_err(StoreError::into_failure)
    }
}

/// A heartbeat comes from another node: what it makes us keep is bounded.
fn check_heartbeat(heartbeat: &Heartbeat) -> Result<(), String> {
    let Heartbeat { hostname, kind, status, workload } = heartbeat;
    for (field, text) in [("hostname", hostname), ("type", kind), ("status", status)] {
        if text.is_empty() || text.len() > MAX_NAME || text.chars().any(char::is_control) {
            return Err(format!(
                "a heartbeat's `{field}` must have 1 to {MAX_NAME} printable characters"
            ));
        }
    }
    if workload.len() > MAX_WORKLOAD || workload.iter().any(|line| line.len() > MAX_WORKLOAD) {
        return Err(format!(
            "a heartbeat's `workload` may have {MAX_WORKLOAD} lines of {MAX_WORKLOAD} bytes"
        ));
    }
    Ok(())
}

/// Records come from another node, too.
fn check_records(records: &RecordIntervals) -> Result<(), String> {
    let count = records.intervals.len();
    if count > MAX_RECORDS {
        return Err(format!("{count} records of runs were sent; at most {MAX_RECORDS} are taken"));
    }
    let is_long = |text: &str| text.len() > MAX_RECORD_TEXT;
    let is_bad = |run: &UnitInterval| {
        let texts = [&run.unit_hash, &run.machine_id, &run.boot_id];
        run.started_at_ms < 0
            || texts.into_iter().any(|text| is_long(text))
            || run.product.as_deref().is_some_and(is_long)
    };
    match records.intervals.iter().find(|run| is_bad(run)) {
        Some(run) => Err(format!(
            "the record {} of {} begins before 1970 or has a text of over {MAX_RECORD_TEXT} bytes",
            run.id, run.unit
        )),
        None => Ok(()),
    }
}

fn no_cluster(etcd_token: &EtcdToken) -> Refusal {
    Refusal::new(RefusalCode::NotFound, format!("cluster `{etcd_token}` is not registered"))
        .hint("register it with `POST /clusters`, or correct the token in `etcd.json`")
}

fn port_refusal(error: PortError) -> Refusal {
    match error {
        PortError::UnknownCluster { etcd_token } => no_cluster(&etcd_token),
        PortError::Exhausted { .. } => Refusal::new(RefusalCode::Conflict, error.to_string()),
        PortError::TooMany { .. } => Refusal::new(RefusalCode::Invalid, error.to_string()),
        PortError::Store(error) => store_refusal(&error),
        other => internal(&other),
    }
}

fn store_refusal(error: &StoreError) -> Refusal {
    if let Some(storage) = error.storage() {
        return Refusal::new(
            RefusalCode::Unavailable,
            format!("the Manager's database cannot be written: {storage}"),
        )
        .hint(storage.hint());
    }
    if error.is_retryable() {
        tracing::warn!(reason = %chain(error), "the database did not take a question");
        return Refusal::new(
            RefusalCode::Unavailable,
            "the Manager's database does not answer at the moment",
        );
    }
    tracing::error!(reason = %chain(error), "the database failed");
    internal(&"the Manager's database failed")
}

fn internal(reason: &dyn fmt::Display) -> Refusal {
    Refusal::new(RefusalCode::Internal, reason.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heartbeat_is_bounded() {
        let good = Heartbeat {
            hostname: "build-1".into(),
            kind: "builder".into(),
            status: "active".into(),
            workload: vec!["w".into()],
        };
        assert_eq!(check_heartbeat(&good), Ok(()));
        for bad in [
            Heartbeat { hostname: String::new(), ..good.clone() },
            Heartbeat { kind: "x".repeat(256), ..good.clone() },
            Heartbeat { status: "a\nb".into(), ..good.clone() },
            Heartbeat { workload: vec![String::new(); 1_001], ..good.clone() },
            Heartbeat { workload: vec!["x".repeat(1_001)], ..good },
        ] {
            assert!(check_heartbeat(&bad).is_err());
        }
    }
}
