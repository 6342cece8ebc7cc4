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

/// `GET /readyz`: 200 if the database answers and messages can be sent, else 503; says which of them does not.
pub(crate) async fn readyz(call: Call) -> Result<HttpResponse, ApiError> {
    let Readiness { database, transport } = call.app.readiness().await;
    let word = |up: bool| if up { "up" } else { "down" };
    let (database_word, transport_word) = (word(database), word(transport));
    if database && transport {
        let body = json!({
            "status": "ready", "database": database_word, "transport": transport_word
        });
        return views::ok(&body);
    }
    let message = format!("The database is {database_word}, the transport is {transport_word}");
    let mut body = json!({
        "status": "not ready", "database": database_word, "transport": transport_word
    });
    body["errors"] = json!([{ "message": message }]);
    body["code"] = json!("not_ready");
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
