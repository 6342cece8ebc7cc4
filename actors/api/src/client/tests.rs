//! How answers of a server become values and errors.

use std::time::Duration;

use secrecy::SecretString;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::{Client, ClientError, Endpoint};
use crate::{ErrorBody, LogFilter, NewWorkflow, WorkflowFilter, WorkflowState};

/// A server that answers one request with a prepared text and gives back what it read.
struct Server {
    client: Client,
    request: JoinHandle<String>,
}

impl Server {
    async fn answering(status: &str, headers: &str, body: &str) -> Self {
        let head = format!(
            "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n{headers}\r\n",
            body.len()
        );
        Self::start(Some(head + body)).await
    }

    /// Reads the request and never answers.
    async fn silent() -> Self {
        Self::start(None).await
    }

    async fn start(answer: Option<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let client = client(&format!("http://{}/base", listener.local_addr().expect("an address")));
        let request = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            let request = read_request(&mut stream).await;
            match answer {
                Some(answer) => {
                    stream.write_all(answer.as_bytes()).await.expect("an open connection")
                }
                None => std::future::pending().await,
            }
            request
        });
        Self { client, request }
    }

    async fn request(self) -> String {
        self.request.await.expect("the server ends well")
    }
}

/// Head and body; every request of the client has an exact length.
async fn read_request(stream: &mut tokio::net::TcpStream) -> String {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let lengths = head.lines().filter_map(|line| line.strip_prefix("content-length: "));
            let length = lengths.map(|n| n.parse().expect("a number")).next().unwrap_or(0usize);
            if length <= body.len() {
                return text;
            }
        }
        assert_ne!(
            stream.read_buf(&mut bytes).await.expect("a request"),
            0,
            "the request ended early: {text}"
        );
    }
}

fn client(url: &str) -> Client {
    // Fails only if another test of this process installed it first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let endpoint = Endpoint::new(url, Some(SecretString::from("s3cret"))).expect("a URL");
    Client::new(endpoint).expect("a client")
}

