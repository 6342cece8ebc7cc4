//! Every wire type against its golden file: what a process of an earlier release sent must still be understood.
//!
//! A golden file is written once, when its type is new (`OA_WRITE_GOLDENS=1 cargo nextest run -p oa-protocol`), and
//! never changed afterwards. A type that gains a field gets a second file beside the first.

use std::fmt::Debug;
use std::path::PathBuf;
use std::time::Duration;

use oa_runtime::Wire;

use crate::build::{ConfigCommand, ConfigOutput};
use crate::cluster::{FleetConfig, HealthCheck, RolloutPolicy};
use crate::deploy::{DeployCommand, DeployOutput, DeployedUnit};
use crate::failure_code::FailureCode;
use crate::fleet_manager::{
    ListMachines, ListUnitStates, ListUnits, RestartUnit, ShowUnitCondition, UnitLogs,
};
use crate::ids::{EtcdToken, UnitName, WorkflowId};
use crate::manager::{GetCluster, ReleasePorts, ReportSystemEvent, ReservePorts};
use crate::metering::{IntervalEnd, RecordIntervals, UnitInterval};
use crate::module::Heartbeat;
use crate::step::{CancelStep, StepFailure, StepKey, StepNews, StepOutput, StepReport};
use crate::unit::{Unit, UnitOption};
use crate::workflow::WorkflowChanged;

/// Compares `sample` with the golden file `<wire name>[.<variant>].json`, in both directions.
fn check<M: Wire + PartialEq + Debug>(variant: &str, sample: &M) {
    let name =
        if variant.is_empty() { M::NAME.to_owned() } else { format!("{}.{variant}", M::NAME) };
    let file =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden").join(format!("{name}.json"));
    if std::env::var_os("OA_WRITE_GOLDENS").is_some() && !file.exists() {
        let text = serde_json::to_string_pretty(sample).expect("a wire type can be encoded");
        std::fs::write(&file, text + "\n").expect("the golden directory is writable");
    }
    let golden =
        std::fs::read_to_string(&file).unwrap_or_else(|why| panic!("{}: {why}", file.display()));
    let decoded: M = serde_json::from_str(&golden)
        .unwrap_or_else(|why| panic!("{name} no longer decodes: {why}"));
    assert_eq!(&decoded, sample, "{name} decodes to something else");
    let again = serde_json::to_value(sample).expect("a wire type can be encoded");
    let golden: serde_json::Value = serde_json::from_str(&golden).expect("a golden file is JSON");
    assert_eq!(again, golden, "{name} encodes to something else");
}

/// Text, so that the files never change.
const ID: &str = "01930000-0000-7000-8000-000000000001";

fn workflow_id() -> WorkflowId {
    ID.parse().expect("a valid id")
}

fn token() -> EtcdToken {
    EtcdToken::new("local").expect("a valid token")
}

fn unit_name() -> UnitName {
    UnitName::new("hello@0.service").expect("a valid name")
}

fn step() -> StepKey {
    StepKey {
        workflow_id: workflow_id(),
        seq: 1,
        attempt_id: ID.parse().expect("a valid id"),
        attempt_no: 2,
        epoch: 3,
    }
}

fn unit() -> Unit {
    Unit::new(
        "hello@.service",
        vec![UnitOption::new("Service", "ExecStart", "/bin/hello <%= dst_port %>")],
    )
}

fn fleet_config() -> FleetConfig {
    FleetConfig {
        instance_cnt: Some(2),
        health: Some(HealthCheck {
            http: Some("/health".into()),
            tcp: true,
            timeout: Duration::from_secs(1),
        }),
        deploy: Some(RolloutPolicy {
            settle: Duration::from_millis(1500),
            healthy_within: Duration::from_secs(60),
            quorum: Some(1),
        }),
    }
}

#[test]
fn commands_of_workers_keep_their_shape() {
    check(
        "",
        &ConfigCommand {
            step: step(),
            deployment_repo: "acme/shop_docker".into(),
            deployment_repo_git_ref: Some("main".into()),
            source_repo: Some("acme/shop".into()),
            source_repo_git_ref: Some("v7".into()),
            needs_cluster: true,
            timeout: Duration::from_secs(600),
        },
    );
    let deploy = DeployCommand {
        step: step(),
        etcd_token: token(),
        units: vec![unit()],
        fleet_config: fleet_config(),
        generation: 7,
        product: None,
        timeout: Duration::from_secs(1800),
    };
    check("", &deploy);
    check("product", &DeployCommand { product: Some("shop".into()), ..deploy });
    check("", &CancelStep { step: step(), reason: "cancelled by admin".into() });
}

