//! Speaks the Fleet API v1: to a real Fleet over TCP, to the embedded cluster over a unix socket.

use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use oa_protocol::UnitName;
use oa_protocol::metering::IntervalPage;
use oa_protocol::unit::{LogPage, Machine, Unit, UnitCondition, UnitDesire, UnitOption, UnitState};
use reqwest::{Method, StatusCode};
use serde::de::DeserializeOwned;
use tokio::time::{Instant, sleep};
use url::Url;

use crate::engine::{Engine, LogQuery};
use crate::error::EngineError;
use crate::unit_file;
use crate::wire::{MachinePage, Page, PutUnit, StatePage, UnitPage, WireUnit, message_of};

/// Time for one call, beside what it waits for on purpose.
const DEADLINE: Duration = Duration::from_secs(10);
/// Time that a server without a restart of its own may take to stop a unit.
const STOP_DEADLINE: Duration = Duration::from_secs(100);
/// How often that server is asked whether the unit has stopped; it has no way to tell by itself.
const STOP_LOOK: Duration = Duration::from_millis(250);
/// Largest answer that is read.
const MAX_ANSWER_BYTES: usize = 64 * 1024 * 1024;
/// What a Fleet server says of a unit that it does not know, and of no path that it does not know.
const NO_SUCH_UNIT: &str = "unit does not exist";
/// Pages that are followed at most; a server that has more is broken or hostile.
const MOST_PAGES: usize = 10_000;

/// A client of one Fleet server. Cheap to clone; connections are kept.
#[derive(Debug, Clone)]
pub struct FleetClient {
    http: reqwest::Client,
    base: Url,
    /// For messages: the socket's path or the URL.
    endpoint: String,
}

impl FleetClient {
    /// A client of the server on a unix socket.
    ///
    /// # Errors
    ///
    /// [`EngineError::Client`] if the HTTP client cannot be made.
    pub fn unix(socket: impl AsRef<Path>) -> Result<Self, EngineError> {
        let socket: PathBuf = socket.as_ref().to_path_buf();
        let endpoint = socket.display().to_string();
        let base = Url::parse("http://fleet.localhost/").expect("a constant URL is valid");
        let builder = reqwest::Client::builder().unix_socket(socket);
        Self::build(builder, base, endpoint)
    }

    /// A client of the server at `base`, such as `http://10.0.0.7:49153/`.
    ///
    /// # Errors
    ///
    /// [`EngineError::Client`] if the HTTP client cannot be made.
    pub fn http(base: Url) -> Result<Self, EngineError> {
        let endpoint = base.to_string();
        Self::build(reqwest::Client::builder(), base, endpoint)
    }

    fn build(
        builder: reqwest::ClientBuilder,
        base: Url,
        endpoint: String,
    ) -> Result<Self, EngineError> {
        // No redirects: a Fleet server has no reason to send us elsewhere.
        // Plain HTTP only: without this the client reads the certificates of the machine, and fails if there are none.
        let builder = builder.tls_certs_only([]);
        let http = builder.redirect(reqwest::redirect::Policy::none()).no_proxy().build();
        let http =
            http.map_err(|cause| EngineError::Client { endpoint: endpoint.clone(), cause })?;
        Ok(Self { http, base, endpoint })
    }

    fn url(&self, path: &[&str]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url
    }

    async fn call(
        &self,
        action: &str,
        request: reqwest::RequestBuilder,
        deadline: Duration,
    ) -> Result<reqwest::Response, EngineError> {
        let answer = self.answer(request.timeout(deadline), deadline).await?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let body = self.body(answer).await.unwrap_or_default();
        let message = message_of(&String::from_utf8_lossy(&body)).unwrap_or_else(|| reason(status));
        Err(EngineError::Refused { action: action.to_owned(), status: status.as_u16(), message })
    }

    /// Sends a request, and once more if the connection was from before a restart of the server.
    ///
    /// Only what may be said twice is; a server that is not there is left to the caller's patience.
    async fn answer(
        &self,
        request: reqwest::RequestBuilder,
        deadline: Duration,
    ) -> Result<reqwest::Response, EngineError> {
        let again = request.try_clone();
        let (client, request) = request.build_split();
        let request = request.map_err(|cause| self.failed(cause, deadline))?;
        let may_repeat = *request.method() != Method::POST;
        match client.execute(request).await {
            Ok(answer) => Ok(answer),
            Err(cause) if may_repeat && !cause.is_timeout() && !cause.is_connect() => {
                let Some(again) = again else { return Err(self.failed(cause, deadline)) };
                again.send().await.map_err(|cause| self.failed(cause, deadline))
            }
            Err(cause) => Err(self.failed(cause, deadline)),
        }
    }

