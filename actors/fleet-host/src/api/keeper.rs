//! `GET /oa/v1/units/<name>/keeper`: what the keeper of a unit says of it.

use actix_web::web;
use serde_json::{Value, json};

use super::error::ApiError;
use super::name::known;
use crate::cluster::Cluster;

/// 404 if the unit has no keeper now.
pub(super) async fn get(
    cluster: web::Data<Cluster>,
    name: web::Path<String>,
) -> Result<web::Json<Value>, ApiError> {
    let name = known(&name)?;
    let kept = cluster.states.kept(&name).ok_or_else(ApiError::no_unit)?;
    let status = &kept.said.status;
    Ok(web::Json(json!({
        "answers": kept.answers,
        "version": kept.said.version,
        "phase": status.phase,
        "process": status.process.as_ref().map(|process| process.pid),
        "starts": status.starts,
        "lastExit": status.last_exit,
        "output": kept.said.output,
    })))
}