#[test]
fn reports_of_workers_keep_their_shape() {
    let report = |news| StepReport {
        step: step(),
        worker: "build-1".into(),
        at_ms: 1_780_000_000_000,
        news,
    };
    check("accepted", &report(StepNews::Accepted));
    check(
        "progress",
        &report(StepNews::Progress {
            message: "started".into(),
            waiting_for: Some("GET /health".into()),
        }),
    );
    let config = ConfigOutput {
        etcd_token: Some(token()),
        units: vec![unit()],
        fleet_config: fleet_config(),
        source_commit: Some("0123456789abcdef0123456789abcdef01234567".into()),
        source_repo: Some("acme/shop".into()),
        deployment_commit: "89abcdef0123456789abcdef0123456789abcdef".into(),
        pushed: true,
    };
    check(
        "config_done",
        &report(StepNews::Succeeded { output: StepOutput::Config(Box::new(config)) }),
    );
    let deployed = DeployedUnit {
        name: unit_name(),
        machine_id: Some("m1".into()),
        address: Some("127.0.0.1:45000".into()),
    };
    check(
        "deploy_done",
        &report(StepNews::Succeeded {
            output: StepOutput::Deploy(DeployOutput { units: vec![deployed] }),
        }),
    );
    let failure = |code| StepFailure {
        message: "no".into(),
        hint: Some("try".into()),
        retryable: true,
        code,
    };
    check("failed", &report(StepNews::Failed { failure: failure(FailureCode::Other) }));
    let unhealthy = failure(FailureCode::UnitUnhealthy);
    check("failed_with_code", &report(StepNews::Failed { failure: unhealthy }));
}

#[test]
fn asks_to_the_manager_keep_their_shape() {
    check("", &GetCluster { etcd_token: token() });
    check(
        "",
        &ReservePorts { etcd_token: token(), workflow_id: workflow_id(), units: vec![unit_name()] },
    );
    check(
        "",
        &ReleasePorts {
            etcd_token: token(),
            workflow_id: Some(workflow_id()),
            units: vec![unit_name()],
        },
    );
    check(
        "",
        &ReportSystemEvent {
            kind: "unhandled_exception".into(),
            severity: "error".into(),
            message: "boom".into(),
            data: serde_json::json!({"component": "builder"}),
        },
    );
    check("", &WorkflowChanged { workflow_id: workflow_id() });
    check(
        "",
        &Heartbeat {
            hostname: "build-1".into(),
            kind: "builder".into(),
            status: "active".into(),
            workload: vec!["config of …0001".into()],
        },
    );
}

#[test]
fn records_of_runs_keep_their_shape() {
    let interval = UnitInterval {
        id: ID.parse().expect("a valid id"),
        unit: unit_name(),
        unit_hash: "d8a8".into(),
        product: Some("shop".into()),
        generation: Some(7),
        workflow_id: Some(workflow_id()),
        machine_id: "m1".into(),
        boot_id: "b1".into(),
        started_at_ms: 1_780_000_000_000,
        ran_ms: 61_500,
        end: IntervalEnd::Known { how: "exit status: 0".into() },
        cpu_ms: Some(1_200),
        memory_peak_bytes: Some(7_340_032),
    };
    let other = |end| UnitInterval {
        product: None,
        generation: None,
        workflow_id: None,
        end,
        cpu_ms: None,
        memory_peak_bytes: None,
        ..interval.clone()
    };
    let intervals =
        vec![interval.clone(), other(IntervalEnd::Running), other(IntervalEnd::Unknown)];
    check(
        "",
        &RecordIntervals {
            etcd_token: token(),
            exchange: "aws.us-east-1".into(),
            intervals,
            cursor: Some("c1:100".into()),
        },
    );
}

#[test]
fn questions_about_clusters_keep_their_shape() {
    check("", &ListMachines { etcd_token: token() });
    check("", &ListUnits { etcd_token: token() });
    check("", &ListUnitStates { etcd_token: token() });
    check(
        "",
        &UnitLogs {
            etcd_token: token(),
            unit_name: unit_name(),
            after: Some(7),
            lines: Some(10),
            wait_ms: 100,
        },
    );
    check("", &RestartUnit { etcd_token: token(), unit_name: unit_name() });
    check("", &ShowUnitCondition { etcd_token: token(), unit_name: unit_name() });
}

#[test]
fn a_field_that_a_later_release_adds_is_no_obstacle() {
    let text = format!("{{\"workflow_id\": \"{ID}\", \"a_later_field\": 1}}");
    let decoded: WorkflowChanged = serde_json::from_str(&text).expect("unknown fields are ignored");
    assert_eq!(decoded.workflow_id, workflow_id());
}
