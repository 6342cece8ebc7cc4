//! Units and their states: reading, removing, restarting.

use actix_web::{HttpRequest, HttpResponse, web};
use oa_fleet::UnitName;
use oa_fleet::unit::{UnitDesire, UnitState};
use serde_json::{Map, Value, json};

use super::error::ApiError;
use super::name::known;
use super::page::{paged, values};
use crate::cluster::Cluster;
use crate::registry::Definition;
use crate::scheduling::Requirements;
use crate::states::View;

type Answer = Result<web::Json<Value>, ApiError>;

/// A unit as the API shows it: what is empty is left out, the value of an option too.
///
/// One for every machine is on none in particular: its states tell where it is.
fn shown(cluster: &Cluster, definition: &Definition) -> Value {
    let is_global = Requirements::of(&definition.name, &definition.options).is_global();
    let view = cluster.states.get(&definition.name).filter(|_| !is_global);
    let option = |option: &oa_fleet::unit::UnitOption| {
        let fields =
            [("section", &option.section), ("name", &option.name), ("value", &option.value)];
        let filled = fields.into_iter().filter(|(_, text)| !text.is_empty());
        Value::from(filled.map(|(key, text)| (key.to_owned(), json!(text))).collect::<Map<_, _>>())
    };
    let mut unit = json!({
        "name": definition.name,
        "options": definition.options.iter().map(option).collect::<Vec<_>>(),
        "desiredState": definition.desired,
        "currentState": view.as_ref().map_or(UnitDesire::Inactive, |view| view.current),
    });
    if view.is_some() {
        unit["machineID"] = json!(cluster.machine().id);
    }
    unit
}

fn state(machine_id: &str, name: &UnitName, view: View) -> UnitState {
    UnitState {
        name: name.to_string(),
        hash: view.hash,
        machine_id: machine_id.to_owned(),
        systemd_load_state: view.load.into(),
        systemd_active_state: view.active.into(),
        systemd_sub_state: view.sub.into(),
    }
}

/// `GET /units`.
pub(super) async fn list(cluster: web::Data<Cluster>, request: HttpRequest) -> Answer {
    let definitions: Vec<Definition> = cluster.registry().iter().cloned().collect();
    let units: Vec<Value> =
        definitions.iter().map(|definition| shown(&cluster, definition)).collect();
    paged("units", &units, request.query_string()).map(web::Json)
}

/// `GET /units/<name>`: 404 if it is not known.
pub(super) async fn get(cluster: web::Data<Cluster>, name: web::Path<String>) -> Answer {
    let name = known(&name)?;
    let definition = cluster.registry().get(&name).cloned().ok_or_else(ApiError::no_unit)?;
    let mut unit = shown(&cluster, &definition);
    // The original shows `inactive` of a unit for every machine in the list, and nothing here.
    if Requirements::of(&name, &definition.options).is_global()
        && let Some(fields) = unit.as_object_mut()
    {
        fields.remove("currentState");
    }
    Ok(web::Json(unit))
}

/// `DELETE /units/<name>`: 204; the unit stops afterwards.
pub(super) async fn delete(
    cluster: web::Data<Cluster>,
    name: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let name = known(&name)?;
    match cluster.forget(&name) {
        Ok(true) => Ok(HttpResponse::NoContent().finish()),
        Ok(false) => Err(ApiError::no_unit()),
        Err(why) => Err(ApiError::not_stored("failed to forget the unit", &why, cluster.storage())),
    }
}

/// `POST /oa/v1/units/<name>/restart`: 204; 409 unless it should run.
pub(super) async fn restart(
    cluster: web::Data<Cluster>,
    name: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let name = known(&name)?;
    let definition = cluster.registry().get(&name).cloned().ok_or_else(ApiError::no_unit)?;
    if definition.desired != UnitDesire::Launched {
        return Err(ApiError::new(409, "the unit is not launched, so it cannot be restarted"));
    }
    let stored = cluster.define(name, definition.options, UnitDesire::Launched);
    stored.map_err(|why| {
        ApiError::not_stored("failed to store the restart", &why, cluster.storage())
    })?;
    Ok(HttpResponse::NoContent().finish())
}

/// `POST /oa/v1/units/<name>/reload`: 204 when its keeper is asked; 409 if it is not running or has no `ExecReload=`.
pub(super) async fn reload(
    cluster: web::Data<Cluster>,
    name: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let name = known(&name)?;
    let definition = cluster.registry().get(&name).cloned().ok_or_else(ApiError::no_unit)?;
    let plan = cluster.plan(&name, &definition.options);
    if !plan.is_ok_and(|plan| !plan.reload.is_empty()) {
        return Err(ApiError::new(409, "the unit has no ExecReload=, so it cannot be reloaded"));
    }
    if !cluster.states.launch_of(&name).is_some_and(|(_, phase)| phase.is_up()) {
        let why = cluster.gate.reason(&name).map(|(why, _)| format!(": {why}")).unwrap_or_default();
        let message = format!("the unit is not running, so it cannot be reloaded{why}");
        return Err(ApiError::new(409, message));
    }
    let asked = crate::keeper::ask_to_reload(&cluster.run_of(&name)).await;
    asked.map_err(|why| ApiError::failed("failed to ask the unit's keeper", &why))?;
    Ok(HttpResponse::NoContent().finish())
}

/// `GET /state`, by `unitName` and `machineID` if given.
pub(super) async fn list_states(cluster: web::Data<Cluster>, request: HttpRequest) -> Answer {
    let query = request.query_string();
    let (units, machines) = (values(query, "unitName"), values(query, "machineID"));
    let own = cluster.machine().id.clone();
    let here = machines.first().is_none_or(|machine| machine.is_empty() || *machine == own);
    let mut states: Vec<UnitState> =
        cluster.states.all().into_iter().map(|(name, view)| state(&own, &name, view)).collect();
    states.retain(|state| {
        here && units.first().is_none_or(|unit| unit.is_empty() || *unit == state.name)
    });
    paged("states", &states, query).map(web::Json)
}

/// `GET /state/<name>`: 404 if it is on no machine.
pub(super) async fn get_state(
    cluster: web::Data<Cluster>,
    name: web::Path<String>,
) -> Result<web::Json<UnitState>, ApiError> {
    let name = known(&name)?;
    let view = cluster.states.get(&name).ok_or_else(ApiError::no_unit)?;
    let own = cluster.machine().id.clone();
    Ok(web::Json(state(&own, &name, view)))
}