    /// The body of an answer, if it is not too large.
    async fn body(&self, mut answer: reqwest::Response) -> Result<Vec<u8>, EngineError> {
        let mut body = Vec::new();
        while let Some(chunk) =
            answer.chunk().await.map_err(|cause| self.failed(cause, DEADLINE))?
        {
            body.extend_from_slice(&chunk);
            if body.len() > MAX_ANSWER_BYTES {
                return Err(self.unreadable(format!("over {MAX_ANSWER_BYTES} bytes")));
            }
        }
        Ok(body)
    }

    fn failed(&self, cause: reqwest::Error, waited: Duration) -> EngineError {
        let endpoint = self.endpoint.clone();
        if cause.is_timeout() {
            EngineError::Timeout { endpoint, waited }
        } else {
            EngineError::Unreachable { endpoint, cause }
        }
    }

    fn unreadable(&self, why: String) -> EngineError {
        EngineError::Unreadable { endpoint: self.endpoint.clone(), why }
    }

    async fn read<T: DeserializeOwned>(&self, answer: reqwest::Response) -> Result<T, EngineError> {
        let body = self.body(answer).await?;
        serde_json::from_slice(&body).map_err(|cause| self.unreadable(cause.to_string()))
    }

    async fn get<T: DeserializeOwned>(
        &self,
        action: &str,
        path: &[&str],
        query: &[(&str, String)],
    ) -> Result<T, EngineError> {
        let request = self.http.get(self.url(path)).query(query);
        let answer = self.call(action, request, DEADLINE).await?;
        self.read(answer).await
    }

    /// Follows every page of a listing.
    async fn pages<P: Page>(
        &self,
        action: &str,
        path: &[&str],
        filter: &[(&str, String)],
    ) -> Result<Vec<P::Item>, EngineError> {
        let mut items = Vec::new();
        let mut query = filter.to_vec();
        for _ in 0..MOST_PAGES {
            let page: P = self.get(action, path, &query).await?;
            let (more, token) = page.into_parts();
            items.extend(more);
            let Some(token) = token else { return Ok(items) };
            query = filter.to_vec();
            query.push(("nextPageToken", token));
        }
        Err(EngineError::Unreadable {
            endpoint: self.endpoint.clone(),
            why: format!("a listing has over {MOST_PAGES} pages"),
        })
    }

    async fn send(
        &self,
        action: &str,
        name: &UnitName,
        body: &PutUnit<'_>,
    ) -> Result<(), EngineError> {
        let request = self.http.put(self.url(&["fleet", "v1", "units", name.as_str()])).json(body);
        self.call(action, request, DEADLINE).await.map(drop)
    }

    /// Restarts a unit of a server that knows states only. Whatever happens, it is asked to start again.
    async fn restart_by_states(&self, name: &UnitName) -> Result<(), EngineError> {
        self.set_desire(name, UnitDesire::Loaded).await?;
        let stopped = self.stopped(name).await;
        self.set_desire(name, UnitDesire::Launched).await?;
        stopped
    }

    /// Waits until a unit has stopped on every machine.
    async fn stopped(&self, name: &UnitName) -> Result<(), EngineError> {
        let deadline = Instant::now() + STOP_DEADLINE;
        while Instant::now() < deadline {
            let unit = self.unit(name).await?;
            // The states lag behind, so the server's own view of the unit has to agree. Global units have none.
            let seen = unit.is_none_or(|unit| unit.current_state != Some(UnitDesire::Launched));
            let is_over = |state: &UnitState| {
                matches!(state.systemd_active_state.as_str(), "inactive" | "failed")
            };
            if seen && self.state(name).await?.iter().all(is_over) {
                return Ok(());
            }
            sleep(STOP_LOOK).await;
        }
        Err(EngineError::Timeout { endpoint: self.endpoint.clone(), waited: STOP_DEADLINE })
    }
}

fn reason(status: StatusCode) -> String {
    status.canonical_reason().unwrap_or("no reason given").to_owned()
}

/// A path of ours that the server does not have; a unit that it does not have is something else.
fn is_missing_route(why: &EngineError) -> bool {
    matches!(why, EngineError::Refused { status: 404 | 405, message, .. } if message != NO_SUCH_UNIT)
}

#[async_trait]
impl Engine for FleetClient {
    async fn machines(&self) -> Result<Vec<Machine>, EngineError> {
        self.pages::<MachinePage>("list machines", &["fleet", "v1", "machines"], &[]).await
    }

    async fn units(&self) -> Result<Vec<Unit>, EngineError> {
        self.pages::<UnitPage>("list units", &["fleet", "v1", "units"], &[]).await
    }

    async fn unit(&self, name: &UnitName) -> Result<Option<Unit>, EngineError> {
        let action = format!("show the unit {name}");
        match self.get::<WireUnit>(&action, &["fleet", "v1", "units", name.as_str()], &[]).await {
            Ok(unit) => Ok(Some(unit.into())),
            Err(EngineError::Refused { status: 404, .. }) => Ok(None),
            Err(why) => Err(why),
        }
    }

    async fn states(&self) -> Result<Vec<UnitState>, EngineError> {
        self.pages::<StatePage>("list unit states", &["fleet", "v1", "state"], &[]).await
    }

