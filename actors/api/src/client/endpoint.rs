//! Where a node is and what opens it.

use std::env;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use secrecy::SecretString;
use url::{ParseError, Url};

use super::error::ClientError;
use crate::local::{self, NodeFile};

/// A node's address and a token for it.
#[derive(Clone)]
pub struct Endpoint {
    /// Base URL of the REST API.
    pub url: Url,
    /// Token; `None` sends no `Authorization` header.
    pub token: Option<SecretString>,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("url", &self.url.as_str())
            .field("token", &self.token.is_some())
            .finish()
    }
}

impl Endpoint {
    /// Checks `url`.
    ///
    /// # Errors
    ///
    /// [`ClientError::BadUrl`] unless it is `http` or `https` with a host and without a user or a query.
    pub fn new(url: &str, token: Option<SecretString>) -> Result<Self, ClientError> {
        let refuse = |why: &str| ClientError::BadUrl { text: url.into(), why: why.into() };
        const WANTED: &str = "it must begin with http:// or https:// and name a host";
        let parsed = Url::parse(url).map_err(|error| match error {
            ParseError::RelativeUrlWithoutBase => refuse(WANTED),
            error => refuse(&error.to_string()),
        })?;
        if !matches!(parsed.scheme(), "http" | "https") || !parsed.has_host() {
            return Err(refuse(WANTED));
        }
        if !parsed.username().is_empty() || parsed.password().is_some() {
            // Not shown: the text holds a password.
            return Err(ClientError::BadUrl {
                text: "…@…".into(),
                why: "credentials belong in OA_TOKEN".into(),
            });
        }
        if parsed.query().is_some() || parsed.fragment().is_some() {
            return Err(refuse("it must end with its path"));
        }
        Ok(Self { url: parsed, token })
    }

    /// Finds a node: `OA_URL` with `OA_TOKEN`, else the files of the node that runs on this machine.
    ///
    /// # Errors
    ///
    /// [`ClientError::NoNode`] if there is nothing to go by; [`ClientError::BadUrl`] and
    /// [`ClientError::LocalFile`] if what is there cannot be used.
    pub fn discover() -> Result<Self, ClientError> {
        let variable = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
        Self::find(
            variable("OA_URL"),
            variable("OA_TOKEN").map(SecretString::from),
            local::data_dir(),
        )
    }

    /// The node that keeps its data in `data_dir`.
    ///
    /// # Errors
    ///
    /// [`ClientError::NoNode`] if none has been ready there; else as [`Endpoint::discover`].
    pub fn of_data_dir(data_dir: &Path) -> Result<Self, ClientError> {
        Self::find(None, None, Some(data_dir.to_owned()))
    }

    /// Like [`Endpoint::discover`], from values. The token of this machine's node goes to no other address.
    pub(crate) fn find(
        url: Option<String>,
        token: Option<SecretString>,
        data_dir: Option<PathBuf>,
    ) -> Result<Self, ClientError> {
        let local = match &data_dir {
            Some(dir) => read_node_file(&dir.join(local::NODE_FILE)),
            None => Ok(None),
        };
        let Some(url) = url else {
            let data_dir = data_dir.ok_or(ClientError::NoDataDir)?;
            let node = local?.ok_or_else(|| ClientError::NoNode {
                node_file: data_dir.join(local::NODE_FILE),
            })?;
            let token = match token {
                Some(token) => Some(token),
                None => Some(read_token(&data_dir.join(local::ADMIN_TOKEN_FILE))?),
            };
            return Self::new(&node.url, token);
        };
        let endpoint = Self::new(&url, token)?;
        if endpoint.token.is_some() {
            return Ok(endpoint);
        }
        // An explicit address wins over files that cannot be read.
        let is_local = local
            .ok()
            .flatten()
            .is_some_and(|node| Url::parse(&node.url).is_ok_and(|u| u == endpoint.url));
        let token = data_dir
            .filter(|_| is_local)
            .and_then(|dir| read_token(&dir.join(local::ADMIN_TOKEN_FILE)).ok());
        Ok(Self { token, ..endpoint })
    }
}

fn read_node_file(path: &Path) -> Result<Option<NodeFile>, ClientError> {
    let failed = |cause| ClientError::LocalFile { path: path.to_owned(), cause };
    match fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|error| failed(error.into())),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(failed(cause)),
    }
}

fn read_token(path: &Path) -> Result<SecretString, ClientError> {
    let text = fs::read_to_string(path)
        .map_err(|cause| ClientError::LocalFile { path: path.to_owned(), cause })?;
    Ok(SecretString::from(text.trim()))
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    /// A data directory as a node leaves it.
    fn data_dir() -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let node = r#"{"url":"http://127.0.0.1:4711","pid":1,"node":"n1"}"#;
        fs::write(dir.path().join(local::NODE_FILE), node).expect("node file");
        fs::write(dir.path().join(local::ADMIN_TOKEN_FILE), "s3cret\n").expect("token file");
        dir
    }

    fn token(endpoint: &Endpoint) -> Option<&str> {
        endpoint.token.as_ref().map(ExposeSecret::expose_secret)
    }

    #[test]
    fn the_node_of_this_machine_is_found_by_its_files() {
        let dir = data_dir();
        let endpoint = Endpoint::of_data_dir(dir.path()).expect("an endpoint");
        assert_eq!(
            (endpoint.url.as_str(), token(&endpoint)),
            ("http://127.0.0.1:4711/", Some("s3cret"))
        );
    }

    #[test]
    fn the_token_of_this_machine_goes_to_no_other_address() {
        let dir = data_dir();
        let find = |url: &str| {
            Endpoint::find(Some(url.into()), None, Some(dir.path().into())).expect("an endpoint")
        };
        assert_eq!(token(&find("http://127.0.0.1:4711")), Some("s3cret"));
        assert_eq!(token(&find("http://127.0.0.1:4712")), None);
        assert_eq!(token(&find("https://elsewhere.example")), None);
    }

    #[test]
    fn without_variables_and_files_the_missing_file_is_named() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let error = Endpoint::of_data_dir(dir.path()).expect_err("there is no node");
        assert!(
            matches!(&error, ClientError::NoNode { node_file } if node_file.ends_with("node.json")),
            "{error}"
        );
        assert!(error.hint().is_some());
    }

    #[test]
    fn an_address_that_is_no_url_of_a_node_is_refused_without_showing_a_password() {
        for url in ["", "4000", "localhost:4000", "ftp://x", "unix:/x", "http://h/?a=b"] {
            assert!(matches!(Endpoint::new(url, None), Err(ClientError::BadUrl { .. })), "{url}");
        }
        let error = Endpoint::new("http://me:pa55@h/", None).expect_err("credentials in a URL");
        assert!(!error.to_string().contains("pa55"));
    }

    #[test]
    fn debug_text_hides_the_token() {
        let dir = data_dir();
        let endpoint = Endpoint::of_data_dir(dir.path()).expect("an endpoint");
        assert!(!format!("{endpoint:?}").contains("s3cret"));
    }
}
