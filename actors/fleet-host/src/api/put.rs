//! `PUT /units/<name>`: makes a unit, replaces it, or changes what is wanted of it.
//!
//! # Source
//!
//! coreos/fleet v1.0.0, `api/units.go` (`set`, `create`, `update`): the order of the checks is its order.

use actix_web::http::header::CONTENT_TYPE;
use actix_web::{HttpRequest, HttpResponse, web};
use oa_fleet::unit::{UnitDesire, UnitOption};
use oa_fleet::{UnitName, unit_file};

use super::body::UnitBody;
use super::error::ApiError;
use super::name;
use crate::cluster::Cluster;
use crate::registry::Definition;
use crate::scheduling::Requirements;
use crate::service::{self, Host};

/// 201 when the unit was made or replaced, 204 when its state was changed.
pub(super) async fn put(
    cluster: web::Data<Cluster>,
    request: HttpRequest,
    name: web::Path<String>,
    body: web::Bytes,
) -> Result<HttpResponse, ApiError> {
    check_content_type(&request)?;
    let body = UnitBody::read(&body)?;
    if !body.name.is_empty() && body.name != *name {
        let other = body.name.escape_default();
        let message =
            format!("name in URL \"{name}\" differs from unit name in request body \"{other}\"");
        return Err(ApiError::new(400, message));
    }
    let name = name::checked(&name)?;
    let known = cluster.registry().get(&name).cloned();
    let options = canonical(&body.options)?;
    match known {
        None if options.is_empty() => {
            Err(ApiError::new(409, "unit does not exist and options field empty"))
        }
        None => store_new(&cluster, name, options, &body.desired_state),
        Some(known) if !options.is_empty() && known.options != options => {
            store_new(&cluster, name, options, &body.desired_state)
        }
        Some(known) => change_desire(&cluster, &known, &body.desired_state),
    }
}

fn check_content_type(request: &HttpRequest) -> Result<(), ApiError> {
    let all: Vec<_> = request.headers().get_all(CONTENT_TYPE).collect();
    let [one] = all.as_slice() else {
        return Err(ApiError::new(415, format!("expected 1 Content-Type, got {}", all.len())));
    };
    let kind = one.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if kind == "application/json" {
        Ok(())
    } else {
        Err(ApiError::new(415, "only acceptable Content-Type is application/json"))
    }
}

/// The options as they stand in the unit file: section by section, without blanks around values.
fn canonical(options: &[UnitOption]) -> Result<Vec<UnitOption>, ApiError> {
    unit_file::check(options).map_err(|why| ApiError::new(400, why.to_string()))?;
    let text = unit_file::write(options);
    unit_file::parse(&text, "unit").map_err(|why| ApiError::new(400, why.to_string()))
}

/// What `PUT /units/<name>` would store of a body, and could run; for `tests/fuzz`. Nothing is stored or run.
///
/// # Errors
///
/// The words of the refusal.
#[doc(hidden)]
pub fn read_put(name: &str, body: &[u8]) -> Result<Vec<UnitOption>, String> {
    let words = |why: ApiError| why.to_string();
    let body = UnitBody::read(body).map_err(words)?;
    let name = name::checked(name).map_err(words)?;
    let options = canonical(&body.options).map_err(words)?;
    if let Some(why) = Requirements::of(&name, &options).contradiction() {
        return Err(why);
    }
    let _wanted = desire(&body.desired_state).map_err(words)?;
    let host = Host::here("0123456789abcdef0123456789abcdef", true, 1);
    // Refused or not, it was read.
    let _plan = service::plan(&name, &options, &host);
    Ok(options)
}

fn desire(text: &str) -> Result<Option<UnitDesire>, ApiError> {
    match text {
        "" => Ok(None),
        "inactive" => Ok(Some(UnitDesire::Inactive)),
        "loaded" => Ok(Some(UnitDesire::Loaded)),
        "launched" => Ok(Some(UnitDesire::Launched)),
        // The original stores any text, and can neither show nor remove the unit from then on.
        other => Err(ApiError::new(
            400,
            format!(
                "invalid desiredState \"{}\": expect inactive, loaded, or launched",
                other.escape_default()
            ),
        )),
    }
}

fn store_new(
    cluster: &Cluster,
    name: UnitName,
    options: Vec<UnitOption>,
    state: &str,
) -> Result<HttpResponse, ApiError> {
    if let Some(why) = Requirements::of(&name, &options).contradiction() {
        return Err(ApiError::new(400, why));
    }
    let desired = desire(state)?.unwrap_or(UnitDesire::Inactive);
    check_runnable(cluster, &name, &options, desired)?;
    store(cluster, name, options, desired)?;
    Ok(HttpResponse::Created().finish())
}

fn change_desire(
    cluster: &Cluster,
    known: &Definition,
    state: &str,
) -> Result<HttpResponse, ApiError> {
    let Some(desired) = desire(state)? else {
        return Err(ApiError::new(409, "must provide DesiredState to update existing unit"));
    };
    check_runnable(cluster, &known.name, &known.options, desired)?;
    if known.desired != desired {
        store(cluster, known.name.clone(), known.options.clone(), desired)?;
    }
    Ok(HttpResponse::NoContent().finish())
}

fn store(
    cluster: &Cluster,
    name: UnitName,
    options: Vec<UnitOption>,
    desired: UnitDesire,
) -> Result<(), ApiError> {
    let stored = cluster.define(name, options, desired);
    stored.map_err(|why| ApiError::not_stored("failed to store the unit", &why, cluster.storage()))
}

/// Refuses now what could not run later. What is only kept, such as a template or a timer, need not run.
fn check_runnable(
    cluster: &Cluster,
    name: &UnitName,
    options: &[UnitOption],
    desired: UnitDesire,
) -> Result<(), ApiError> {
    if name.is_template() && desired != UnitDesire::Inactive {
        return Err(ApiError::new(400, format!("cannot activate template \"{name}\"")));
    }
    let only_kept = name.is_template() || name.kind() != "service";
    if only_kept && desired == UnitDesire::Inactive {
        return Ok(());
    }
    let plan = cluster.plan(name, options);
    let checked = plan.and_then(|_| cluster.check_dependencies(name, options));
    checked.map_err(|why| ApiError::new(400, format!("{name} cannot run here: {why}")))
}
