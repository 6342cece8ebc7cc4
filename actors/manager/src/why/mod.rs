//! Why something waits, failed or was refused: `GET /why` and its relatives.
//!
//! ```text
//! workflow  journal, timers, outbox, heartbeats        ┐
//! unit      definition, state, keeper's word, output   ├─► one finding each: reason, who acts next, what happens
//! cluster   its answers, then its units in trouble     │
//! node      probes, parked messages, silent components ┘  (and all of the above)
//! ```
//!
//! What is looked at is read here; what it means is said by pure functions in the files below.

mod finding;
mod node;
mod place;
mod unit;
mod workflow;

use std::time::Duration;

use oa_api::Finding;
use oa_protocol::WorkflowId;
use oa_protocol::unit::UnitState;
use oa_store::workflow::Target;

use crate::app::App;
use crate::error::ApiError;
use crate::services::store_failed;

pub(crate) use node::node;
pub(crate) use place::{cluster, one_unit};

/// A component without a heartbeat for so long is silent; they come every half minute.
pub(crate) const HEARD_WITHIN: Duration = Duration::from_secs(90);
/// Most messages of the outbox that are looked through.
const MAX_MAIL: u64 = 1_000;
/// What errors are about.
const WORKFLOW: &str = "Workflow";

/// Why a workflow does not go on, and the units that it waits for.
pub(crate) async fn workflow(app: &App, id: WorkflowId) -> Result<Vec<Finding>, ApiError> {
    let failed = |error| store_failed(WORKFLOW, &error);
    let state = app.store.journal().load(id).await.map_err(failed)?;
    let record = app.store.workflows().get(id).await.map_err(failed)?;
    let (Some(state), Some(mut record)) = (state, record) else {
        return Err(app.workflows.missing(&id.to_string()).await);
    };
    let mut mail = Vec::new();
    let mut workers = Vec::new();
    if let Some(live) = &state.live {
        let key = live.id.to_string();
        let waiting = app.store.outbox().waiting(MAX_MAIL).await;
        mail = waiting.map_err(|error| store_failed(WORKFLOW, &error.into()))?;
        mail.retain(|message| message.key.as_ref() == Some(&key));
        let component = workflow::component_of(&live.to.mailbox);
        workers = app.store.modules().active(component, HEARD_WITHIN).await.map_err(failed)?;
    }
    let is_deploying = state.live.is_some();
    let targets = state.claim.as_ref().map(|claim| claim.targets.clone()).unwrap_or_default();
    let facts = workflow::Facts {
        state,
        waiting_for: record.waiting_for,
        last: record.events.pop(),
        mail,
        workers,
        now_ms: app.store.clock().now_ms(),
    };
    let mut findings: Vec<Finding> = facts.finding().into_iter().collect();
    if is_deploying {
        findings.extend(units_of(app, &targets).await);
    }
    Ok(findings)
}

/// The units of `targets` in trouble. A cluster that does not answer has nothing to add: the workflow says so itself.
async fn units_of(app: &App, targets: &[Target]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (cluster, prefix) in targets.iter().filter_map(|target| target.as_str().split_once('/')) {
        let Ok(record) = app.clusters.get(cluster).await else { continue };
        let is_own =
            |name: &str| oa_protocol::UnitName::new(name).is_ok_and(|name| name.prefix() == prefix);
        if let Ok(found) = place::units_in_trouble(app, &record.etcd_token, is_own).await {
            findings.extend(found);
        }
    }
    findings
}

/// The state of `unit` on the machine that it is on.
fn state_of<'a>(states: &'a [UnitState], unit: &str) -> Option<&'a UnitState> {
    states.iter().find(|state| state.name == unit)
}
