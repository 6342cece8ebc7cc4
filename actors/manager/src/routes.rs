//! The one table of routes: method, path, permission, handler. A route cannot be registered without a permission.
//!
//! The upper part is the original's; a trailing slash and doubled slashes make no difference.

use actix_web::HttpResponse;
use actix_web::http::Method;
use futures_util::future::LocalBoxFuture;

use crate::auth::Permission;
use crate::error::ApiError;
use crate::handlers::{clusters, node, system_events, units, usage, why, workflows};
use crate::request::Call;

/// Answers a call.
type Handler = fn(Call) -> LocalBoxFuture<'static, Result<HttpResponse, ApiError>>;

/// One route.
pub(crate) struct Route {
    /// Its method. `HEAD` is served by `GET`.
    pub(crate) method: Method,
    /// Its path; `:name` takes any one segment.
    pub(crate) path: &'static str,
    /// What its caller needs.
    pub(crate) permission: Permission,
    /// What answers it.
    pub(crate) handler: Handler,
}

macro_rules! routes {
    ($($method:ident $path:literal $permission:ident => $($handler:ident)::+;)*) => {
        &[$(Route {
            method: Method::$method,
            path: $path,
            permission: Permission::$permission,
            handler: |call| Box::pin($($handler)::+(call)),
        },)*]
    };
}

/// Every route there is.
pub(crate) static ROUTES: &[Route] = routes! {
    GET    "/status"                                         Open             => node::status;

    GET    "/clusters"                                       ReadClusters     => clusters::list_clusters;
    POST   "/clusters"                                       EditClusters     => clusters::create_cluster;
    GET    "/clusters/:etcd_token"                           ReadClusters     => clusters::get_cluster;
    DELETE "/clusters/:etcd_token"                           EditClusters     => clusters::delete_cluster;
    GET    "/clusters/:etcd_token/machines"                  ReadClusters     => clusters::list_machines;
    GET    "/clusters/:etcd_token/units"                     ReadClusters     => clusters::list_units;
    GET    "/clusters/:etcd_token/state"                     ReadClusters     => clusters::list_unit_states;
    GET    "/clusters/:etcd_token/nodes"                     ReadClusters     => clusters::get_nodes;
    GET    "/clusters/:etcd_token/machines/:machine_id/units/:unit_name/logs"
                                                             ReadClusters     => units::get_log_text;
    GET    "/clusters/:etcd_token/machines/:machine_id/units/:unit_name/restart"
                                                             OperateClusters  => units::restart_unit_by_get;
    POST   "/clusters/:etcd_token/machines/:machine_id/units/:unit_name/restart"
                                                             OperateClusters  => units::restart_unit;

    GET    "/system_events"                                  ReadSystemEvents => system_events::list_system_events;
    POST   "/system_events"                                  EditSystemEvents => system_events::create_system_event;
    GET    "/system_events/:id"                              ReadSystemEvents => system_events::get_system_event;
    POST   "/system_events/:id/assign"                       EditSystemEvents => system_events::assign_system_event;
    POST   "/system_events/:id/dismiss"                      EditSystemEvents => system_events::dismiss_system_event;

    GET    "/workflows"                                      ReadWorkflows    => workflows::list_workflows;
    POST   "/workflows"                                      EditWorkflows    => workflows::create_workflow;
    GET    "/workflows/:id"                                  ReadWorkflows    => workflows::get_workflow;
    PUT    "/workflows/:id"                                  EditWorkflows    => workflows::update_workflow;
    PATCH  "/workflows/:id"                                  EditWorkflows    => workflows::update_workflow;
    DELETE "/workflows/:id"                                  EditWorkflows    => workflows::delete_workflow;
    POST   "/workflows/:id/execute"                          RunWorkflows     => workflows::execute_workflow;

    // Beside the original's.
    POST   "/workflows/:id/cancel"                           RunWorkflows     => workflows::cancel_workflow;
    GET    "/workflows/:id/events"                           ReadWorkflows    => workflows::list_workflow_events;
    GET    "/clusters/:etcd_token/units/:unit_name/logs"     ReadClusters     => units::get_log_page;
    GET    "/why"                                            ReadNode         => why::why_node;
    GET    "/workflows/:id/why"                              ReadWorkflows    => why::why_workflow;
    GET    "/clusters/:etcd_token/why"                       ReadClusters     => why::why_cluster;
    GET    "/clusters/:etcd_token/units/:unit_name/why"      ReadClusters     => why::why_unit;
    GET    "/usage"                                          ReadUsage        => usage::get_usage;
    GET    "/oa/tree"                                        ReadNode         => node::get_tree;
    GET    "/healthz"                                        Open             => node::healthz;
    GET    "/readyz"                                         Open             => node::readyz;
    GET    "/metrics"                                        ReadNode         => node::metrics;
};

