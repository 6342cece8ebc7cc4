//! Clusters and the units on them.

use oa_api::{Finding, ReasonCode};
use oa_protocol::unit::{Unit, UnitState};
use oa_protocol::{EtcdToken, UnitName};

use super::finding::{YOU, finding};
use super::{state_of, unit};
use crate::app::App;
use crate::error::ApiError;
use crate::services::LogQuery;

/// Lines of its output that a finding shows.
const LINES: u32 = 10;
/// Units in trouble that are looked at one by one.
const MAX_UNITS: usize = 20;

/// Why a unit does not run; nothing if it does.
pub(crate) async fn one_unit(
    app: &App,
    token: EtcdToken,
    name: UnitName,
) -> Result<Vec<Finding>, ApiError> {
    let units = app.fleet.units(token.clone()).await?;
    let Some(unit) = units.iter().find(|unit| unit.name == name.as_str()) else {
        return Err(ApiError::not_found(format!("Unit {name}"))
            .did_you_mean(name.as_str(), units.iter().map(|unit| unit.name.as_str())));
    };
    let states = app.fleet.states(token.clone()).await?;
    let state = state_of(&states, &unit.name).cloned();
    Ok(look(app, &token, unit.clone(), state).await?.into_iter().collect())
}

/// Why a cluster, or what should run there, does not.
pub(crate) async fn cluster(app: &App, token: &EtcdToken) -> Vec<Finding> {
    let subject = format!("cluster {token}");
    match app.fleet.machines(token.clone()).await {
        Err(error) => return vec![unanswered(&subject, &error)],
        Ok(machines) if machines.is_empty() => {
            let reason = "it has no machine, so nothing can run there";
            let draft = finding(&subject, "empty", ReasonCode::NoMachine, reason);
            return vec![draft.then(YOU, "add a machine to the cluster").done()];
        }
        Ok(_) => {}
    }
    match units_in_trouble(app, token, |_| true).await {
        Ok(findings) => findings,
        Err(error) => vec![unanswered(&subject, &error)],
    }
}

/// The units of a cluster that should run and do not, as far as `wanted` picks them.
pub(super) async fn units_in_trouble(
    app: &App,
    token: &EtcdToken,
    wanted: impl Fn(&str) -> bool,
) -> Result<Vec<Finding>, ApiError> {
    let (units, states) =
        (app.fleet.units(token.clone()).await?, app.fleet.states(token.clone()).await?);
    let mut troubled: Vec<Unit> = units
        .into_iter()
        .filter(|unit| wanted(&unit.name) && unit::is_in_trouble(unit, &states))
        .collect();
    let surplus = troubled.len().saturating_sub(MAX_UNITS);
    troubled.truncate(MAX_UNITS);
    let mut findings = Vec::new();
    for one in troubled {
        let state = state_of(&states, &one.name).cloned();
        findings.extend(look(app, token, one, state).await?);
    }
    if surplus > 0 {
        findings.push(more_in_trouble(token.as_str(), surplus));
    }
    Ok(findings)
}

/// One line for units beyond those that are looked at one by one.
fn more_in_trouble(cluster: &str, count: usize) -> Finding {
    let reason = format!("{count} more units should run and do not");
    finding(&format!("cluster {cluster}"), "in trouble", ReasonCode::UnitFailed, reason)
        .then(YOU, "oa why <unit> says why, unit by unit")
        .done()
}

async fn look(
    app: &App,
    token: &EtcdToken,
    unit: Unit,
    state: Option<UnitState>,
) -> Result<Option<Finding>, ApiError> {
    let Ok(name) = UnitName::new(unit.name.clone()) else { return Ok(None) };
    let condition = app.fleet.condition(token.clone(), name.clone()).await?;
    let query = LogQuery { after: None, lines: Some(LINES), wait: std::time::Duration::ZERO };
    // A unit that has printed nothing, or an engine without outputs, is no reason to say nothing.
    let page = app.fleet.logs(token.clone(), name, query).await.unwrap_or_default();
    let log = page.text.lines().map(str::to_owned).collect();
    let facts = unit::Facts {
        cluster: token.to_string(),
        unit,
        state,
        condition,
        log,
        now_ms: app.store.clock().now_ms(),
    };
    Ok(facts.finding())
}

/// What it means that a cluster gave no answer.
fn unanswered(subject: &str, error: &ApiError) -> Finding {
    let (code, owner, next) = match error.code() {
        "no_fleet_manager" => (
            ReasonCode::NoFleetManager,
            YOU,
            "start a node whose `components` list `fleet_manager`",
        ),
        "not_found" => (
            ReasonCode::ClusterUnknown,
            YOU,
            "configure the cluster at the node with its FleetManager, or forget it: DELETE /clusters/<token>",
        ),
        _ => (
            ReasonCode::ClusterSilent,
            "the cluster",
            "it is asked again with the next question; see that its machine runs and can be reached",
        ),
    };
    finding(subject, "not answering", code, error.to_string()).then(owner, next).done()
}
