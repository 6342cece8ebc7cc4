//! The node itself: probes, actors, metrics.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde_json::json;

use crate::app::Readiness;
use crate::error::ApiError;
use crate::request::Call;
use crate::views;

/// `GET /status`: an empty JSON string, as in the original.
pub(crate) async fn status(_call: Call) -> Result<HttpResponse, ApiError> {
    views::ok(&"")
}

/// `GET /healthz`: this process answers.
pub(crate) async fn healthz(_call: Call) -> Result<HttpResponse, ApiError> {
    views::ok(&json!({"status": "ok"}))
}

/// `GET /readyz`: 200 if the database answers, messages can be sent and every part can work, else 503; says which of
/// them does not and why. Paths and figures are for callers with a token.
pub(crate) async fn readyz(call: Call) -> Result<HttpResponse, ApiError> {
    let Readiness { database, transport, troubles } = call.app.readiness().await;
    let word = |up: bool| if up { "up" } else { "down" };
    let mut body = json!({ "database": word(database), "transport": word(transport) });
    if database && transport && troubles.is_empty() {
        body["status"] = json!("ready");
        return views::ok(&body);
    }
    body["status"] = json!("not ready");
    let is_known = call.principal.is_some();
    let mut reasons: Vec<String> = [("database", database), ("transport", transport)]
        .into_iter()
        .filter(|(_, is_up)| !is_up)
        .map(|(part, _)| format!("The {part} is down"))
        .collect();
    reasons.extend(troubles.iter().map(|trouble| {
        if is_known { format!("{}: {}", trouble.part, trouble.message) } else { trouble.in_short() }
    }));
    body["errors"] = json!([{ "message": reasons.join("; ") }]);
    body["code"] = json!(troubles.first().map_or("not_ready", |trouble| trouble.code.as_str()));
    if let Some(trouble) = troubles.first().filter(|_| is_known) {
        body["hint"] = json!(trouble.hint);
        body["troubles"] = json!(troubles);
    }
    views::json(StatusCode::SERVICE_UNAVAILABLE, &body)
}

/// `GET /oa/tree`: the actors of this node.
pub(crate) async fn get_tree(call: Call) -> Result<HttpResponse, ApiError> {
    views::ok(&call.app.system.tree())
}

/// `GET /metrics`: the node's metrics in Prometheus' text format.
pub(crate) async fn metrics(call: Call) -> Result<HttpResponse, ApiError> {
    let Some(handle) = &call.app.prometheus else {
        return Err(
            ApiError::not_found("A metrics recorder").hint("this node was started without one")
        );
    };
    Ok(HttpResponse::Ok()
        .content_type("text/plain; version=0.0.4; charset=utf-8")
        .body(handle.render()))
}
