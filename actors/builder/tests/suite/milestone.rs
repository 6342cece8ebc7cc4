//! The `config` milestone against repositories made by the real git.

use std::time::Instant;

use oa_protocol::EtcdToken;
use oa_test_services::git::TestRepository;

use crate::support::{ETCD, UNIT, Workshop, command, command_without_source, deployment, source};

#[tokio::test]
async fn templates_are_rendered_committed_and_pushed() {
    let (workshop, deployment, source) = (Workshop::open().await, deployment(), source());
    let output = workshop.run(&command(&deployment, &source)).await.expect("config succeeds");

    assert!(output.pushed);
    assert_eq!(output.deployment_commit, deployment.head());
    assert_eq!(output.source_commit.as_deref(), Some(source.head().as_str()));
    assert_eq!(output.etcd_token, Some(EtcdToken::new("local").expect("a token")));
    let expected = format!("[Service]\nExecStart=/bin/app {} <%= dst_port %>\n", source.head());
    assert_eq!(deployment.file("app@.service").as_deref(), Some(expected.as_str()));
    assert_eq!(output.units.len(), 1);
    assert_eq!(
        output.units[0].values("Service", "ExecStart").collect::<Vec<_>>(),
        [format!("/bin/app {} <%= dst_port %>", source.head())]
    );
    let log = deployment.git(&["ls-remote", &deployment.path().display().to_string()]);
    assert!(String::from_utf8_lossy(&log.stdout).contains(&deployment.head()));
    deployment.git(&["fetch", "-q", &deployment.path().display().to_string(), "main"]);
    let log = deployment.git(&["log", "-1", "--format=%an <%ae>|%s", "FETCH_HEAD"]);
    assert_eq!(
        String::from_utf8_lossy(&log.stdout).trim(),
        format!(
            "OpenAperture Builder <builder@openaperture.invalid>|Deployment for commit {}",
            source.head()
        )
    );
    assert!(
        workshop.told.borrow().iter().any(|line| line.contains("pushed to branch main")),
        "{:?}",
        workshop.told
    );
}

#[tokio::test]
async fn a_second_run_makes_no_second_commit() {
    let (workshop, source) = (Workshop::open().await, source());
    let deployment = TestRepository::with_files(&[
        ("app@.service.eex", UNIT),
        ("Dockerfile.eex", "LABEL built=\"{{ timestamp }}\"\n"),
        ("etcd.json", ETCD),
    ]);
    let command = command(&deployment, &source);
    let first = workshop.run(&command).await.expect("the first run");
    let second = workshop.run(&command).await.expect("the second run");
    assert!(first.pushed && !second.pushed);
    assert_eq!(deployment.commits(), 2);
    assert_eq!(second.deployment_commit, first.deployment_commit);
    assert_eq!(second.units, first.units);
}

#[tokio::test]
async fn a_second_run_makes_no_second_commit_without_a_source_either() {
    let workshop = Workshop::open().await;
    let deployment = TestRepository::with_files(&[
        ("Dockerfile.eex", "LABEL built=\"{{ timestamp }}\" of=\"{{ commit_hash }}\"\n"),
        ("app.service", "[Service]\nExecStart=/bin/app\n"),
        ("etcd.json", ETCD),
    ]);
    let mut command = command_without_source(&deployment.path());
    command.source_repo_git_ref = Some("v7".into());
    let first = workshop.run(&command).await.expect("the first run");
    let second = workshop.run(&command).await.expect("the second run");
    assert!(first.pushed && !second.pushed);
    assert_eq!((first.source_commit.as_deref(), first.source_repo), (Some("v7"), None));
    assert!(deployment.file("Dockerfile").expect("rendered").contains("of=\"v7\""));
    assert_eq!(deployment.commits(), 2);
}

