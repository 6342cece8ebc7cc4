//! `/clusters`: records, and questions that are passed on to the FleetManager.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use oa_protocol::{EtcdToken, InvalidName};
use oa_store::NewCluster;
use serde_json::json;

use crate::error::{ApiError, Problem};
use crate::request::{Call, Given};
use crate::views;

/// What errors are about.
const CLUSTER: &str = "EtcdCluster";
/// Longest texts of a cluster.
const MAX_TEXT: usize = 255;

/// `GET /clusters`: all, or with `allow_docker_builds=true` those that build.
pub(crate) async fn list_clusters(call: Call) -> Result<HttpResponse, ApiError> {
    let builds_only = call.fields(CLUSTER).boolean("allow_docker_builds") == Given::Value(true);
    let clusters = call.app.clusters.list(builds_only).await?;
    views::ok(&clusters.iter().map(views::cluster).collect::<Vec<_>>())
}

/// `POST /clusters`: 201 with `Registered id <n>`; 409 if the token is taken.
pub(crate) async fn create_cluster(call: Call) -> Result<HttpResponse, ApiError> {
    let mut fields = call.fields(CLUSTER);
    let etcd_token = fields.required_text("etcd_token", MAX_TEXT);
    let name = fields.text("name", MAX_TEXT).value();
    if name.as_deref() == Some("") {
        fields.problem(Problem::new("name", "should be at least 1 character(s)"));
    }
    let hosting_provider_id = fields.integer("hosting_provider_id").value();
    let allow_docker_builds = fields.boolean("allow_docker_builds").value();
    let messaging_exchange_id = fields.integer("messaging_exchange_id").value();
    let etcd_token = etcd_token.and_then(|token| match EtcdToken::new(token) {
        Ok(token) => Some(token),
        Err(InvalidName { why, .. }) => {
            let allowed =
                "1 to 255 letters, digits and `- _ .`, beginning with a letter or a digit";
            fields.problem(Problem::new("etcd_token", why).allowed(allowed));
            None
        }
    });
    fields.check()?;
    let Some(etcd_token) = etcd_token else { return Err(ApiError::internal(CLUSTER)) };

    let path = format!("/clusters/{}", views::encode_segment(&etcd_token.to_string()));
    let new = NewCluster {
        etcd_token,
        name,
        hosting_provider_id,
        allow_docker_builds,
        messaging_exchange_id,
    };
    let cluster = call.app.clusters.create(new).await?;
    Ok(views::at(
        views::json(StatusCode::CREATED, &format!("Registered id {}", cluster.id))?,
        &path,
    ))
}

/// `GET /clusters/:etcd_token`.
pub(crate) async fn get_cluster(call: Call) -> Result<HttpResponse, ApiError> {
    views::ok(&views::cluster(&call.app.clusters.get(call.path("etcd_token")).await?))
}

/// `DELETE /clusters/:etcd_token`: 204; 409 while something refers to it.
pub(crate) async fn delete_cluster(call: Call) -> Result<HttpResponse, ApiError> {
    call.app.clusters.delete(call.path("etcd_token")).await?;
    views::no_content()
}

/// `GET /clusters/:etcd_token/machines`.
pub(crate) async fn list_machines(call: Call) -> Result<HttpResponse, ApiError> {
    let cluster = call.app.clusters.get(call.path("etcd_token")).await?;
    views::ok(&call.app.fleet.machines(cluster.etcd_token).await?)
}

/// `GET /clusters/:etcd_token/units`.
pub(crate) async fn list_units(call: Call) -> Result<HttpResponse, ApiError> {
    let cluster = call.app.clusters.get(call.path("etcd_token")).await?;
    views::ok(&call.app.fleet.units(cluster.etcd_token).await?)
}

/// `GET /clusters/:etcd_token/state`.
pub(crate) async fn list_unit_states(call: Call) -> Result<HttpResponse, ApiError> {
    let cluster = call.app.clusters.get(call.path("etcd_token")).await?;
    views::ok(&call.app.fleet.states(cluster.etcd_token).await?)
}

/// `GET /clusters/:etcd_token/nodes`: what is known of each machine's software. Nothing reports that, so `{}`.
pub(crate) async fn get_nodes(call: Call) -> Result<HttpResponse, ApiError> {
    call.app.clusters.get(call.path("etcd_token")).await?;
    views::ok(&json!({}))
}
