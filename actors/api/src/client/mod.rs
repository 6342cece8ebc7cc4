//! Speaks to a node over its REST API.

mod answer;
mod endpoint;
mod error;
mod routes;
#[cfg(test)]
mod tests;

use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderValue};
use reqwest::{Method, redirect};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde::de::DeserializeOwned;
use url::Url;

use answer::Answer;

pub use endpoint::Endpoint;
pub use error::ClientError;

/// How long a node may take to answer, unless told otherwise.
pub const DEFAULT_DEADLINE: Duration = Duration::from_secs(30);

const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// A long poll may take so much longer than the server was asked to wait.
const POLL_MARGIN: Duration = Duration::from_secs(10);

/// Speaks to one node; cheap to clone.
///
/// Every request has a deadline, redirects are not followed (the token goes to no other server), and answers are
/// read up to a limit.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    base: Url,
    token: Option<SecretString>,
    deadline: Duration,
}

impl Client {
    /// Makes a client for `endpoint`; nothing is sent yet.
    ///
    /// # Errors
    ///
    /// [`ClientError::Setup`] if the TLS of this machine cannot be used for an `https` address.
    ///
    /// # Panics
    ///
    /// Without a provider of TLS: the program installs one first
    /// (`rustls::crypto::ring::default_provider().install_default()`).
    pub fn new(endpoint: Endpoint) -> Result<Self, ClientError> {
        let Endpoint { mut url, token } = endpoint;
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("oa/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .connect_timeout(CONNECT_WITHIN);
        if url.scheme() == "http" {
            // No TLS, so no certificates: a machine without any can still use its own node.
            builder = builder.tls_certs_only([]);
        }
        if is_loopback(&url) {
            builder = builder.no_proxy();
        }
        let http =
            builder.build().map_err(|cause| ClientError::Setup { url: url.to_string(), cause })?;
        if !url.path().ends_with('/') {
            url.set_path(&format!("{}/", url.path()));
        }
        Ok(Self { http, base: url, token, deadline: DEFAULT_DEADLINE })
    }

    /// Makes a client for the node that [`Endpoint::discover`] finds.
    ///
    /// # Errors
    ///
    /// Those of [`Endpoint::discover`] and [`Client::new`].
    pub fn discover() -> Result<Self, ClientError> {
        Self::new(Endpoint::discover()?)
    }

    /// Waits at most `deadline` for each answer.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Base URL of the node.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.base
    }

    async fn get<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &impl Serialize,
    ) -> Result<T, ClientError> {
        self.send(Method::GET, path, query, None::<&()>, self.deadline).await?.json()
    }

    /// A GET that the server may hold back for `wait`.
    async fn poll<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &impl Serialize,
        wait: Duration,
    ) -> Result<T, ClientError> {
        self.send(Method::GET, path, query, None::<&()>, wait + POLL_MARGIN).await?.json()
    }

    async fn post(&self, path: &[&str], body: &impl Serialize) -> Result<Answer, ClientError> {
        self.send(Method::POST, path, &(), Some(body), self.deadline).await
    }

    async fn delete(&self, path: &[&str]) -> Result<(), ClientError> {
        self.send(Method::DELETE, path, &(), None::<&()>, self.deadline).await.map(drop)
    }

    async fn send(
        &self,
        method: Method,
        path: &[&str],
        query: &impl Serialize,
        body: Option<&impl Serialize>,
        deadline: Duration,
    ) -> Result<Answer, ClientError> {
        let url = self.route(path);
        let name = format!("{method} {}", url.path());
        let mut request = self.http.request(method, url).timeout(deadline).query(query);
        request = request.header(ACCEPT, HeaderValue::from_static("application/json"));
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, bearer(token)?);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let failed = |cause: reqwest::Error| self.failed(&name, deadline, cause);
        let response = request.send().await.map_err(failed)?;
        if response.status().as_u16() == 401 {
            return Err(ClientError::Unauthorized {
                url: self.base.to_string(),
                had_token: self.token.is_some(),
            });
        }
        Answer::read(name.clone(), response).await.map_err(|cause| match cause {
            answer::ReadError::Broken(cause) => failed(cause),
            answer::ReadError::Bad(error) => error,
        })
    }

    /// The URL of a route; each segment is percent-encoded.
    fn route(&self, path: &[&str]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url
    }

    fn failed(&self, request: &str, after: Duration, cause: reqwest::Error) -> ClientError {
        let url = self.base.to_string();
        if cause.is_timeout() && !cause.is_connect() {
            return ClientError::Timeout { url, request: request.into(), after };
        }
        ClientError::Unreachable { url, cause: cause.without_url() }
    }
}

fn bearer(token: &SecretString) -> Result<HeaderValue, ClientError> {
    let mut value = HeaderValue::try_from(format!("Bearer {}", token.expose_secret()))
        .map_err(|_| ClientError::BadToken)?;
    value.set_sensitive(true);
    Ok(value)
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}
