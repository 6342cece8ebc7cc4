//! The typed mailboxes: `manager` and `system_modules`.

use std::time::Duration;

use oa_protocol::manager::{GetCluster, ReleasePorts, ReportSystemEvent, ReservePorts};
use oa_protocol::module::Heartbeat;
use oa_protocol::{EtcdToken, RefusalCode, UnitName, WorkflowId, mailbox};
use oa_runtime::Wire;
use serde_json::json;

use crate::manager::TestManager;

const DEADLINE: Duration = Duration::from_secs(10);

async fn ask<M: Wire>(manager: &TestManager, mailbox: &str, question: M) -> M::Reply {
    let address = manager.post_office().address(mailbox);
    manager.post_office().recipient::<M>(&address).ask(question, DEADLINE).await.expect("an answer")
}

fn token(text: &str) -> EtcdToken {
    EtcdToken::new(text).expect("a token")
}

fn unit(text: &str) -> UnitName {
    UnitName::new(text).expect("a unit name")
}

#[tokio::test]
async fn a_component_gets_the_record_of_a_cluster() {
    let manager = TestManager::start().await;
    let body = json!({"etcd_token": "east", "name": "East", "allow_docker_builds": true});
    manager.post("/clusters", body).await.expect_status(201);
    let record = ask(&manager, mailbox::MANAGER, GetCluster { etcd_token: token("east") })
        .await
        .expect("a record");
    assert_eq!((record.etcd_token.as_str(), record.name.as_deref()), ("east", Some("East")));
    assert!(record.allow_docker_builds);

    let refusal = ask(&manager, mailbox::MANAGER, GetCluster { etcd_token: token("west") })
        .await
        .expect_err("no record");
    assert_eq!(refusal.code, RefusalCode::NotFound);
    assert!(refusal.message.contains("west"), "{refusal}");
}

#[tokio::test]
async fn ports_are_reserved_once_for_a_unit_and_freed_again() {
    let manager = TestManager::start().await;
    manager.cluster("east").await;
    let workflow_id = WorkflowId::new();
    let units = vec![unit("app@0.service"), unit("app@1.service")];
    let reserve = || ReservePorts { etcd_token: token("east"), workflow_id, units: units.clone() };

    let first = ask(&manager, mailbox::MANAGER, reserve()).await.expect("ports");
    let ports: Vec<u16> = first.iter().map(|reserved| reserved.port).collect();
    assert_eq!(ports, [45000, 45001]);
    assert_eq!(ask(&manager, mailbox::MANAGER, reserve()).await.expect("the same ports"), first);

    let release = || ReleasePorts {
        etcd_token: token("east"),
        workflow_id: None,
        units: vec![unit("app@0.service")],
    };
    ask(&manager, mailbox::MANAGER, release()).await.expect("freed");
    ask(&manager, mailbox::MANAGER, release()).await.expect("freeing twice is fine");
    let other = ReservePorts {
        etcd_token: token("east"),
        workflow_id: WorkflowId::new(),
        units: vec![unit("other@0.service")],
    };
    assert_eq!(ask(&manager, mailbox::MANAGER, other).await.expect("a port")[0].port, 45000);

    let nowhere = ReservePorts { etcd_token: token("west"), workflow_id, units };
    let refusal = ask(&manager, mailbox::MANAGER, nowhere).await.expect_err("no such cluster");
    assert_eq!(refusal.code, RefusalCode::NotFound);
}

#[tokio::test]
async fn a_reported_event_is_seen_in_rest() {
    let manager = TestManager::start().await;
    let report = |kind: &str| ReportSystemEvent {
        kind: kind.to_owned(),
        severity: "error".to_owned(),
        message: "the disk is full".to_owned(),
        data: json!({"node": "build-1"}),
    };
    ask(&manager, mailbox::MANAGER, report("disk_full")).await.expect("recorded");
    let event = &manager.get("/system_events").await.json()[0];
    assert_eq!((&event["type"], &event["data"]["node"]), (&json!("disk_full"), &json!("build-1")));

    let refusal = ask(&manager, mailbox::MANAGER, report("")).await.expect_err("no kind");
    assert_eq!(refusal.code, RefusalCode::Invalid);
}

#[tokio::test]
async fn a_heartbeat_registers_a_module_and_the_next_one_updates_it() {
    let manager = TestManager::start().await;
    let beat = |status: &str, workload: &[&str]| Heartbeat {
        hostname: "build-1".to_owned(),
        kind: "builder".to_owned(),
        status: status.to_owned(),
        workload: workload.iter().map(|&line| line.to_owned()).collect(),
    };
    ask(&manager, mailbox::SYSTEM_MODULES, beat("active", &["w1: config"])).await;
    ask(&manager, mailbox::SYSTEM_MODULES, beat("inactive", &[])).await;
    let modules = manager.store().modules().list().await.expect("modules");
    assert_eq!(modules.len(), 1);
    assert_eq!((modules[0].hostname.as_str(), modules[0].status.as_str()), ("build-1", "inactive"));
}
