//! Units of a cluster: their output, and restarting them.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use oa_protocol::{EtcdToken, UnitName};

use crate::error::{ApiError, Problem};
use crate::request::{Call, wait_of};
use crate::services::LogQuery;
use crate::{dispatch, routes, views};

/// Lines that the original's route gives.
const DEFAULT_LINES: u32 = 1_000;
/// Most lines in one answer.
const MAX_LINES: i64 = 10_000;

/// `GET /clusters/:etcd_token/machines/:machine_id/units/:unit_name/logs`: the last lines as one JSON string.
pub(crate) async fn get_log_text(call: Call) -> Result<HttpResponse, ApiError> {
    let cluster = call.app.clusters.get(call.path("etcd_token")).await?;
    let unit = unit_name(&call)?;
    let query =
        LogQuery { after: None, lines: Some(DEFAULT_LINES), wait: std::time::Duration::ZERO };
    let page = call.app.fleet.logs(cluster.etcd_token.clone(), unit.clone(), query).await;
    views::ok(&or_nearest(&call, cluster.etcd_token, &unit, page).await?.text)
}

/// `GET /clusters/:etcd_token/units/:unit_name/logs`: a page; with `after` what came later, waited for `wait_ms`.
pub(crate) async fn get_log_page(call: Call) -> Result<HttpResponse, ApiError> {
    let mut fields = call.fields("Logs");
    let after = fields.integer("after").value();
    let lines = fields.integer("lines").value();
    let wait = wait_of(fields.integer("wait_ms").value(), dispatch::LONGEST_WAIT);
    if after.is_some_and(|after| after < 0) {
        fields
            .problem(Problem::new("after", "is invalid").allowed("the `next` of an earlier page"));
    }
    if lines.is_some_and(|lines| !(0..=MAX_LINES).contains(&lines)) {
        fields.problem(Problem::new("lines", "is invalid").allowed(format!("0 to {MAX_LINES}")));
    }
    fields.check()?;

    let cluster = call.app.clusters.get(call.path("etcd_token")).await?;
    let unit = unit_name(&call)?;
    let query = LogQuery {
        after: after.map(i64::unsigned_abs),
        lines: lines.and_then(|lines| u32::try_from(lines).ok()),
        wait,
    };
    let page = call.app.fleet.logs(cluster.etcd_token.clone(), unit.clone(), query).await;
    views::ok(&or_nearest(&call, cluster.etcd_token, &unit, page).await?)
}

/// `POST …/units/:unit_name/restart`: stops the unit and starts it again.
pub(crate) async fn restart_unit(call: Call) -> Result<HttpResponse, ApiError> {
    let cluster = call.app.clusters.get(call.path("etcd_token")).await?;
    let unit = unit_name(&call)?;
    let answer = format!("{unit} was restarted");
    let done = call.app.fleet.restart(cluster.etcd_token.clone(), unit.clone()).await;
    or_nearest(&call, cluster.etcd_token, &unit, done).await?;
    views::ok(&answer)
}

/// `GET …/units/:unit_name/restart`: what the original does, only where the configuration asks for it.
pub(crate) async fn restart_unit_by_get(call: Call) -> Result<HttpResponse, ApiError> {
    if !call.app.config.compat.get_restart {
        return Err(ApiError::method_off("POST", "A GET does not restart units: send a POST")
            .hint("`compat.get_restart` in the configuration's `[manager]` lets a GET restart units, too"));
    }
    restart_unit(call).await
}

/// A unit that is not there gets the names that may have been meant.
async fn or_nearest<T>(
    call: &Call,
    cluster: EtcdToken,
    unit: &UnitName,
    answer: Result<T, ApiError>,
) -> Result<T, ApiError> {
    match answer {
        Err(error) if error.status() == StatusCode::NOT_FOUND => {
            let known = call.app.fleet.units(cluster).await.unwrap_or_default();
            Err(error.did_you_mean(unit.as_str(), known.iter().map(|known| known.name.as_str())))
        }
        answer => answer,
    }
}

/// The unit of the path. Some clients encode it twice.
pub(super) fn unit_name(call: &Call) -> Result<UnitName, ApiError> {
    let given = call.path("unit_name");
    let name = routes::decode(given).unwrap_or_else(|| given.to_owned());
    UnitName::new(name).map_err(|error| {
        let allowed = "a name such as `app@0.service`: letters, digits and `: - _ . \\ @`";
        ApiError::invalid_fields(
            "Unit",
            vec![Problem::new("unit_name", error.why).allowed(allowed)],
        )
    })
}
