//! Whoever reads the log has stopped.

use std::process::Stdio;
use std::time::Duration;

use oa_test_services::node::NodeHome;
use tokio::io::{AsyncBufReadExt, BufReader};

use super::{SOON, cluster};
use crate::stage::client_with_token;

/// Requests whose lines are more than a pipe and the node's own room hold.
const REQUESTS: usize = 150;

#[tokio::test]
async fn a_log_that_nobody_reads_holds_nothing_up() {
    let home = NodeHome::new();
    let mut command = home.command();
    command.env("OA_LOG", "trace").stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut node = command.spawn().expect("oa-node starts");
    let mut lines = BufReader::new(node.stdout.take().expect("piped")).lines();
    let ready = tokio::time::timeout(SOON, lines.next_line()).await.expect("in time");
    let ready = ready.expect("readable").expect("a line");
    let url = ready.strip_prefix("ready ").expect("it is ready");
    let token = std::fs::read_to_string(home.data().join("admin-token")).expect("a token");
    let client = client_with_token(url, token.trim());

    // Standard error is never read: a node that waited for its log would answer some of these and then none.
    let all = async {
        for number in 0..REQUESTS {
            client.create_cluster(&cluster(&format!("c{number}"))).await.expect("it answers");
        }
    };
    tokio::time::timeout(Duration::from_secs(20), all).await.expect("none of them hangs");
    node.kill().await.expect("it is killed");
}
