//! Clusters, ports, system events, modules and users.

use std::time::Duration;

use oa_protocol::module::Heartbeat;
use oa_protocol::{EtcdToken, UnitName, WorkflowId};
use oa_store::{
    ClusterError, NewCluster, NewSystemEvent, PortError, SystemEventError, SystemEventFilter,
};
use serde_json::json;

use crate::support::Site;

fn token(text: &str) -> EtcdToken {
    EtcdToken::new(text).expect("valid")
}

fn units(names: &[&str]) -> Vec<UnitName> {
    names.iter().map(|&name| UnitName::new(name).expect("valid")).collect()
}

#[tokio::test]
async fn a_cluster_is_made_once_whatever_the_case_of_its_token() {
    let site = Site::open().await;
    let clusters = site.store.clusters();
    let made = clusters.create(NewCluster::new(token("East"))).await.expect("made");
    let refusal = clusters.create(NewCluster::new(token("east"))).await.expect_err("it exists");
    assert!(matches!(refusal, ClusterError::Exists { .. }));
    assert_eq!(clusters.get(&token("EAST")).await.expect("an answer"), Some(made.clone()));
    assert_eq!(clusters.ensure(NewCluster::new(token("east"))).await.expect("there"), made);
    let local = clusters
        .ensure(NewCluster { allow_docker_builds: Some(true), ..NewCluster::new(token("local")) });
    let local = local.await.expect("made");
    assert_eq!(clusters.list(None).await.expect("an answer").len(), 2);
    assert_eq!(clusters.list(Some(true)).await.expect("an answer"), [local]);
}

#[tokio::test]
async fn a_reference_to_nothing_is_refused_by_name() {
    let site = Site::open().await;
    let new = NewCluster { messaging_exchange_id: Some(7), ..NewCluster::new(token("east")) };
    let refusal = site.store.clusters().create(new).await.expect_err("there is no exchange 7");
    assert_eq!(refusal.to_string(), "messaging_exchange_id: there is none with the id 7");
}

#[tokio::test]
async fn a_cluster_that_a_workflow_deploys_to_stays() {
    let site = Site::open().await;
    let clusters = site.store.clusters();
    clusters.ensure(NewCluster::new(token("local"))).await.expect("made");
    let id = site.configured("app").await;
    let refusal = clusters.delete(&token("local")).await.expect_err("it is in use");
    assert_eq!(
        refusal.to_string(),
        format!("the cluster `local` is still in use: workflow {id} must go first")
    );
    site.apply(id, crate::support::cancel()).await;
    clusters.delete(&token("local")).await.expect("it is free");
    assert!(matches!(clusters.delete(&token("local")).await, Err(ClusterError::NotFound { .. })));
}

#[tokio::test]
async fn each_unit_gets_the_lowest_free_port_and_keeps_it() {
    let site = Site::open().await;
    site.store.clusters().ensure(NewCluster::new(token("local"))).await.expect("made");
    let ports = site.store.ports();
    let (first, second) = (WorkflowId::new(), WorkflowId::new());
    let of = async |workflow, names: &[&str]| -> Vec<u16> {
        let reserved =
            ports.reserve(&token("local"), workflow, &units(names)).await.expect("reserved");
        reserved.iter().map(|reserved| reserved.port).collect()
    };
    assert_eq!(of(first, &["app@0.service", "app@1.service"]).await, [45_000, 45_001]);
    assert_eq!(
        of(first, &["app@1.service", "app@0.service"]).await,
        [45_001, 45_000],
        "asking again changes nothing"
    );
    assert_eq!(
        of(second, &["app@1.service", "db.service"]).await,
        [45_001, 45_002],
        "a unit keeps its port"
    );
    let released = ports
        .release(&token("local"), Some(first), &units(&["app@0.service", "app@1.service"]))
        .await;
    assert_eq!(released.expect("released"), 1, "the other one belongs to the second workflow now");
    assert_eq!(of(second, &["web.service"]).await, [45_000], "what is free is given out again");
    let refusal = ports
        .reserve(&token("nowhere"), first, &units(&["app.service"]))
        .await
        .expect_err("no cluster");
    assert!(matches!(refusal, PortError::UnknownCluster { .. }));
}

