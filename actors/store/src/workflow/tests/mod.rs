//! What a workflow may and may not do.

mod pairs;
mod random;
mod stories;

use std::sync::Arc;

use oa_protocol::build::ConfigOutput;
use oa_protocol::deploy::DeployOutput;
use oa_protocol::step::{StepFailure, StepKey, StepNews, StepOutput, StepReport};
use oa_protocol::unit::{Unit, UnitOption};
use oa_protocol::{EtcdToken, FailureCode, WorkflowId};

use super::*;

pub(super) const NOON: i64 = 1_800_000_000_000;

pub(super) fn workflow(milestones: &[Milestone]) -> WorkflowState {
    let spec = Spec {
        deployment_repo: Some("acme/shop_docker".into()),
        milestones: Some(milestones.to_vec()),
        scheduled_start_time_ms: Some(NOON + 60_000),
        ..Spec::default()
    };
    WorkflowState { epoch: 3, ..WorkflowState::created(WorkflowId::new(), spec, Arc::default()) }
}

pub(super) fn config_and_deploy() -> WorkflowState {
    workflow(&[Milestone::Config, Milestone::Deploy])
}

pub(super) fn execute() -> Event {
    Event::Execute { options: None, by: "ada".into() }
}

pub(super) fn cancel() -> Event {
    Event::Cancel { by: "ada".into(), reason: "wrong branch".into() }
}

pub(super) fn live_key(state: &WorkflowState) -> StepKey {
    state.live.as_ref().expect("an attempt is in flight").key(state.id)
}

pub(super) fn report(step: StepKey, news: StepNews) -> Event {
    Event::StepReport(StepReport { step, worker: "node-1".into(), at_ms: NOON, news })
}

pub(super) fn configured() -> StepNews {
    let unit = Unit::new("app@.service", vec![UnitOption::new("Service", "ExecStart", "/bin/app")]);
    let output = ConfigOutput {
        etcd_token: Some(EtcdToken::new("local").expect("a valid token")),
        units: vec![unit],
        fleet_config: Default::default(),
        source_commit: Some("c0ffee".into()),
        source_repo: Some("acme/shop".into()),
        deployment_commit: "decade".into(),
        pushed: false,
    };
    StepNews::Succeeded { output: StepOutput::Config(Box::new(output)) }
}

pub(super) fn deployed() -> StepNews {
    StepNews::Succeeded { output: StepOutput::Deploy(DeployOutput { units: Vec::new() }) }
}

pub(super) fn failed(retryable: bool) -> StepNews {
    let failure = StepFailure {
        message: "git does not answer".into(),
        hint: Some("wait".into()),
        retryable,
        code: FailureCode::RepositoryUnreachable,
    };
    StepNews::Failed { failure }
}

pub(super) fn after(state: &WorkflowState, event: &Event, now_ms: i64) -> WorkflowState {
    step(state, event, now_ms).expect("the event is possible").next
}

/// A workflow whose `config` is done and whose `deploy` is in flight.
pub(super) fn deploying() -> WorkflowState {
    let state = after(&config_and_deploy(), &execute(), NOON);
    after(&state, &report(live_key(&state), configured()), NOON + 2000)
}

/// A workflow that waits, since `holder` deploys there.
pub(super) fn blocked_by(holder: WorkflowId) -> WorkflowState {
    let mut state = after(&config_and_deploy(), &execute(), NOON);
    state
        .targets
        .insert(Target::new("local", "app"), TargetView { generation: 7, holder: Some(holder) });
    after(&state, &report(live_key(&state), configured()), NOON + 2000)
}

/// One workflow for each state, as the machine itself makes them where it can.
pub(super) fn one_of_each() -> Vec<WorkflowState> {
    let created = config_and_deploy();
    let scheduled = after(&workflow(&[Milestone::Scheduled, Milestone::Config]), &execute(), NOON);
    let running = after(&created, &execute(), NOON);
    let waiting = blocked_by(WorkflowId::new());
    let deploying = deploying();
    let succeeded = after(&deploying, &report(live_key(&deploying), deployed()), NOON + 5000);
    let failed = after(&running, &report(live_key(&running), failed(false)), NOON + 5000);
    let cancelled = after(&running, &cancel(), NOON + 5000);
    let unreachable = |status| WorkflowState { status, live: None, ..running.clone() };
    vec![
        created,
        scheduled,
        running.clone(),
        waiting,
        unreachable(Status::Undoing),
        unreachable(Status::Parked),
        succeeded,
        failed,
        unreachable(Status::RolledBack),
        cancelled,
    ]
}
