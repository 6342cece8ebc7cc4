//! The disk below the data directory is full or read-only.

use std::path::Path;

use oa_api::{ExecuteWorkflow, WorkflowState};
use oa_fleet::unit::{UnitDesire, UnitOption};
use oa_fleet::{Engine, EngineError, FleetClient, UnitName};
use oa_test_services::disk::SmallDisk;
use oa_test_services::eventually::eventually;
use oa_test_services::node::{NodeHome, TestNode, binaries};

use super::{SOON, becomes_ready, cluster, integrity, lines, refusal};
use crate::stage::{Hello, answer, client_of, deployed, finished, start};

const DATABASES: [&str; 3] = ["store.db", "builder.db", "deployer.db"];

#[tokio::test]
async fn a_full_disk_is_said_everywhere_loses_nothing_and_is_over_when_there_is_space() {
    let home = NodeHome::new().with_argument("--stop-units");
    let Some(disk) = SmallDisk::mount(&home.data(), 48 * 1024) else { return };
    let hello = Hello::new();
    let node = home.start().await;
    let client = client_of(&node);
    deployed(&home, &client, &hello.workflow()).await;
    let address = format!("127.0.0.1:{}", home.first_port());
    let waits = client.create_workflow(&hello.workflow()).await.expect("it is created");
    hello.source.commit(&[("README.md", "a change\n")], "a change");
    let under_way = start(&client, &hello.workflow()).await;
    disk.fill();

    // The answer names the disk, and asks to come again.
    let mut refused = None;
    for number in 0..2_000 {
        // A log that is used again from its beginning may have room for a few more.
        match client.create_cluster(&cluster(&format!("c{number}"))).await {
            Ok(()) => {}
            Err(error) => {
                refused = Some((number, refusal(error)));
                break;
            }
        }
    }
    let (number, (status, code, message, hint)) = refused.expect("a full disk refuses");
    assert_eq!((status, code.as_str()), (503, "storage_full"), "{message}");
    let path = home.data().display().to_string();
    assert!(message.contains(&path) && message.contains("bytes free"), "{message}");
    assert!(hint.contains("free some space") && hint.contains(&path), "{hint}");
    assert_eq!(retry_after(&node, &format!("c{number}")).await, "5");

    // It is not ready and says why: all to the administrator, nothing about paths to anybody else.
    let (status, code, message, _) = refusal(client.ready().await.expect_err("not ready"));
    assert_eq!((status, code.as_str()), (503, "storage_full"));
    assert!(message.contains(&path), "{message}");
    let why = client.why().await.expect("reading goes on");
    assert!(why.iter().any(|finding| finding.reason_code == "storage_full"), "{why:#?}");
    let stranger = reqwest::get(format!("{}/readyz", node.url())).await.expect("an answer");
    let said = stranger.text().await.expect("a text");
    assert!(said.contains("no space is left") && !said.contains(&path), "{said}");
    let shown = oa(&node, &["status"]).await;
    let line = shown.lines().find(|line| line.starts_with("ready")).unwrap_or_default();
    assert!(line.contains("no: ") && line.contains("no space is left for"), "{shown}");

    // What needs no space goes on; what needs it is refused and leaves nothing behind.
    assert!(!client.workflows(&Default::default()).await.expect("reading goes on").is_empty());
    assert!(answer(&address).await.contains("hello"), "units go on");
    put_is_refused(&home).await;
    let execute = client.execute_workflow(&waits, &ExecuteWorkflow::default()).await;
    assert_eq!(refusal(execute.expect_err("no space")).1, "storage_full");

    disk.free();
    becomes_ready(&home, &client).await;
    let done = finished(&home, &client, &under_way).await;
    assert_eq!(done.state, WorkflowState::Succeeded, "{done:#?}\n{}", home.log());
    let untouched = client.workflow(&waits).await.expect("it is there");
    assert_eq!(untouched.state, WorkflowState::Created, "a refusal changed nothing");
    client.execute_workflow(&waits, &ExecuteWorkflow::default()).await.expect("it starts");
    assert_eq!(finished(&home, &client, &waits).await.state, WorkflowState::Succeeded);
    client.create_cluster(&cluster(&format!("c{number}"))).await.expect("it was not made before");

    // Once for each file, however often it was tried.
    assert_eq!(lines(&home, &["writing stops until it passes", "store.db"]), 1, "{}", home.log());
    assert_eq!(lines(&home, &["it has passed", "store.db"]), 1, "{}", home.log());
    assert!(node.stop().await.success());
    for file in DATABASES {
        assert_eq!(integrity(&home, file).await, "ok", "{file}");
    }
}

