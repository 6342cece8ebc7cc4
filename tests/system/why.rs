//! `oa why` on workflows that real workers could not bring to a good end: each is told with its reason.

use oa_api::{Finding, NewWorkflow, WorkflowState};
use oa_test_services::git::TestRepository;
use oa_test_services::node::NodeHome;

use crate::stage::{client_of, finished, start};

const ETCD: (&str, &str) = ("etcd.json", r#"{"token": "local"}"#);
const UNIT: &str = "[Service]\nExecStart=/bin/sleep 86400\n";
const FLEET: &str =
    r#"{"instance_cnt": 1, "deploy": {"settle": "500ms", "healthy_within": "20s"}}"#;

/// A deployment that fails: its reason, its files, and what the answer must say.
struct Case {
    code: &'static str,
    files: &'static [(&'static str, &'static str)],
    words: &'static [&'static str],
}

const CASES: &[Case] = &[
    Case { code: "file_missing", files: &[("app@.service", UNIT)], words: &["etcd.json"] },
    Case {
        code: "file_invalid",
        files: &[("etcd.json", "{\"token\": }"), ("app@.service", UNIT)],
        words: &["etcd.json, line 1"],
    },
    Case {
        code: "template_refused",
        files: &[ETCD, ("app@.service.eex", "[Service]\nExecStart=<%= System.halt() %>\n")],
        words: &["app@.service.eex", "line 2"],
    },
    Case {
        code: "cluster_unknown",
        files: &[("etcd.json", r#"{"token": "nowhere"}"#), ("app@.service", UNIT)],
        words: &["nowhere", "known are local"],
    },
    Case {
        code: "fleet_config_invalid",
        files: &[ETCD, ("fleet.json", r#"{"health": {"http": "/up"}}"#), ("app@.service", UNIT)],
        words: &["dst_port"],
    },
    Case {
        code: "unit_invalid",
        files: &[ETCD, ("fleet.json", FLEET), ("app@.service", UNIT), ("app@0.service", UNIT)],
        words: &["app@0.service is named twice"],
    },
    Case {
        code: "unit_refused",
        files: &[
            ETCD,
            ("fleet.json", FLEET),
            ("app@.service", "[Service]\nUser=nobody-has-this-name\nExecStart=/bin/true\n"),
        ],
        words: &["User=", "nobody-has-this-name", "correct the unit file"],
    },
    Case {
        code: "unit_unhealthy",
        files: &[
            ETCD,
            ("fleet.json", FLEET),
            ("app@.service", "[Service]\nExecStart=/bin/ls /nothing-is-here\n"),
        ],
        words: &["app@0.service", "exit status: 2", "cannot access '/nothing-is-here'"],
    },
];

/// A workflow that deploys `repository`, which is its own source.
fn workflow(repository: &str) -> NewWorkflow {
    NewWorkflow {
        deployment_repo: Some(repository.to_owned()),
        deployment_repo_git_ref: Some("main".into()),
        source_repo: Some(repository.to_owned()),
        source_repo_git_ref: Some("main".into()),
        milestones: Some(vec!["config".into(), "deploy".into()]),
        ..NewWorkflow::default()
    }
}

/// Deploys and expects the workflow to fail; why it did.
async fn why(home: &NodeHome, client: &oa_api::Client, workflow: &NewWorkflow) -> Finding {
    let id = start(client, workflow).await;
    let failed = finished(home, client, &id).await;
    assert_eq!(failed.state, WorkflowState::Failed, "{failed:#?}");
    let mut findings = client.why_workflow(&id).await.expect("an answer");
    assert_eq!(findings.len(), 1, "{findings:#?}");
    let finding = findings.remove(0);
    let code = failed.failure.and_then(|failure| failure.code);
    assert_eq!(code.as_ref(), Some(&finding.reason_code), "the workflow carries the same word");
    finding
}

fn check(finding: &Finding, code: &str, words: &[&str]) {
    assert_eq!(finding.reason_code, code, "{finding:#?}");
    let text = format!("{finding:?}");
    for word in words {
        assert!(text.contains(word), "`{word}` is missing in {finding:#?}");
    }
    assert!(finding.since_ms.is_some() && finding.evidence.event_version.is_some(), "{finding:#?}");
    assert!(!finding.next.is_empty() && !finding.owner.is_empty(), "{finding:#?}");
}

#[tokio::test]
async fn mistakes_in_a_repository_are_told_as_what_they_are() {
    let home = NodeHome::new().with_argument("--stop-units");
    let node = home.start().await;
    let client = client_of(&node);
    for Case { code, files, words } in CASES {
        let repository = TestRepository::with_files(files);
        let path = repository.path().display().to_string();
        check(&why(&home, &client, &workflow(&path)).await, code, words);
    }
    node.stop().await;
}

#[tokio::test]
async fn repositories_that_cannot_be_read_or_written_are_told_as_what_they_are() {
    let home = NodeHome::new();
    let node = home.start().await;
    let client = client_of(&node);
    let template =
        [ETCD, ("app@.service.eex", "[Service]\nExecStart=/bin/echo <%= commit_hash %>\n")];
    let good = TestRepository::with_files(&template);
    let path = good.path().display().to_string();

    let missing = good.path().with_file_name("missing.git").display().to_string();
    check(&why(&home, &client, &workflow(&missing)).await, "repository_not_found", &[&missing]);

    let elsewhere =
        NewWorkflow { deployment_repo_git_ref: Some("no-such-branch".into()), ..workflow(&path) };
    check(&why(&home, &client, &elsewhere).await, "revision_not_found", &["no-such-branch"]);

    let empty = good.path().with_file_name("empty.git");
    good.git(&["init", "-q", "--bare", "-b", "main", &empty.display().to_string()]);
    let whole = NewWorkflow { deployment_repo_git_ref: None, ..workflow(&path) };
    let empty = NewWorkflow { deployment_repo: Some(empty.display().to_string()), ..whole };
    check(&why(&home, &client, &empty).await, "repository_refused", &["has no commit yet"]);

    // A server that keeps the branch to itself.
    let bare = format!("--git-dir={path}");
    good.git(&[&bare, "config", "receive.hideRefs", "refs/heads/main"]);
    check(&why(&home, &client, &workflow(&path)).await, "push_refused", &["main"]);
    node.stop().await;
}
