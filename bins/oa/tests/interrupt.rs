//! What Ctrl-C does while something is watched.

#![allow(missing_docs, unreachable_pub)]

#[expect(dead_code, reason = "each test file uses a part of it")]
mod support;

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use support::{Node, ok, status};

const ID: &str = "01920000-0000-7000-8000-000000000001";

fn interrupt(child: &Child) {
    let id = i32::try_from(child.id()).ok().and_then(Pid::from_raw).expect("a process id");
    kill_process(id, Signal::INT).expect("the command runs");
}

#[test]
fn ctrl_c_while_watching_leaves_the_workflow_alone_says_how_to_go_on_and_exits_6() {
    let node = Node::answering(|request, _| {
        assert!(request.starts_with("GET "), "nothing is changed: {request}");
        let steps = json!([{"seq": 0, "milestone": "deploy", "state": "running", "attempts": 1, "started_at_ms": 0}]);
        match request {
            request if request.contains("/events") => {
                ok(r#"{"events":[],"state":"running","completed":false}"#)
            }
            _ => ok(json!({"id": ID, "state": "running", "steps": steps}).to_string()),
        }
    });
    let mut child = node
        .oa(&["workflow", "show", ID, "--watch"])
        .stderr(Stdio::piped())
        .spawn()
        .expect("oa runs");
    let mut stderr = BufReader::new(child.stderr.take().expect("it is piped"));
    let mut text = String::new();
    stderr.read_line(&mut text).expect("a line");
    assert_eq!(text, "  deploy    started\n");

    interrupt(&child);
    stderr.read_to_string(&mut text).expect("the rest");
    assert_eq!(child.wait().expect("oa ends").code(), Some(6));
    for part in [
        "goes on by itself",
        &format!("oa workflow show {ID} --watch"),
        &format!("oa workflow cancel {ID}"),
    ] {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn ctrl_c_ends_followed_logs_well() {
    let node = Node::answering(|request, _| match request {
        "GET /clusters/local/units" => ok(r#"[{"name":"a.service"}]"#),
        request if request.contains("lines=") => ok(r#"{"text":"first\n","next":6}"#),
        request if request.contains("after=6&wait_ms=") => ok(r#"{"text":"second\n","next":13}"#),
        request if request.contains("after=13&wait_ms=") => ok(r#"{"text":"","next":13}"#),
        other => status(500, other),
    });
    let line = ["logs", "a", "--cluster", "local", "--follow", "--lines", "1"];
    let mut child = node.oa(&line).stdout(Stdio::piped()).spawn().expect("oa runs");
    let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
    let mut next = || lines.next().expect("a line").expect("text");
    assert_eq!((next().as_str(), next().as_str()), ("first", "second"));

    interrupt(&child);
    assert_eq!(child.wait().expect("oa ends").code(), Some(0));
}