#[tokio::test]
async fn source_json_is_the_default_and_the_workflow_wins() {
    let (workshop, source, other) = (Workshop::open().await, source(), source());
    other.commit(&[("b", "2")], "second");
    let text = format!(
        "{{\"source_repo\": \"{}\", \"source_repo_git_ref\": \"main\"}}",
        source.path().display()
    );
    let deployment = TestRepository::with_files(&[
        ("app@.service.eex", UNIT),
        ("etcd.json", ETCD),
        ("source.json", &text),
    ]);
    let mut command = command_without_source(&deployment.path());
    let output = workshop.run(&command).await.expect("source.json names the source");
    assert_eq!(output.source_commit, Some(source.head()));
    assert_eq!(output.source_repo, Some(source.path().display().to_string()));

    command.source_repo = Some(other.path().display().to_string());
    let output = workshop.run(&command).await.expect("the workflow names the source");
    assert_eq!(output.source_commit, Some(other.head()));
}

#[tokio::test]
async fn without_a_ref_the_default_branch_is_used_and_pushed_to() {
    let (workshop, deployment, source) = (Workshop::open().await, deployment(), source());
    let mut command = command(&deployment, &source);
    command.deployment_repo_git_ref = None;
    command.source_repo_git_ref = None;
    let output = workshop.run(&command).await.expect("config succeeds");
    assert!(output.pushed);
    assert_eq!(output.deployment_commit, deployment.head());
}

#[tokio::test]
async fn tags_and_commits_are_resolved_but_never_pushed_to() {
    let (workshop, deployment, source) = (Workshop::open().await, deployment(), source());
    let (old, old_source) = (deployment.head(), source.head());
    let remote = deployment.path().display().to_string();
    deployment.git(&["tag", "-a", "-m", "first", "v1"]);
    deployment.git(&["push", "-q", &remote, "v1"]);
    deployment.commit(&[("app@.service.eex", "[Service]\nExecStart=/bin/other\n")], "second");
    source.commit(&[("b", "2")], "second");

    for name in ["v1", "refs/tags/v1", &old, &old[..10]] {
        let mut command = command(&deployment, &source);
        command.deployment_repo_git_ref = Some(name.to_owned());
        command.source_repo_git_ref = Some(old_source.clone());
        let output = workshop.run(&command).await.expect(name);
        assert_eq!((output.deployment_commit, output.pushed), (old.clone(), false), "{name}");
        assert_eq!(output.source_commit.as_deref(), Some(old_source.as_str()), "{name}");
        let command = output.units[0].values("Service", "ExecStart").next().expect("a command");
        assert!(command.contains(&old_source), "the unit is rendered all the same: {command}");
    }
    assert_eq!(deployment.commits(), 2);
}

#[tokio::test]
async fn rendered_scripts_stay_executable() {
    let (workshop, deployment, source) = (Workshop::open().await, deployment(), source());
    deployment.commit(&[("install.sh.eex", "echo {{ commit_hash }}\n")], "a script");
    deployment.git(&["update-index", "--chmod=+x", "install.sh.eex"]);
    deployment.git(&["commit", "-q", "-m", "executable"]);
    deployment.git(&["push", "-q", &deployment.path().display().to_string(), "HEAD:main"]);
    workshop.run(&command(&deployment, &source)).await.expect("config succeeds");
    deployment.git(&["fetch", "-q", &deployment.path().display().to_string(), "main"]);
    let tree = deployment.git(&["ls-tree", "FETCH_HEAD", "install.sh"]);
    assert!(String::from_utf8_lossy(&tree.stdout).starts_with("100755"));
}

#[tokio::test]
async fn config_on_small_local_repositories_is_quick() {
    let (workshop, deployment, source) = (Workshop::open().await, deployment(), source());
    let command = command(&deployment, &source);
    let begun = Instant::now();
    workshop.run(&command).await.expect("with a push");
    let with_push = begun.elapsed();
    let begun = Instant::now();
    workshop.run(&command).await.expect("without a push");
    let without_push = begun.elapsed();
    println!("config: {with_push:?} with a push, {without_push:?} without");
    // Far above what is measured on an idle machine, so that a busy one does not fail.
    assert!(with_push.as_secs() < 5 && without_push.as_secs() < 5);
}
