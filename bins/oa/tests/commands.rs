//! What the commands print, and how they end.

#![allow(missing_docs, unreachable_pub)]

mod support;

use serde_json::{Value, json};
use support::{Answer, Node, Ran, oa, ok, status};

const ID: &str = "01920000-0000-7000-8000-000000000001";

/// A workflow that is in `state`, with `more` beside its id.
fn workflow(state: &str, more: &Value) -> String {
    let is_over = ["succeeded", "failed", "cancelled", "rolled_back"].contains(&state);
    let mut object = json!({"id": ID, "state": state, "workflow_completed": is_over});
    let fields = object.as_object_mut().expect("an object");
    fields.extend(more.as_object().expect("an object").clone());
    object.to_string()
}

fn deployed() -> String {
    deployed_with(json!({"http": "/health"}))
}

/// A deployment whose health is asked for like that.
fn deployed_with(health: Value) -> String {
    let units = json!([
        {"name": "hello@0.service", "address": "127.0.0.1:45000", "machine_id": "m1"},
        {"name": "hello@1.service", "address": "127.0.0.1:45001", "machine_id": "m1"}
    ]);
    let steps = json!([
        {"seq": 0, "milestone": "config", "state": "succeeded", "attempts": 1, "started_at_ms": 0, "finished_at_ms": 350,
         "output": {"milestone": "config", "fleet_config": {"health": health}}},
        {"seq": 1, "milestone": "deploy", "state": "succeeded", "attempts": 1, "started_at_ms": 350,
         "finished_at_ms": 4350, "output": {"milestone": "deploy", "units": units}}
    ]);
    workflow("succeeded", &json!({ "steps": steps }))
}

fn events(state: &str, version: i64) -> String {
    let event =
        json!({"version": version, "at_ms": 0, "kind": "step_started", "message": "on its way"});
    json!({"events": [event], "state": state, "completed": state == "succeeded"}).to_string()
}

/// A node on which every deployment ends as `end` says.
fn node_that_ends(end: String) -> Node {
    Node::answering(move |request, _| deploying(request, &end))
}

fn deploying(request: &str, end: &str) -> Answer {
    match request.split('?').next().unwrap_or_default() {
        "POST /workflows" => (201, format!("location: /workflows/{ID}\r\n"), String::new()),
        path if path == format!("POST /workflows/{ID}/execute") => {
            (202, String::new(), String::new())
        }
        path if path == format!("GET /workflows/{ID}/events") => ok(events("running", 1)),
        path if path == format!("GET /workflows/{ID}") => ok(end),
        other => status(404, &format!("unexpected: {other}")),
    }
}

fn assert_three_lines(ran: &Ran) {
    let lines: Vec<&str> = ran.stderr.lines().collect();
    let starts = ["error: ", "  why: ", "  try: "];
    let last: Vec<&&str> = lines.iter().rev().take(3).rev().collect();
    assert!(
        last.len() == 3 && last.iter().zip(starts).all(|(l, start)| l.starts_with(start)),
        "{}",
        ran.stderr
    );
}

#[test]
fn deploy_follows_the_workflow_and_ends_with_addresses_alone_on_stdout() {
    let ran = node_that_ends(deployed()).run(&["deploy", "--repo", "acme/hello", "--ref", "main"]);
    assert_eq!(
        ran.stdout,
        "name             address                 machine_id\n\
         hello@0.service  http://127.0.0.1:45000  m1\n\
         hello@1.service  http://127.0.0.1:45001  m1\n",
        "{}",
        ran.stderr
    );
    for part in [ID, "config    done  350 ms", "deploy    done  4.0 s"] {
        assert!(ran.stderr.contains(part), "{}", ran.stderr);
    }
    assert_eq!(ran.code, Some(0));
    assert!(!ran.stderr.contains('\x1b'), "no colour outside a terminal");
}

#[test]
fn a_unit_that_is_not_known_to_speak_http_is_shown_by_host_and_port() {
    let ran = node_that_ends(deployed_with(json!({"tcp": true}))).run(&["deploy", "--repo", "a/b"]);
    assert!(ran.stdout.contains("hello@0.service  127.0.0.1:45000  m1\n"), "{}", ran.stdout);
}