    async fn state(&self, name: &UnitName) -> Result<Vec<UnitState>, EngineError> {
        let filter = [("unitName", name.as_str().to_owned())];
        self.pages::<StatePage>("list unit states", &["fleet", "v1", "state"], &filter).await
    }

    async fn put(
        &self,
        name: &UnitName,
        options: &[UnitOption],
        desired: UnitDesire,
    ) -> Result<(), EngineError> {
        // A server writes values as they are, so one with a line break would become a line of its own there.
        unit_file::check(options)
            .map_err(|cause| EngineError::InvalidUnit { unit: name.to_string(), cause })?;
        let body = PutUnit { options: Some(options), desired_state: desired };
        self.send(&format!("put the unit {name}"), name, &body).await
    }

    async fn set_desire(&self, name: &UnitName, desired: UnitDesire) -> Result<(), EngineError> {
        let body = PutUnit { options: None, desired_state: desired };
        match self.send(&format!("change the unit {name}"), name, &body).await {
            // Without options a server can only refuse to make the unit.
            Err(EngineError::Refused { status: 409, .. }) => {
                Err(EngineError::UnknownUnit { unit: name.to_string() })
            }
            other => other,
        }
    }

    async fn remove(&self, name: &UnitName) -> Result<bool, EngineError> {
        let request =
            self.http.request(Method::DELETE, self.url(&["fleet", "v1", "units", name.as_str()]));
        match self.call(&format!("remove the unit {name}"), request, DEADLINE).await {
            Ok(_) => Ok(true),
            Err(EngineError::Refused { status: 404, .. }) => Ok(false),
            Err(why) => Err(why),
        }
    }

    async fn logs(&self, name: &UnitName, query: LogQuery) -> Result<LogPage, EngineError> {
        let mut parameters = vec![("wait_ms", query.wait.as_millis().to_string())];
        parameters.extend(query.after.map(|after| ("after", after.to_string())));
        parameters.extend(query.lines.map(|lines| ("lines", lines.to_string())));
        let request = self
            .http
            .get(self.url(&["oa", "v1", "units", name.as_str(), "logs"]))
            .query(&parameters);
        let action = format!("read the output of {name}");
        match self.call(&action, request, DEADLINE + query.wait).await {
            Ok(answer) => self.read(answer).await,
            Err(why) if is_missing_route(&why) => {
                Err(EngineError::Unsupported { endpoint: self.endpoint.clone(), action })
            }
            Err(EngineError::Refused { status: 404, .. }) => {
                Err(EngineError::UnknownUnit { unit: name.to_string() })
            }
            Err(why) => Err(why),
        }
    }

    async fn condition(&self, name: &UnitName) -> Result<Option<UnitCondition>, EngineError> {
        let action = format!("ask how {name} does");
        match self.get(&action, &["oa", "v1", "units", name.as_str(), "status"], &[]).await {
            Ok(condition) => Ok(Some(condition)),
            // A real Fleet knows the state of a unit and nothing more.
            Err(why) if is_missing_route(&why) => Ok(None),
            Err(EngineError::Refused { status: 404, .. }) => {
                Err(EngineError::UnknownUnit { unit: name.to_string() })
            }
            Err(why) => Err(why),
        }
    }

    async fn restart(&self, name: &UnitName) -> Result<(), EngineError> {
        let request = self.http.post(self.url(&["oa", "v1", "units", name.as_str(), "restart"]));
        match self.call(&format!("restart the unit {name}"), request, DEADLINE * 2).await {
            Ok(_) => Ok(()),
            Err(why) if is_missing_route(&why) => self.restart_by_states(name).await,
            Err(EngineError::Refused { status: 404, .. }) => {
                Err(EngineError::UnknownUnit { unit: name.to_string() })
            }
            Err(why) => Err(why),
        }
    }

    async fn intervals(
        &self,
        after: Option<&str>,
        limit: u32,
        wait: Duration,
    ) -> Result<Option<IntervalPage>, EngineError> {
        let mut parameters =
            vec![("limit", limit.to_string()), ("wait_ms", wait.as_millis().to_string())];
        parameters.extend(after.map(|after| ("after", after.to_owned())));
        let request = self.http.get(self.url(&["oa", "v1", "intervals"])).query(&parameters);
        match self.call("list runs of units", request, DEADLINE + wait).await {
            Ok(answer) => self.read(answer).await.map(Some),
            Err(why) if is_missing_route(&why) => Ok(None),
            Err(why) => Err(why),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_one_segment_of_the_path() {
        let _already_installed = rustls::crypto::ring::default_provider().install_default();
        let client = FleetClient::http(Url::parse("http://127.0.0.1:49153/").expect("a valid URL"))
            .expect("a client");
        let url = client.url(&["fleet", "v1", "units", "a/../b"]);
        assert_eq!(url.path(), "/fleet/v1/units/a%2F..%2Fb");
    }
}