#[tokio::test]
async fn a_request_carries_token_encoded_path_and_query_and_no_more() {
    let server = Server::answering("200 OK", "", r#"{"text":"a\n","next":2,"dropped":0}"#).await;
    let filter = LogFilter { after: Some(7), lines: None, wait_ms: Some(100) };
    let page = server.client.unit_logs("local", "a/b@0.service", &filter).await.expect("a page");
    assert_eq!((page.text.as_str(), page.next), ("a\n", 2));

    let request = server.request().await;
    let first = request.lines().next().expect("a request line");
    assert_eq!(
        first,
        "GET /base/clusters/local/units/a%2Fb@0.service/logs?after=7&wait_ms=100 HTTP/1.1"
    );
    assert!(request.contains("authorization: Bearer s3cret\r\n"), "{request}");
}

#[tokio::test]
async fn a_new_workflow_is_named_by_the_last_part_of_location() {
    let server = Server::answering("201 Created", "location: /workflows/0192-ab\r\n", "").await;
    let new = NewWorkflow { deployment_repo: Some("acme/shop".into()), ..NewWorkflow::default() };
    assert_eq!(server.client.create_workflow(&new).await.expect("an id"), "0192-ab");
    assert!(server.request().await.ends_with(r#"{"deployment_repo":"acme/shop"}"#));
}

#[tokio::test]
async fn the_answer_is_read_as_the_object_of_the_route() {
    let body = json!([{"id": "w1", "state": "running", "workflow_completed": false}]).to_string();
    let server = Server::answering("200 OK", "content-type: application/json\r\n", &body).await;
    let found =
        server.client.workflows(&WorkflowFilter { lookback: Some(0), ..Default::default() }).await;
    assert_eq!(found.expect("workflows")[0].state, WorkflowState::Running);
    assert!(server.request().await.starts_with("GET /base/workflows?lookback=0 HTTP/1.1"));
}

#[tokio::test]
async fn a_refusal_keeps_code_message_hint_and_request_id() {
    let body = ErrorBody::new("invalid", "One or more fields were invalid")
        .field("deployment_repo", "can't be blank")
        .hint("name a repository")
        .request_id("r-1");
    let body = serde_json::to_string(&body).expect("JSON");
    let server = Server::answering("400 Bad Request", "", &body).await;
    let error = server.client.workflow("x").await.expect_err("a refusal");
    let ClientError::Refused { request, status, code, message, hint, request_id } = error else {
        panic!("not a refusal: {error}");
    };
    assert_eq!((request.as_str(), status, &*code), ("GET /base/workflows/x", 400, "invalid"));
    assert_eq!(message, "One or more fields were invalid; `deployment_repo` can't be blank");
    assert_eq!((hint.as_deref(), request_id.as_deref()), (Some("name a repository"), Some("r-1")));
}

#[tokio::test]
async fn code_and_request_id_of_a_plain_text_are_taken_from_the_headers() {
    let headers = "x-error-code: already_started\r\nx-request-id: r-2\r\n";
    let server =
        Server::answering("409 Conflict", headers, "Workflow has already been started").await;
    let error = server.client.workflow("x").await.expect_err("a refusal");
    assert_eq!(error.request_id(), Some("r-2"));
    assert!(
        matches!(&error, ClientError::Refused { code, .. } if &**code == "already_started"),
        "{error:?}"
    );
}

#[tokio::test]
async fn every_shape_of_refusal_has_words() {
    for (status, headers, body, expected) in [
        (
            "400 Bad Request",
            "",
            r#"{"milestones":"is invalid","id":["a","b"]}"#,
            "`id` a; `id` b; `milestones` is invalid",
        ),
        ("409 Conflict", "", "Workflow has already completed", "Workflow has already completed"),
        ("409 Conflict", "", r#""quoted text""#, "quoted text"),
        ("404 Not Found", "", "", "there is no such thing (404)"),
        (
            "503 Service Unavailable",
            "content-type: text/html\r\n",
            "<html>",
            "the node is not ready (503)",
        ),
        ("500 Internal Server Error", "", "a\u{1b}[2Jb", "a [2Jb"),
        ("302 Found", "location: http://evil.example/\r\n", "", "unexpected answer (302)"),
    ] {
        let server = Server::answering(status, headers, body).await;
        let error = server.client.workflow("x").await.expect_err(status);
        assert_eq!(error.to_string(), expected, "{status}");
        assert_eq!(error.is_not_found(), status.starts_with("404"));
        assert_eq!(error.is_retryable(), status.starts_with("503"));
    }
}

#[tokio::test]
async fn an_unaccepted_token_is_unauthorized_and_never_shown() {
    let server = Server::answering("401 Unauthorized", "", "Unauthorized").await;
    let error = server.client.clusters().await.expect_err("a refusal");
    assert!(matches!(error, ClientError::Unauthorized { had_token: true, .. }), "{error:?}");
    assert!(!format!("{error:?} {:?}", server.client).contains("s3cret"));
}

#[tokio::test]
async fn a_node_that_is_not_there_is_unreachable_with_the_reason() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    drop(listener);
    let error = client(&url).ready().await.expect_err("nobody listens");
    assert!(matches!(error, ClientError::Unreachable { .. }), "{error:?}");
    assert_eq!(
        error.to_string(),
        format!("{url}/ cannot be reached: Connection refused (os error 111)")
    );
    assert!(error.is_retryable() && error.hint().is_some());
}

#[tokio::test]
async fn a_silent_node_times_out_at_the_deadline() {
    let server = Server::silent().await;
    let client = server.client.clone().with_deadline(Duration::from_millis(50));
    let error = client.clusters().await.expect_err("no answer");
    assert!(
        matches!(error, ClientError::Timeout { after, .. } if after == Duration::from_millis(50)),
        "{error:?}"
    );
    server.request.abort();
}

#[tokio::test]
async fn an_answer_of_another_shape_is_unintelligible() {
    let server = Server::answering("200 OK", "", "[1,2]").await;
    let error = server.client.clusters().await.expect_err("no clusters");
    assert!(matches!(error, ClientError::Unintelligible { .. }), "{error:?}");

    let server = Server::answering("201 Created", "", "").await;
    let error =
        server.client.create_workflow(&NewWorkflow::default()).await.expect_err("no location");
    assert!(error.to_string().contains("Location"), "{error}");
}
