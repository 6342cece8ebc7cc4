//! Wrong input gets an answer that names what is wrong, and leaves nothing behind.

use oa_api::{NewWorkflow, Workflow, WorkflowFilter, WorkflowState};
use oa_test_services::git::TestRepository;
use oa_test_services::node::{NodeHome, TestNode};

use crate::stage::{Hello, client_of, finished, keepers, start};

const UNIT: &str = "[Service]\nExecStart=/bin/true\n";

/// Files of a repository (name, content), and words that the failure must have.
type Case = (&'static [(&'static str, &'static str)], &'static [&'static str]);

/// Deploys and expects the workflow to fail; why it did.
async fn failure(home: &NodeHome, node: &TestNode, workflow: &NewWorkflow) -> (String, Workflow) {
    let client = client_of(node);
    let id = start(&client, workflow).await;
    let failed = finished(home, &client, &id).await;
    assert_eq!(failed.state, WorkflowState::Failed, "{failed:#?}");
    assert!(failed.workflow_completed && failed.workflow_error == Some(true));
    let message = failed.failure.clone().expect("a failure says why").message;
    (message, failed)
}

#[tokio::test]
async fn an_unknown_repository_is_named() {
    let (home, hello) = (NodeHome::new(), Hello::new());
    let node = home.start().await;
    let missing = hello.deployment.path().with_file_name("missing.git").display().to_string();

    let (message, _) = failure(
        &home,
        &node,
        &NewWorkflow { deployment_repo: Some(missing.clone()), ..hello.workflow() },
    )
    .await;

    assert!(message.contains(&missing), "{message}");
    node.stop().await;
}

#[tokio::test]
async fn an_unknown_ref_is_named() {
    let (home, hello) = (NodeHome::new(), Hello::new());
    let node = home.start().await;
    let workflow =
        NewWorkflow { deployment_repo_git_ref: Some("no-such-branch".into()), ..hello.workflow() };

    let (message, _) = failure(&home, &node, &workflow).await;

    assert!(message.contains("no-such-branch"), "{message}");
    node.stop().await;
}

#[tokio::test]
async fn mistakes_in_the_files_of_a_repository_are_named_with_file_and_line() {
    let home = NodeHome::new();
    let node = home.start().await;
    let cases: &[Case] = &[
        (&[("app@.service", UNIT)], &["etcd.json"]),
        (&[("etcd.json", "{\"token\": }"), ("app@.service", UNIT)], &["etcd.json", "1"]),
        (&[("etcd.json", "{\"token\": \"local\"}")], &["service"]),
        (
            &[("etcd.json", "{\"token\": \"local\"}"), ("app@.service", "[Service]\nnonsense\n")],
            &["app@.service", "2"],
        ),
        (
            &[
                ("etcd.json", "{\"token\": \"local\"}"),
                ("app@.service.eex", "[Service]\nExecStart=<%= System.halt() %>\n"),
            ],
            &["app@.service.eex", "2"],
        ),
        (&[("etcd.json", "{\"token\": \"nowhere\"}"), ("app@.service", UNIT)], &["nowhere"]),
    ];
    for (files, wanted) in cases {
        let repository = TestRepository::with_files(files);
        let workflow = NewWorkflow {
            deployment_repo: Some(repository.path().display().to_string()),
            deployment_repo_git_ref: Some("main".into()),
            source_repo: Some(repository.path().display().to_string()),
            source_repo_git_ref: Some("main".into()),
            milestones: Some(vec!["config".into(), "deploy".into()]),
            ..NewWorkflow::default()
        };
        let (message, _) = failure(&home, &node, &workflow).await;
        for word in *wanted {
            assert!(message.contains(word), "`{word}` is missing in: {message}");
        }
    }
    assert!(keepers(&home).is_empty(), "nothing was started");
    node.stop().await;
}

#[tokio::test]
async fn hostile_names_are_refused_and_nothing_is_stored() {
    let home = NodeHome::new();
    let node = home.start().await;
    let client = client_of(&node);
    for text in
        ["a;rm -rf /", "$(id)", "../../etc", "--upload-pack=x", "a\nb", "ext::sh -c id", "`id`"]
    {
        for field in
            ["deployment_repo", "deployment_repo_git_ref", "source_repo", "source_repo_git_ref"]
        {
            let mut workflow = Hello::new().workflow();
            match field {
                "deployment_repo" => workflow.deployment_repo = Some(text.into()),
                "deployment_repo_git_ref" => workflow.deployment_repo_git_ref = Some(text.into()),
                "source_repo" => workflow.source_repo = Some(text.into()),
                _ => workflow.source_repo_git_ref = Some(text.into()),
            }
            let refusal = client.create_workflow(&workflow).await.expect_err(text);
            assert!(refusal.to_string().contains(field), "`{text}` as {field}: {refusal}");
        }
    }
    let stored = client.workflows(&WorkflowFilter::default()).await.expect("the list is readable");
    assert!(stored.is_empty(), "{stored:#?}");
    node.stop().await;
}