#[test]
fn deploy_sends_what_was_typed() {
    let (send, sent) = std::sync::mpsc::sync_channel(8);
    let node = Node::answering(move |request, body| {
        if request == "POST /workflows" {
            send.send(body.to_owned()).expect("the test listens");
        }
        deploying(request, &deployed())
    });
    let line = [
        "deploy",
        "--repo",
        "acme/hello",
        "--ref",
        "v1",
        "--source-repo",
        "acme/src",
        "--source-ref",
        "v2",
    ];
    let ran = node.run(&[&line[..], &["--milestones", "config", "--output", "json"]].concat());
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let body: Value = serde_json::from_str(&sent.recv().expect("a request")).expect("JSON");
    assert_eq!(
        body,
        json!({
            "deployment_repo": "acme/hello", "deployment_repo_git_ref": "v1", "source_repo": "acme/src",
            "source_repo_git_ref": "v2", "milestones": ["config"]
        })
    );
    let printed: Value = serde_json::from_str(&ran.stdout).expect("JSON alone on stdout");
    assert_eq!(printed["id"], ID);
}

#[test]
fn deploy_detached_prints_the_id_and_does_not_wait() {
    let ran = node_that_ends(workflow("running", &json!({})))
        .run(&["deploy", "--repo", "a/b", "--detach"]);
    assert_eq!(
        (ran.code, ran.stdout.as_str()),
        (Some(0), format!("{ID}\n").as_str()),
        "{}",
        ran.stderr
    );
}

#[test]
fn a_failed_workflow_says_where_why_and_what_next_and_exits_1() {
    let steps = json!([{"seq": 0, "milestone": "config", "state": "failed", "attempts": 1, "started_at_ms": 0}]);
    let failure = json!({"message": "`etcd.json` is missing", "hint": "add etcd.json"});
    let end =
        workflow("failed", &json!({"steps": steps, "failure": failure, "workflow_error": true}));
    let ran = node_that_ends(end).run(&["deploy", "--repo", "a/b"]);
    assert_three_lines(&ran);
    let expected = format!(
        "workflow {ID} failed at `config`\n  why: `etcd.json` is missing\n  try: add etcd.json; oa why {ID}\n"
    );
    assert!(ran.stderr.ends_with(&expected), "{}", ran.stderr);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""));
}

#[test]
fn a_cancelled_workflow_exits_6() {
    let ran = node_that_ends(workflow("cancelled", &json!({}))).run(&["deploy", "--repo", "a/b"]);
    assert_eq!(ran.code, Some(6), "{}", ran.stderr);
}

#[test]
fn a_workflow_that_takes_too_long_exits_5_and_says_how_to_go_on() {
    let ran = node_that_ends(workflow("running", &json!({}))).run(&[
        "deploy",
        "--repo",
        "a/b",
        "--timeout",
        "300ms",
    ]);
    assert_eq!(ran.code, Some(5), "{}", ran.stderr);
    assert_three_lines(&ran);
    assert!(ran.stderr.contains(&format!("oa workflow show {ID} --watch")), "{}", ran.stderr);
}

