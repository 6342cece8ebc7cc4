//! What a workflow or a repository says wrongly is named, and nothing is pushed.

use oa_builder::{BuilderConfig, ConfigMilestone};
use oa_test_services::git::TestRepository;

use crate::support::{ETCD, Workshop, command, command_without_source, deployment, source};

#[tokio::test]
async fn what_does_not_exist_is_named() {
    let (workshop, deployment, source) = (Workshop::open().await, deployment(), source());
    let good = command(&deployment, &source);

    let mut command = good.clone();
    command.deployment_repo = "/no/such/repository.git".into();
    assert!(workshop.refusal(&command).await.contains("/no/such/repository.git was not found"));

    let mut command = good.clone();
    command.deployment_repo_git_ref = Some("no-such-branch".into());
    let message = workshop.refusal(&command).await;
    assert!(message.contains("no branch, tag or commit `no-such-branch`"), "{message}");

    let mut command = good.clone();
    command.source_repo_git_ref = Some("no-such-tag".into());
    assert!(workshop.refusal(&command).await.contains("`no-such-tag`"));

    for hash in ["0123456789abcdef0123456789abcdef01234567", "0123456789ab"] {
        let mut command = good.clone();
        command.source_repo_git_ref = Some(hash.into());
        let message = workshop.refusal(&command).await;
        assert!(
            message.contains(hash) && message.contains("no branch, tag or commit"),
            "{message}"
        );
    }
    assert_eq!(deployment.commits(), 1);
}

#[tokio::test]
async fn an_empty_repository_is_told_to_be_empty() {
    let workshop = Workshop::open().await;
    let place = tempfile::tempdir().expect("a directory");
    deployment().git(&[
        "init",
        "-q",
        "--bare",
        &place.path().join("empty.git").display().to_string(),
    ]);
    let mut command = command_without_source(&place.path().join("empty.git"));
    command.deployment_repo_git_ref = None;
    assert!(workshop.refusal(&command).await.contains("has no commit yet"));
}

#[tokio::test]
async fn missing_files_are_named_only_when_a_deployment_needs_them() {
    let (workshop, source) = (Workshop::open().await, source());
    let bare = TestRepository::with_files(&[("README", "nothing\n")]);
    let mut command = command(&bare, &source);
    assert!(workshop.refusal(&command).await.contains("no etcd.json"));
    bare.commit(&[("etcd.json", ETCD)], "a token");
    assert!(workshop.refusal(&command).await.contains("at least one unit"));
    command.needs_cluster = false;
    let output = workshop.run(&command).await.expect("no deployment, no demand");
    assert!(output.units.is_empty() && !output.pushed);
}

#[tokio::test]
async fn a_broken_file_is_named_with_its_place_and_nothing_is_pushed() {
    let (workshop, source) = (Workshop::open().await, source());
    for (name, text, expected) in [
        ("etcd.json", "{\n  \"token\" \"x\"\n}", "etcd.json, line 2, column"),
        ("fleet.json", "{\"instance_cnt\": 1,}", "fleet.json, line 1, column 20"),
        ("source.json", "nonsense", "source.json, line 1, column"),
        ("docker.json", "{\"docker_url\": 5}", "docker.json, line 1, column"),
        (
            "evil@.service.eex",
            "[Service]\nExecStart=<% System.cmd(\"id\", []) %>\n",
            "evil@.service.eex, line 2, column 11",
        ),
        ("install.sh.eex", "{{ commit_hash | shell }}", "install.sh.eex, line 1, column 1"),
        ("broken.service", "[Service]\nnonsense\n", "broken.service"),
    ] {
        let deployment = deployment();
        deployment.commit(&[(name, text)], "broken");
        let mut command = command(&deployment, &source);
        if name == "source.json" {
            command.source_repo = None;
        }
        let message = workshop.refusal(&command).await;
        assert!(message.contains(expected), "{name}: {message}");
        assert_eq!(deployment.commits(), 2, "{name}: nothing is pushed");
    }
}

#[tokio::test]
async fn a_template_that_needs_a_source_says_so() {
    let (workshop, deployment) = (Workshop::open().await, deployment());
    let message = workshop.refusal(&command_without_source(&deployment.path())).await;
    assert!(
        message.contains("app@.service.eex, line 2") && message.contains("source_repo_git_ref"),
        "{message}"
    );
}

#[tokio::test]
async fn hostile_texts_in_the_workflow_are_refused_by_field() {
    let (workshop, deployment, source) = (Workshop::open().await, deployment(), source());
    let good = command(&deployment, &source);
    for text in [
        "a;touch x",
        "$(id)",
        "`id`",
        "../x",
        "-x",
        "--upload-pack=id",
        "a\nb",
        "a\0b",
        "ext::id",
        "a b",
    ] {
        let mut commands = [(); 4].map(|()| good.clone());
        commands[0].deployment_repo = text.to_owned();
        commands[1].deployment_repo_git_ref = Some(text.to_owned());
        commands[2].source_repo = Some(text.to_owned());
        commands[3].source_repo_git_ref = Some(text.to_owned());
        let fields = [
            "deployment_repo:",
            "deployment_repo_git_ref:",
            "source_repo:",
            "source_repo_git_ref:",
        ];
        for (field, command) in fields.iter().zip(commands) {
            let message = workshop.refusal(&command).await;
            assert!(message.starts_with(field), "{text:?}: {message}");
        }
    }
}

#[tokio::test]
async fn pushing_to_a_checked_out_branch_is_explained() {
    let (workshop, deployment, source) = (Workshop::open().await, deployment(), source());
    let mut command = command(&deployment, &source);
    command.deployment_repo = deployment.work().display().to_string();
    let failure = workshop.run(&command).await.expect_err("a work tree").to_failure();
    assert!(failure.message.contains("checked out") && !failure.retryable, "{failure:?}");
    assert!(failure.hint.expect("a hint").contains("bare repository"));
}

#[tokio::test]
async fn a_missing_git_fails_the_step_with_what_to_install() {
    let config = BuilderConfig { git_program: "/no/such/git".into(), ..BuilderConfig::default() };
    let milestone = ConfigMilestone::new(config);
    let failure = milestone
        .run(&command(&deployment(), &source()), drop)
        .await
        .expect_err("no git")
        .to_failure();
    assert!(failure.retryable && failure.message.contains("install git"), "{failure:?}");
}
