//! Git over a real ssh server.

use std::fs;

use oa_protocol::build::ConfigCommand;
use oa_test_services::git::TestRepository;
use oa_test_services::sshd::SshAccess;

use crate::support::{Workshop, command, deployment, source};

fn user() -> String {
    std::env::var("USER").unwrap_or_else(|_| "root".into())
}

fn over_ssh(
    deployment: &TestRepository,
    source: &TestRepository,
    access: &SshAccess,
) -> ConfigCommand {
    let url = |repository: &TestRepository| {
        format!("ssh://{}@127.0.0.1:{}{}", user(), access.port, repository.path().display())
    };
    ConfigCommand {
        deployment_repo: url(deployment),
        source_repo: Some(url(source)),
        ..command(deployment, source)
    }
}

async fn workshop(access: &SshAccess) -> Workshop {
    Workshop::with(|config| {
        config.allow_local_repositories = false;
        config.ssh_identity = Some(access.identity.clone());
        config.ssh_known_hosts = Some(access.known_hosts.clone());
    })
    .await
}

#[tokio::test]
async fn repositories_are_fetched_and_pushed_over_ssh() {
    let (access, deployment, source) = (SshAccess::from_environment(), deployment(), source());
    let output = workshop(&access)
        .await
        .run(&over_ssh(&deployment, &source, &access))
        .await
        .expect("config succeeds");
    assert!(output.pushed);
    assert_eq!(output.deployment_commit, deployment.head());
    assert_eq!(output.source_commit, Some(source.head()));
}

#[tokio::test]
async fn a_repository_that_is_not_behind_the_server_is_named() {
    let (access, deployment, source) = (SshAccess::from_environment(), deployment(), source());
    let mut command = over_ssh(&deployment, &source, &access);
    command.deployment_repo.push_str(".missing");
    let message = workshop(&access).await.refusal(&command).await;
    assert!(message.contains(".missing was not found"), "{message}");
}

#[tokio::test]
async fn a_server_whose_key_is_unknown_is_refused() {
    let (mut access, deployment, source) = (SshAccess::from_environment(), deployment(), source());
    let empty = tempfile::NamedTempFile::new().expect("a file");
    access.known_hosts = empty.path().into();
    let message = workshop(&access).await.refusal(&over_ssh(&deployment, &source, &access)).await;
    assert!(message.contains("Host key verification failed"), "{message}");
    assert_eq!(
        fs::read_to_string(empty.path()).expect("the file"),
        "",
        "nothing is trusted by itself"
    );
}

#[tokio::test]
async fn a_key_that_the_server_does_not_know_is_refused() {
    let (mut access, deployment, source) = (SshAccess::from_environment(), deployment(), source());
    let place = tempfile::tempdir().expect("a directory");
    let key = place.path().join("key");
    let made = std::process::Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(&key)
        .status()
        .expect("ssh-keygen runs");
    assert!(made.success());
    access.identity = key;
    let message = workshop(&access).await.refusal(&over_ssh(&deployment, &source, &access)).await;
    assert!(message.contains("Permission denied"), "{message}");
}