#[tokio::test]
async fn ports_asked_for_at_once_are_all_different() {
    let site = Site::open().await;
    site.store.clusters().ensure(NewCluster::new(token("local"))).await.expect("made");
    let asked = (0..50).map(|at| {
        let ports = site.store.ports();
        async move {
            let unit = units(&[&format!("app@{at}.service")]);
            ports.reserve(&token("local"), WorkflowId::new(), &unit).await.expect("reserved")[0]
                .port
        }
    });
    let mut ports = futures_util::future::join_all(asked).await;
    ports.sort_unstable();
    assert_eq!(ports, (45_000..45_050).collect::<Vec<u16>>());
}

#[tokio::test]
async fn a_unique_event_is_made_once_an_hour() {
    let site = Site::open().await;
    let events = site.store.system_events();
    let new = NewSystemEvent {
        kind: "disk_full".into(),
        severity: "error".into(),
        data: Some(json!({ "node": 1 })),
        unique: true,
        ..NewSystemEvent::default()
    };
    let made = events.create(new.clone()).await.expect("made");
    let refusal = events.create(new.clone()).await.expect_err("it is there");
    assert!(matches!(refusal, SystemEventError::Duplicate { id } if id == made.id));
    let other = NewSystemEvent { data: Some(json!({ "node": 2 })), ..new.clone() };
    events.create(other).await.expect("it says something else");
    let vague = NewSystemEvent { data: None, ..new.clone() };
    assert!(events.create(vague).await.is_err(), "without data it may be the same");
    site.pass(3_600_001);
    events.create(new).await.expect("an hour has passed");
    let empty = events.create(NewSystemEvent::default()).await.expect_err("it says nothing");
    assert_eq!(empty.to_string(), "type: it must have 1 to 255 characters");
}

#[tokio::test]
async fn an_event_is_assigned_listed_and_dismissed() {
    let site = Site::open().await;
    let (events, users) = (site.store.system_events(), site.store.users());
    let admin = users.ensure("admin@localhost", "OpenAperture", "Admin").await.expect("made");
    assert_eq!(users.ensure("admin@localhost", "Other", "Name").await.expect("there"), admin);
    let new =
        NewSystemEvent { kind: "odd".into(), severity: "info".into(), ..NewSystemEvent::default() };
    let made = events.create(new).await.expect("made");
    let assigned = events.assign(made.id, admin.id, admin.id).await.expect("assigned");
    assert_eq!(
        (assigned.assignee_id, assigned.assigned_at_ms),
        (Some(admin.id), Some(site.now_ms()))
    );
    let mine = events.list(SystemEventFilter::AssignedTo(admin.id)).await.expect("an answer");
    assert_eq!(mine, [assigned]);
    let dismissed =
        events.dismiss(made.id, admin.id, Some("seen".into())).await.expect("dismissed");
    assert_eq!(dismissed.dismissed_reason.as_deref(), Some("seen"));
    assert!(matches!(
        events.assign(99, admin.id, admin.id).await,
        Err(SystemEventError::NotFound { id: 99 })
    ));
    assert!(matches!(
        events.assign(made.id, 99, admin.id).await,
        Err(SystemEventError::UnknownUser { id: 99 })
    ));
    let recent = events.list(SystemEventFilter::Since(site.now_ms() + 1)).await.expect("an answer");
    assert!(recent.is_empty());
}

#[tokio::test]
async fn a_module_is_registered_by_its_first_heartbeat() {
    let site = Site::open().await;
    let modules = site.store.modules();
    let mut beat = Heartbeat {
        hostname: "node-1".into(),
        kind: "builder".into(),
        status: "active".into(),
        workload: vec!["config of acme/shop_docker".into()],
    };
    modules.heartbeat(&beat, None).await.expect("noted");
    site.pass(30_000);
    beat.workload.clear();
    modules.heartbeat(&beat, None).await.expect("noted");
    let found = modules.list().await.expect("an answer");
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].updated_at_ms - found[0].inserted_at_ms, 30_000);
    assert!(found[0].workload.is_empty());
    let fresh = Duration::from_secs(60);
    assert_eq!(modules.active("builder", fresh).await.expect("an answer").len(), 1);
    site.pass(61_000);
    assert!(modules.active("builder", fresh).await.expect("an answer").is_empty());
}