/// The embedded cluster refuses a unit, and nothing of it is left.
async fn put_is_refused(home: &NodeHome) {
    let directory = home.data().join("fleet");
    let fleet = FleetClient::unix(directory.join("fleet.sock")).expect("a client");
    let before = files(&directory.join("units"));
    let name = UnitName::new("more.service").expect("a name");
    // Larger than what the last page may have left.
    let text = "x".repeat(1_000);
    let options: Vec<UnitOption> = (0..50)
        .map(|_| UnitOption::new("Unit", "Description", text.as_str()))
        .chain([UnitOption::new("Service", "ExecStart", "/bin/true")])
        .collect();
    let refused = fleet.put(&name, &options, UnitDesire::Inactive).await;
    match refused.expect_err("no space") {
        EngineError::Refused { status: 503, message, .. } => {
            assert!(
                message.starts_with("storage_full: ") && message.contains("free some space"),
                "{message}"
            );
        }
        other => panic!("{other}"),
    }
    assert_eq!(files(&directory.join("units")), before);
}

fn files(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).expect("a directory").flatten();
    let mut names: Vec<String> =
        entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    names
}

async fn retry_after(node: &TestNode, name: &str) -> String {
    let response = reqwest::Client::new()
        .post(format!("{}/clusters", node.url()))
        .bearer_auth(node.token())
        .json(&serde_json::json!({ "etcd_token": name }))
        .send()
        .await
        .expect("an answer");
    let header = response.headers().get("retry-after").expect("it says when to come again");
    header.to_str().expect("a number").to_owned()
}

async fn oa(node: &TestNode, words: &[&str]) -> String {
    let output = tokio::process::Command::new(binaries().join("oa"))
        .args(words)
        .env("OA_URL", node.url())
        .env("OA_TOKEN", node.token())
        .output()
        .await
        .expect("oa runs");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[tokio::test]
async fn a_directory_that_cannot_be_written_is_refused_at_start_with_the_fix() {
    let home = NodeHome::new();
    let Some(disk) = SmallDisk::mount(&home.data(), 8192) else { return };

    disk.make_read_only();
    let said = fails_to_start(&home).await;
    let path = home.data().display().to_string();
    for words in [path.as_str(), "mode 0700", "runs as root", "mount -o remount,rw", "Read-only"] {
        assert!(said.contains(words), "`{words}` is missing:\n{said}");
    }

    disk.make_writable();
    disk.fill();
    let said = fails_to_start(&home).await;
    assert!(said.contains(&path) && said.contains("free some space"), "{said}");

    disk.free();
    let node = home.start().await;
    assert!(node.stop().await.success(), "nothing was left half-written");
}

async fn fails_to_start(home: &NodeHome) -> String {
    let output = home.command().output().await.expect("oa-node runs");
    assert!(!output.status.success());
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test]
async fn a_builder_without_space_says_so_and_tries_again() {
    let home = NodeHome::new().with_argument("--stop-units");
    let Some(disk) = SmallDisk::mount(&home.data().join("work"), 256) else { return };
    let hello = Hello::new();
    let node = home.start().await;
    let client = client_of(&node);
    disk.fill();
    let id = start(&client, &hello.workflow()).await;

    let told = eventually(SOON, || async {
        let news = client.workflow_events(&id, 0, std::time::Duration::ZERO).await;
        let events = news.expect("events are readable").events;
        let said = format!("{events:?}").to_lowercase();
        said.contains("no space left") && said.contains("next attempt")
    });
    assert!(told.await, "{:#?}\n{}", client.workflow(&id).await, home.log());
    disk.free();
    let done = finished(&home, &client, &id).await;
    // A step that ran out of tries meanwhile would have said so; there are five of them.
    assert_eq!(done.state, WorkflowState::Succeeded, "{done:#?}");
    node.stop().await;
}
