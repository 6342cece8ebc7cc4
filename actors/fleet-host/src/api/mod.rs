//! The Fleet API v1 over a unix socket, and what OpenAperture adds under `/oa/v1`.
//!
//! # Source
//!
//! coreos/fleet, `api/` at v1.0.0, and recorded answers of that server.

mod body;
mod error;
mod intervals;
mod keeper;
mod logs;
mod machines;
mod name;
mod page;
mod put;
mod status;
mod units;

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::http::Method;
use actix_web::http::header::LOCATION;
use actix_web::middleware::DefaultHeaders;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use tokio::task::JoinHandle;

use crate::cluster::Cluster;
use crate::error::FleetHostError;
use error::ApiError;
pub use put::read_put;

/// What the server calls itself; the API is that of Fleet 1.0.
const SERVER: &str = "fleetd/v1.0.0";
/// How long a connection without requests is kept.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// Largest body: a unit file and its wrapping.
const MAX_BODY_BYTES: usize = 1 << 20;

/// The running server.
#[derive(Debug)]
pub(crate) struct Server {
    handle: ServerHandle,
    task: JoinHandle<io::Result<()>>,
}

impl Server {
    /// Binds the socket (mode 0600) and serves until [`Server::stop`].
    pub(crate) fn start(socket: &Path, cluster: Arc<Cluster>) -> Result<Self, FleetHostError> {
        let failed = |cause| FleetHostError::Socket { path: socket.to_path_buf(), cause };
        let listener = bind(socket).map_err(failed)?;
        let data = web::Data::from(cluster);
        let server = HttpServer::new(move || {
            App::new()
                .app_data(data.clone())
                .app_data(web::PayloadConfig::new(MAX_BODY_BYTES))
                .wrap(DefaultHeaders::new().add(("Server", SERVER)))
                .configure(routes)
        })
        .workers(1)
        .keep_alive(KEEP_ALIVE)
        .disable_signals()
        .shutdown_timeout(2)
        .listen_uds(listener)
        .map_err(failed)?
        .run();
        let handle = server.handle();
        Ok(Self { handle, task: tokio::spawn(server) })
    }

    pub(crate) async fn stop(&self) {
        // Not gracefully: that waits for idle connections, and whoever asks has stopped before the host does.
        self.handle.stop(false).await;
    }

    /// Stops without a wait, cutting off whoever is being served.
    pub(crate) fn abandon(&self) {
        // The server is told when the future is made; there is nobody to wait for its end.
        drop(self.handle.stop(false));
        self.task.abort();
    }
}

/// Binds the socket under another name first: nobody can connect before its mode is set, and one of a host that crashed
/// is replaced.
fn bind(socket: &Path) -> io::Result<UnixListener> {
    let directory = socket.parent().unwrap_or(Path::new("/"));
    let name = socket.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let fresh = format!("{name}.new");
    match fs::remove_file(directory.join(&fresh)) {
        Err(why) if why.kind() != io::ErrorKind::NotFound => return Err(why),
        _ => {}
    }
    let (_open, short) = crate::short_path::short_path(directory, &fresh)?;
    let listener = UnixListener::bind(short)?;
    fs::set_permissions(directory.join(&fresh), Permissions::from_mode(0o600))?;
    fs::rename(directory.join(&fresh), socket)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

fn routes(config: &mut web::ServiceConfig) {
    for base in ["/fleet/v1", "/v1-alpha"] {
        config.service(
            web::scope(base)
                .service(resource("/units", "GET").route(web::get().to(units::list)))
                .service(
                    resource("/units/{name}", "GET, PUT and DELETE")
                        .route(web::get().to(units::get))
                        .route(web::put().to(put::put))
                        .route(web::delete().to(units::delete)),
                )
                .service(resource("/state", "GET").route(web::get().to(units::list_states)))
                .service(resource("/state/{name}", "GET").route(web::get().to(units::get_state)))
                .service(
                    resource("/machines", "GET and PATCH")
                        .route(web::get().to(machines::list))
                        .route(web::method(Method::PATCH).to(machines::patch)),
                )
                .service(
                    web::resource("/discovery")
                        .route(web::get().to(machines::discovery))
                        // 400 in the original, too.
                        .default_service(web::to(|| refuse(400, only("HTTP GET")))),
                )
                .service(web::resource("").default_service(web::to(|| refuse(405, String::new())))),
        );
    }
    config.service(resource("/oa/v1/units/{name}/logs", "GET").route(web::get().to(logs::get)));
    config.service(resource("/oa/v1/units/{name}/keeper", "GET").route(web::get().to(keeper::get)));
    config.service(resource("/oa/v1/units/{name}/status", "GET").route(web::get().to(status::get)));
    config.service(resource("/oa/v1/intervals", "GET").route(web::get().to(intervals::get)));
    config.service(
        resource("/oa/v1/units/{name}/restart", "POST").route(web::post().to(units::restart)),
    );
    config.service(
        resource("/oa/v1/units/{name}/reload", "POST").route(web::post().to(units::reload)),
    );
    config.service(web::resource("/").default_service(web::to(|| refuse(405, String::new()))));
    config.default_service(web::to(not_found));
}

/// A resource that answers 405 to methods that it has no route for.
fn resource(path: &str, methods: &'static str) -> actix_web::Resource {
    web::resource(path).default_service(web::to(move || refuse(405, only(methods))))
}

fn only(methods: &str) -> String {
    format!("only {methods} supported against this resource")
}

async fn refuse(status: u16, message: String) -> Result<&'static str, ApiError> {
    Err(ApiError::new(status, message))
}

/// A path with `//`, `.` or `..` leads to the one that is meant, as Go's server does it; any other is not there.
async fn not_found(request: HttpRequest) -> Result<HttpResponse, ApiError> {
    match cleaned(request.path()) {
        Some(path) => {
            let mut answer = HttpResponse::MovedPermanently();
            answer.insert_header((LOCATION, path.as_str()));
            if request.method() != Method::GET {
                return Ok(answer.finish());
            }
            let page = format!("<a href=\"{path}\">Moved Permanently</a>.\n\n");
            Ok(answer.content_type("text/html; charset=utf-8").body(page))
        }
        None => Err(ApiError::new(404, "")),
    }
}

/// The path without empty parts, `.` and `..`; `None` if there are none of them.
fn cleaned(path: &str) -> Option<String> {
    let mut parts: Vec<&str> = Vec::new();
    let inner = path.strip_prefix('/')?;
    let body = inner.strip_suffix('/').unwrap_or(inner);
    if !body.split('/').any(|part| ["", ".", ".."].contains(&part)) {
        return None;
    }
    for part in body.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            // The path becomes part of a page, and a name never needs these.
            part if part.contains(['<', '>', '"', '&', '\'']) => return None,
            part => parts.push(part),
        }
    }
    Some(format!("/{}", parts.join("/")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_cleaned_only_if_it_has_to_be() {
        for (path, clean) in [
            ("/fleet/v1//units", Some("/fleet/v1/units")),
            ("/fleet/v1/units/../machines", Some("/fleet/v1/machines")),
            ("/../../x", Some("/x")),
            ("/fleet/v1/units/", None),
            ("/nope", None),
            ("//<b>", None),
        ] {
            assert_eq!(cleaned(path).as_deref(), clean, "{path}");
        }
    }
}