#[test]
fn a_node_that_is_away_for_a_moment_is_asked_again() {
    let mut is_away = true;
    let node = Node::answering(move |request, _| {
        if request.contains("/events") && std::mem::take(&mut is_away) {
            return status(503, "");
        }
        deploying(request, &deployed())
    });
    let ran = node.run(&["deploy", "--repo", "a/b"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stderr.contains("trying again"), "{}", ran.stderr);
}

#[test]
fn a_refused_deployment_exits_3_with_the_reason_of_the_node() {
    let node =
        Node::answering(|_, _| status(400, r#"{"milestones":"`dance` is not a milestone"}"#));
    let ran = node.run(&["deploy", "--repo", "a/b", "--milestones", "dance"]);
    assert_eq!(ran.code, Some(3));
    assert!(ran.stderr.contains("`dance` is not a milestone"), "{}", ran.stderr);
}

#[test]
fn an_unaccepted_token_exits_3_and_is_not_shown() {
    let ran = Node::answering(|_, _| status(401, "Unauthorized")).run(&["status"]);
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
    assert_three_lines(&ran);
    assert!(ran.stderr.contains("OA_TOKEN") && !ran.stderr.contains("s3cret"), "{}", ran.stderr);
}

#[test]
fn without_a_node_the_missing_file_is_named() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let ran = Ran::of(oa(&["status"]).env("OA_DATA_DIR", dir.path()).output().expect("oa runs"));
    assert_eq!(ran.code, Some(1));
    assert_three_lines(&ran);
    assert!(ran.stderr.contains("node.json") && ran.stderr.contains("oa-node"), "{}", ran.stderr);
}

#[test]
fn a_wrong_command_line_exits_2() {
    assert_eq!(Ran::of(oa(&["deploi"]).output().expect("oa runs")).code, Some(2));
    assert_eq!(Ran::of(oa(&["deploy"]).output().expect("oa runs")).code, Some(2));
}

#[test]
fn a_workflow_is_found_by_the_beginning_of_its_id() {
    let other = "01930000-0000-7000-8000-000000000002";
    let node = Node::answering(move |request, _| match request {
        "GET /workflows?lookback=0" => ok(json!([{"id": ID}, {"id": other}]).to_string()),
        request if request.ends_with(ID) => {
            ok(workflow("running", &json!({"waiting_for": "a worker"})))
        }
        _ => status(404, ""),
    });
    let ran = node.run(&["workflow", "show", "0192"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stdout.contains("waiting_for  a worker"), "{}", ran.stdout);
    assert_eq!(node.run(&["workflow", "show", "019"]).code, Some(2));
    assert_eq!(node.run(&["workflow", "show", "0200"]).code, Some(4));
    assert_eq!(node.run(&["workflow", "show", &ID.replace("01", "02")]).code, Some(4));
}

#[test]
fn workflows_are_listed_the_newest_first() {
    let list = json!([
        {"id": "0191", "state": "failed", "deployment_repo": "a/b"},
        {"id": "0192", "state": "running", "current_step": "deploy", "deployment_repo": "a/b"}
    ]);
    let ran = Node::answering(move |_, _| ok(list.to_string())).run(&["workflow", "list"]);
    let ids: Vec<&str> = ran.stdout.lines().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(ids, ["id", "0192", "0191"]);
}

#[test]
fn cancel_waits_until_the_workflow_has_ended() {
    let mut is_cancelled = false;
    let node = Node::answering(move |request, body| match request {
        request if request.starts_with("POST ") => {
            assert_eq!(body, r#"{"reason":"wrong branch"}"#);
            is_cancelled = true;
            status(202, "")
        }
        request if request.contains("/events") => ok(events("cancelled", 1)),
        _ if is_cancelled => ok(workflow("cancelled", &json!({}))),
        _ => ok(workflow("running", &json!({}))),
    });
    let ran = node.run(&["workflow", "cancel", ID, "--reason", "wrong branch"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
}

#[test]
fn logs_print_the_output_alone_and_a_wrong_name_gets_the_nearest() {
    let node = Node::answering(|request, _| match request {
        "GET /clusters" => ok(r#"[{"id":1,"etcd_token":"local"}]"#),
        "GET /clusters/local/units" => {
            ok(r#"[{"name":"hello@0.service"},{"name":"hello@1.service"}]"#)
        }
        "GET /clusters/local/units/hello@1.service/logs?lines=100" => {
            ok(r#"{"text":"a\nb\n","next":4,"dropped":7}"#)
        }
        other => status(500, other),
    });
    let ran = node.run(&["logs", "hello@1"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), "a\nb\n"), "{}", ran.stderr);
    assert!(ran.stderr.contains("7 bytes"), "{}", ran.stderr);

    let ran = node.run(&["logs", "helo@0"]);
    assert_eq!(ran.code, Some(4));
    assert_three_lines(&ran);
    assert!(ran.stderr.contains("oa logs hello@0.service"), "{}", ran.stderr);
}

#[test]
fn status_json_is_one_object_with_clusters_units_and_open_workflows() {
    let node = Node::answering(|request, _| match request {
        "GET /readyz" => status(200, "ok"),
        "GET /clusters" => ok(r#"[{"id":1,"etcd_token":"local"}]"#),
        "GET /clusters/local/machines" => ok(r#"[{"id":"m1","primaryIP":"127.0.0.1"}]"#),
        "GET /clusters/local/state" => {
            ok(r#"[{"name":"a.service","systemdActiveState":"active"}]"#)
        }
        "GET /workflows" => {
            ok(json!([{"id": "1", "state": "running"}, {"id": "2", "state": "failed"}]).to_string())
        }
        other => status(500, other),
    });
    let ran = node.run(&["status", "--output", "json"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let printed: Value = serde_json::from_str(&ran.stdout).expect("JSON");
    assert_eq!(
        (&printed["ready"], &printed["clusters"][0]["states"][0]["name"]),
        (&json!(true), &json!("a.service"))
    );
    assert_eq!(printed["workflows"].as_array().map(Vec::len), Some(1));
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    use std::process::Stdio;
    let node = Node::answering(|_, _| ok("[]"));
    let mut child = node
        .oa(&["cluster", "list"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("oa runs");
    drop(child.stdout.take());
    let ran = Ran::of(child.wait_with_output().expect("oa ends"));
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
}

#[test]
fn a_listener_who_is_gone_does_not_break_a_deployment() {
    use std::process::Stdio;
    let node = node_that_ends(deployed());
    let mut command = node.oa(&["deploy", "--repo", "a/b"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("oa runs");
    drop(child.stderr.take());
    let ran = Ran::of(child.wait_with_output().expect("oa ends"));
    assert_eq!(ran.code, Some(0));
    assert!(ran.stdout.contains("http://127.0.0.1:45000"), "{}", ran.stdout);
}
