//! Hostile texts through the REST API of a real node: each gets an answer, none is executed.
//!
//! `OA_TEST_HOSTILE_REQUESTS` sets how many are sent; the types behind the fields are tried with 100,000 in their own crates.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use oa_test_services::hostile::HostileStrings;
use oa_test_services::node::{NodeHome, TestNode};
use reqwest::{Client, Method};
use serde_json::{Value, json};

use crate::stage::{Hello, client_of, finished, keepers};

/// Names of workflows that a request can set, and where a refusal must name them.
const NAMES: [&str; 5] = [
    "deployment_repo",
    "deployment_repo_git_ref",
    "source_repo",
    "source_repo_git_ref",
    "source_commit_hash",
];

/// Sends requests and looks at what they must all be.
struct Sender<'a> {
    http: Client,
    node: &'a TestNode,
}

impl Sender<'_> {
    /// Status, `location`, body.
    async fn send(&self, method: Method, path: &str, body: &Value) -> (u16, String, String) {
        let url = format!("{}{path}", self.node.url());
        let request = self.http.request(method, url).bearer_auth(self.node.token()).json(body);
        let answer = request.send().await.expect("the node answers");
        let status = answer.status().as_u16();
        let location = answer.headers().get("location").and_then(|value| value.to_str().ok());
        let location = location.unwrap_or_default().to_owned();
        let text = answer.text().await.expect("an answer is text");
        assert!(status < 500, "{path} with {body}: {status} {text}");
        (status, location, text)
    }
}

/// A segment of a path, with every byte that is not plain written as %XX.
fn segment(text: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric();
    text.bytes()
        .map(|b| if plain(&b) { char::from(b).to_string() } else { format!("%{b:02X}") })
        .collect()
}

/// A program that leaves a mark when it runs.
fn canary(place: &Path) -> std::path::PathBuf {
    let program = place.join("canary");
    fs::write(&program, format!("#!/bin/sh\necho ran >> {}\n", mark(place).display()))
        .expect("a program");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("executable");
    program
}

fn mark(place: &Path) -> std::path::PathBuf {
    place.join("mark")
}

#[tokio::test]
async fn hostile_texts_are_answered_and_never_executed() {
    let _already_installed = rustls::crypto::ring::default_provider().install_default();
    let number = std::env::var("OA_TEST_HOSTILE_REQUESTS").ok().and_then(|n| n.parse().ok());
    let place = tempfile::tempdir().expect("a directory");
    let program = canary(place.path());
    let (home, hello) = (NodeHome::new(), Hello::new());
    let node = home.start().await;
    let sender = Sender { http: Client::new(), node: &node };
    let plan = serde_json::to_value(hello.workflow()).expect("JSON");
    let (_, plain, _) = sender.send(Method::POST, "/workflows", &plan).await;

    let mut started = Vec::new();
    let texts = HostileStrings::new(6, number.unwrap_or(300), &program.display().to_string());
    for (round, text) in texts.enumerate() {
        let name = NAMES[round % NAMES.len()];
        let mut body = plan.clone();
        body["milestones"] = json!(["config"]);
        body[name] = json!(text);
        let (status, location, answer) = sender.send(Method::POST, "/workflows", &body).await;
        match status {
            201 => {
                // What is reached over a network is not asked for from here.
                let repository = name == "deployment_repo" || name == "source_repo";
                if !repository || text.trim().starts_with('/') {
                    sender.send(Method::POST, &format!("{location}/execute"), &json!({})).await;
                    started.push(location);
                }
            }
            _ => assert!(answer.contains(name), "{text:?} as {name}: {status} {answer}"),
        }
        let in_path = segment(&text);
        let (method, path, body) = match round % 9 {
            0 => (Method::PATCH, plain.clone(), json!({name: text})),
            1 => (Method::POST, "/workflows".into(), json!({"milestones": [text, "config"]})),
            2 => (Method::POST, "/clusters".into(), json!({"etcd_token": text, "name": text})),
            3 => (Method::GET, format!("/clusters/{in_path}/units"), json!({})),
            4 => (Method::GET, format!("/clusters/local/units/{in_path}/logs"), json!({})),
            5 => (
                Method::POST,
                format!("/clusters/local/machines/{in_path}/units/{in_path}/restart"),
                json!({}),
            ),
            6 => (Method::POST, format!("{plain}/cancel"), json!({"reasons": text})),
            7 => (Method::GET, format!("/workflows/{in_path}"), json!({})),
            _ => (
                Method::POST,
                format!("/workflows/{in_path}/execute"),
                json!({"force_build": text}),
            ),
        };
        sender.send(method, &path, &body).await;
    }

    let client = client_of(&node);
    for location in &started {
        let id = location.rsplit('/').next().unwrap_or_default();
        let ended = finished(&home, &client, id).await;
        let said = format!("{:?}{:?}", ended.failure, ended.event_log);
        assert!(!said.chars().any(char::is_control), "{said:?}");
    }
    assert!(5 < started.len() || number.is_some(), "only {} were started", started.len());
    assert!(keepers(&home).is_empty(), "a unit was started");
    assert!(!mark(place.path()).exists(), "the canary sang");
    let work = fs::read_dir(home.data().join("work")).map_or(0, Iterator::count);
    assert_eq!(work, 0, "a directory of an attempt is left");
    node.stop().await;
}
