//! The machine of this cluster.

use std::collections::BTreeMap;

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::Value;

use super::body;
use super::error::ApiError;
use super::page::paged;
use crate::cluster::Cluster;

/// `GET /machines`.
pub(super) async fn list(
    cluster: web::Data<Cluster>,
    request: HttpRequest,
) -> Result<web::Json<Value>, ApiError> {
    let machine = cluster.machine().clone();
    paged("machines", &[machine], request.query_string()).map(web::Json)
}

/// `PATCH /machines`: all changes or none.
pub(super) async fn patch(
    cluster: web::Data<Cluster>,
    body: web::Bytes,
) -> Result<HttpResponse, ApiError> {
    let refuse = |why: String| ApiError::new(400, why);
    let changes = match body::json(&body).map_err(refuse)? {
        Value::Null => Vec::new(),
        Value::Array(changes) => changes,
        _ => return Err(refuse("the body is no list of changes".into())),
    };
    let own_id = cluster.machine().id.clone();
    let mut metadata = cluster.machine().metadata.clone();
    for change in &changes {
        apply(change, &own_id, &mut metadata).map_err(refuse)?;
    }
    let stored = cluster.label(metadata);
    stored.map_err(|why| {
        ApiError::not_stored("failed to store the metadata", &why, cluster.storage())
    })?;
    Ok(HttpResponse::NoContent().content_type("application/json").finish())
}

/// Makes one change; the order of the checks is the original's.
fn apply(
    change: &Value,
    own_id: &str,
    metadata: &mut BTreeMap<String, String>,
) -> Result<(), String> {
    let Value::Object(fields) = change else { return Err("a change is no object".into()) };
    let operation = body::text(fields, "op")?;
    if !["add", "remove", "replace"].contains(&operation.as_str()) {
        return Err("invalid op: expect add, remove, or replace".into());
    }
    let path = body::text(fields, "path")?;
    let (machine, key) = parts(&path).ok_or("machine metadata path invalid")?;
    // The original wraps the text in an object of its own.
    let value = match body::field(fields, "value") {
        None | Some(Value::Null) => None,
        Some(Value::Object(wrapped)) => Some(body::text(wrapped, "value")?),
        Some(_) => return Err("value is no object; write {\"value\": \"text\"}".into()),
    };
    if operation != "remove" && value.as_deref().is_none_or(str::is_empty) {
        return Err("invalid value: add and replace require a value".into());
    }
    if machine != own_id {
        // Taken, as by the original, for which a machine may come later; a typing error is found in the log.
        tracing::warn!(
            "labels of the machine {machine}, which is not in this cluster: nothing is changed"
        );
        return Ok(());
    }
    match value.filter(|_| operation != "remove") {
        Some(value) => metadata.insert(key.to_owned(), value),
        None => metadata.remove(key),
    };
    Ok(())
}

/// Machine and key of `/<machine id>/metadata/<key>`.
fn parts(path: &str) -> Option<(&str, &str)> {
    let (machine, key) = path.strip_prefix('/')?.split_once("/metadata/")?;
    let fine = |text: &str, more: &str| {
        !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(c))
    };
    (fine(machine, "") && fine(key, "_.-")).then_some((machine, key))
}

/// `GET /discovery`: describes the API; clients ask for it to see whether the server is alive.
pub(super) async fn discovery() -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(include_str!("discovery.json"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn changed(op: &str, path: &str, value: Value) -> Result<BTreeMap<String, String>, String> {
        let mut metadata = BTreeMap::from([("disk".to_owned(), "ssd".to_owned())]);
        apply(&json!({ "op": op, "path": path, "value": value }), "abc", &mut metadata)?;
        Ok(metadata)
    }

    #[test]
    fn labels_are_added_replaced_and_removed() {
        let wrapped = |text: &str| json!({ "value": text });
        let added = changed("add", "/abc/metadata/rack", wrapped("r1")).expect("a change");
        assert_eq!(added["rack"], "r1");
        let replaced = changed("replace", "/abc/metadata/disk", wrapped("hdd")).expect("a change");
        assert_eq!(replaced["disk"], "hdd");
        assert!(changed("remove", "/abc/metadata/disk", Value::Null).expect("a change").is_empty());
        assert_eq!(changed("remove", "/abc/metadata/no", Value::Null).expect("a change").len(), 1);
        let elsewhere = changed("add", "/other/metadata/rack", wrapped("r1")).expect("a change");
        assert_eq!(elsewhere.len(), 1, "the labels of another machine are not this one's");
    }

    #[test]
    fn changes_of_something_else_are_refused() {
        let cases = [
            ("move", "/abc/metadata/rack", json!({ "value": "x" })),
            ("add", "/abc/labels/rack", json!({ "value": "x" })),
            ("add", "/abc/metadata/a b", json!({ "value": "x" })),
            ("add", "/abc/metadata/rack", json!("x")),
            ("add", "/abc/metadata/rack", Value::Null),
        ];
        for (op, path, value) in cases {
            assert!(changed(op, path, value).is_err(), "{op} {path}");
        }
    }
}