/// A path with the values of its `:names`.
pub(crate) struct Match {
    /// The route.
    pub(crate) route: &'static Route,
    /// The values, decoded.
    pub(crate) values: Vec<(&'static str, String)>,
}

/// The routes whose path is `path`, whatever their method. A segment that is no UTF-8 matches nothing.
pub(crate) fn at_path(path: &str) -> Vec<Match> {
    let segments: Option<Vec<String>> =
        path.split('/').filter(|segment| !segment.is_empty()).map(decode).collect();
    let Some(segments) = segments else { return Vec::new() };
    ROUTES
        .iter()
        .filter_map(|route| match_path(route.path, &segments).map(|values| Match { route, values }))
        .collect()
}

/// The methods of `routes`, for an `allow` header.
pub(crate) fn methods(routes: &[Match]) -> String {
    let names: Vec<&str> = routes.iter().map(|found| found.route.method.as_str()).collect();
    names.join(", ")
}

/// Every route as method, path and permission: what an inventory of the API compares with.
pub fn inventory() -> impl Iterator<Item = (&'static str, &'static str, Permission)> {
    ROUTES.iter().map(|route| (route.method.as_str(), route.path, route.permission))
}

fn match_path(pattern: &'static str, segments: &[String]) -> Option<Vec<(&'static str, String)>> {
    let mut parts = pattern.split('/').skip(1);
    let mut values = Vec::new();
    for segment in segments {
        let part = parts.next()?;
        match part.strip_prefix(':') {
            Some(name) => values.push((name, segment.clone())),
            None if part == segment => {}
            None => return None,
        }
    }
    parts.next().is_none().then_some(values)
}

/// Undoes percent-encoding once.
pub(crate) fn decode(segment: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    while let [first, tail @ ..] = rest {
        let digit = |at: usize| tail.get(at).and_then(|&digit| char::from(digit).to_digit(16));
        match (first, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => {
                bytes.push((high * 16 + low) as u8);
                rest = &tail[2..];
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn found(path: &str) -> Vec<(&'static str, Vec<String>)> {
        let matches = at_path(path);
        matches
            .into_iter()
            .map(|m| (m.route.path, m.values.into_iter().map(|(_, value)| value).collect()))
            .collect()
    }

    #[test]
    fn only_the_probes_are_open() {
        let open: Vec<_> = inventory()
            .filter(|(_, _, needed)| *needed == Permission::Open)
            .map(|route| route.1)
            .collect();
        assert_eq!(open, ["/status", "/healthz", "/readyz"]);
    }

    #[test]
    fn no_route_is_listed_twice_and_no_get_needs_a_permission_to_edit() {
        let mut seen = HashSet::new();
        for (method, path, needed) in inventory() {
            assert!(seen.insert((method, path)), "{method} {path}");
            let edits = matches!(
                needed,
                Permission::EditClusters
                    | Permission::EditWorkflows
                    | Permission::RunWorkflows
                    | Permission::EditSystemEvents
            );
            assert!(!(method == "GET" && edits), "{path}");
        }
    }

    #[test]
    fn slashes_at_the_end_and_doubled_ones_make_no_difference() {
        for path in ["/clusters/a%2Fb/units/", "/clusters/a%2Fb/units", "//clusters//a%2Fb/units//"]
        {
            assert_eq!(
                found(path),
                [("/clusters/:etcd_token/units", vec!["a/b".to_owned()])],
                "{path}"
            );
        }
    }

    #[test]
    fn unknown_and_undecodable_paths_match_nothing() {
        for path in ["/", "/nothing", "/clusters/a/b/c", "/clusters/%ff", "/status/x"] {
            assert!(found(path).is_empty(), "{path}");
        }
    }

    #[test]
    fn a_stray_percent_sign_stands_for_itself() {
        assert_eq!(decode("50%").as_deref(), Some("50%"));
        assert_eq!(decode("%zz%41").as_deref(), Some("%zzA"));
        assert_eq!(decode("%+1").as_deref(), Some("%+1"));
    }
}
