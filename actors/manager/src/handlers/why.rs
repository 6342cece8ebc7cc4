//! `…/why`: what waits, failed or is refused, as a list of findings.

use actix_web::HttpResponse;

use super::units::unit_name;
use super::workflows::workflow_id;
use crate::error::ApiError;
use crate::request::Call;
use crate::{views, why};

/// `GET /why`: everything on this node.
pub(crate) async fn why_node(call: Call) -> Result<HttpResponse, ApiError> {
    views::ok(&why::node(&call.app).await?)
}

/// `GET /workflows/:id/why`: a workflow, with the units that it waits for.
pub(crate) async fn why_workflow(call: Call) -> Result<HttpResponse, ApiError> {
    views::ok(&why::workflow(&call.app, workflow_id(&call).await?).await?)
}

/// `GET /clusters/:etcd_token/why`: a cluster and its units in trouble.
pub(crate) async fn why_cluster(call: Call) -> Result<HttpResponse, ApiError> {
    let cluster = call.app.clusters.get(call.path("etcd_token")).await?;
    views::ok(&why::cluster(&call.app, &cluster.etcd_token).await)
}

/// `GET /clusters/:etcd_token/units/:unit_name/why`: a unit.
pub(crate) async fn why_unit(call: Call) -> Result<HttpResponse, ApiError> {
    let cluster = call.app.clusters.get(call.path("etcd_token")).await?;
    let unit = unit_name(&call)?;
    views::ok(&why::one_unit(&call.app, cluster.etcd_token, unit).await?)
}
