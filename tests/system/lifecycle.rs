//! Starting, stopping, starting again.

use std::process::Stdio;
use std::time::Duration;

use oa_test_services::node::NodeHome;
use tokio::net::{TcpListener, UnixDatagram};
use tokio::time::timeout;

use crate::stage::{Hello, answer, client_of, client_with_token, deployed, keepers};

/// What a node that cannot start says, and its exit code.
async fn refusal(home: &NodeHome, arguments: &[&str]) -> (String, Option<i32>) {
    let mut command = home.command();
    let output =
        command.args(arguments).stdout(Stdio::null()).output().await.expect("oa-node runs");
    (String::from_utf8_lossy(&output.stderr).into_owned(), output.status.code())
}

#[tokio::test]
async fn units_outlive_an_orderly_stop_and_are_adopted_by_the_next_node() {
    let (home, hello) = (NodeHome::new(), Hello::new());
    let node = home.start().await;
    let done = deployed(&home, &client_of(&node), &hello.workflow()).await;
    let address = done.deployed_units()[0].address.clone().expect("an address");
    let before = keepers(&home);
    assert!(node.stop().await.success());
    answer(&address).await;

    let home = home.with_argument("--stop-units");
    let node = home.start().await;

    assert_eq!(keepers(&home), before, "the same processes, adopted");
    answer(&address).await;
    assert!(node.stop().await.success());
    assert!(keepers(&home).is_empty());
}

#[tokio::test]
async fn a_second_node_on_the_same_data_directory_is_refused() {
    let home = NodeHome::new();
    let node = home.start().await;

    let (text, code) = refusal(&home, &[]).await;

    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("another node uses the data directory"), "{text}");
    assert!(text.contains(&node.id().to_string()), "the process is named: {text}");
    node.stop().await;
}

#[tokio::test]
async fn a_port_in_use_is_refused_with_the_address() {
    let taken = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = taken.local_addr().expect("its address").to_string();
    let home = NodeHome::new();

    let mut command =
        tokio::process::Command::new(oa_test_services::node::binaries().join("oa-node"));
    let output = command
        .args(["--listen", &address, "--data-dir"])
        .arg(home.data())
        .stdin(Stdio::null())
        .output()
        .await
        .expect("oa-node runs");

    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains(&address), "{text}");
}

#[tokio::test]
async fn a_configuration_with_a_typing_error_is_refused_with_its_line() {
    let home = NodeHome::new().with_config("[node]\nnaem = \"x\"\n");

    let (text, code) = refusal(&home, &["--check"]).await;

    assert_eq!(code, Some(78), "{text}");
    assert!(text.contains("naem") && text.contains("line 2"), "{text}");
}

#[tokio::test]
async fn the_admin_token_is_private_and_is_needed() {
    use std::os::unix::fs::PermissionsExt;
    let home = NodeHome::new();
    let node = home.start().await;

    let file = node.data().join("admin-token");
    let mode = std::fs::metadata(file).expect("the token is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let stranger = client_with_token(node.url(), "wrong");
    assert!(stranger.workflows(&oa_api::WorkflowFilter::default()).await.is_err());
    node.stop().await;
}

#[tokio::test]
async fn the_tree_shows_every_component() {
    let home = NodeHome::new();
    let node = home.start().await;

    let tree = client_of(&node).tree_value().await.expect("the tree is readable").to_string();

    for component in [
        "manager",
        "workflow_orchestrator",
        "builder",
        "deployer",
        "fleet_manager",
        "overseer",
        "notifications",
    ] {
        assert!(tree.contains(component), "{component} is missing in {tree}");
    }
    node.stop().await;
}

#[tokio::test]
async fn a_service_manager_is_told_when_the_node_is_ready_and_when_it_drains() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("notify");
    let socket = UnixDatagram::bind(&path).expect("a socket");
    let home =
        NodeHome::new().with_environment("NOTIFY_SOCKET", path.to_str().expect("a plain path"));
    let heard = async || {
        let mut text = [0; 1024];
        let length = timeout(Duration::from_secs(10), socket.recv(&mut text)).await;
        let length = length.expect("it is said in time").expect("a message");
        String::from_utf8_lossy(&text[..length]).into_owned()
    };

    let node = home.start().await;
    let ready = heard().await;
    node.stop().await;

    assert!(ready.contains("READY=1") && ready.contains("REST on"), "{ready}");
    assert!(heard().await.contains("STOPPING=1"));
}

#[tokio::test]
async fn a_misspelt_setting_is_answered_with_the_one_that_was_meant() {
    let home = NodeHome::new().with_config("[manager]\nlissten = \"127.0.0.1:0\"");

    let (text, code) = refusal(&home, &["--check"]).await;

    assert_eq!(code, Some(78), "{text}");
    assert!(text.contains("line 2") && text.contains("did you mean `manager.listen`"), "{text}");
}
