//! Others push to the same branch between our fetch and our push.

use std::fs;

use oa_builder::BuilderConfig;
use oa_protocol::build::ConfigCommand;
use oa_test_services::git::TestRepository;
use oa_test_services::https::HttpsGitServer;
use oa_test_services::sshd::SshAccess;
use tempfile::TempDir;

use crate::support::{ETCD, UNIT, Workshop, command, deployment, executable, source};

/// `x-access-token:secret`, as forges take access tokens.
const AUTHORIZATION: &str = "Basic eC1hY2Nlc3MtdG9rZW46c2VjcmV0";

/// Others who push right before each of our pushes, as long as they have something to push.
struct Others {
    place: TempDir,
    planned: usize,
}

impl Others {
    fn new() -> Self {
        let place = tempfile::tempdir().expect("a directory");
        let script = format!(
            "#!/bin/sh\ncase \" $* \" in *\" push \"*)\n\
             for next in {0}/next-*; do\n\
             if [ -e \"$next\" ]; then sh \"$next\" || exit 9; rm \"$next\"; break; fi\n\
             done;;\nesac\nexec git \"$@\"\n",
            place.path().display()
        );
        executable(&place.path().join("git"), &script);
        Self { place, planned: 0 }
    }

    /// Plans a push of these files, on top of what was planned before.
    fn will_push(&mut self, repository: &TestRepository, files: &[(&str, &str)]) {
        for (name, content) in files {
            fs::write(repository.work().join(name), content).expect("a file");
        }
        repository.git(&["add", "-A"]);
        repository.git(&["commit", "-q", "--allow-empty", "-m", "theirs"]);
        let commit = repository.git(&["rev-parse", "HEAD"]);
        // The wrapper's environment is git's; theirs is its own.
        let push = format!(
            "env -i PATH=\"$PATH\" git -C {} push -q {} {}:refs/heads/main\n",
            repository.work().display(),
            repository.path().display(),
            String::from_utf8_lossy(&commit.stdout).trim()
        );
        fs::write(self.place.path().join(format!("next-{}", self.planned)), push).expect("a plan");
        self.planned += 1;
    }

    fn git(&self) -> std::path::PathBuf {
        self.place.path().join("git")
    }

    fn left(&self) -> usize {
        let names = fs::read_dir(self.place.path()).expect("readable").flatten();
        names.filter(|entry| entry.file_name().to_string_lossy().starts_with("next-")).count()
    }
}

async fn workshop(others: &Others, configure: impl FnOnce(&mut BuilderConfig)) -> Workshop {
    Workshop::with(|config| {
        config.git_program = others.git();
        configure(config);
    })
    .await
}

async fn loses_once(
    deployment: &TestRepository,
    command: &ConfigCommand,
    configure: impl FnOnce(&mut BuilderConfig),
) {
    let mut others = Others::new();
    others.will_push(deployment, &[("README", "theirs\n")]);
    let workshop = workshop(&others, configure).await;
    let output = workshop.run(command).await.expect("the second push goes through");
    assert_eq!(others.left(), 0, "the others pushed");
    assert!(output.pushed && output.deployment_commit == deployment.head());
    assert_eq!(deployment.commits(), 3);
    assert_eq!(deployment.file("README").as_deref(), Some("theirs\n"));
    assert!(deployment.file("app@.service").is_some());
    assert!(workshop.told.borrow().iter().any(|line| line.contains("moved meanwhile")));
}

#[tokio::test]
async fn a_lost_race_is_made_good_once_in_a_repository_of_this_machine() {
    let (deployment, source) = (deployment(), source());
    loses_once(&deployment, &command(&deployment, &source), |_| {}).await;
}

#[tokio::test]
async fn a_lost_race_is_made_good_once_over_ssh() {
    let (access, deployment) = (SshAccess::from_environment(), deployment());
    let user = std::env::var("USER").unwrap_or_else(|_| "root".into());
    let path = deployment.path().display().to_string();
    let url = format!("ssh://{user}@127.0.0.1:{}{path}", access.port);
    let source = source();
    let command = ConfigCommand { deployment_repo: url, ..command(&deployment, &source) };
    loses_once(&deployment, &command, |config| {
        config.ssh_identity = Some(access.identity.clone());
        config.ssh_known_hosts = Some(access.known_hosts.clone());
    })
    .await;
}

#[tokio::test]
async fn a_lost_race_is_made_good_once_over_https() {
    let deployment = deployment();
    let path = deployment.path();
    let server = HttpsGitServer::start(path.parent().expect("a directory"), AUTHORIZATION).await;
    let token = tempfile::NamedTempFile::new().expect("a file");
    fs::write(token.path(), "secret\n").expect("a token");
    let url = format!("https://{}/bare.git", server.address());
    let source = source();
    let command = ConfigCommand { deployment_repo: url, ..command(&deployment, &source) };
    loses_once(&deployment, &command, |config| {
        config.https_ca_file = Some(server.certificate());
        config.https_tokens.insert(server.address().ip().to_string(), token.path().into());
    })
    .await;
}

#[tokio::test]
async fn who_loses_twice_fails_for_now_and_overwrites_nothing() {
    let (deployment, source, mut others) = (deployment(), source(), Others::new());
    others.will_push(&deployment, &[("README", "first\n")]);
    others.will_push(&deployment, &[("README", "second\n")]);
    let workshop = workshop(&others, |_| {}).await;
    let command = command(&deployment, &source);
    let failure = workshop.run(&command).await.expect_err("lost twice").to_failure();
    assert!(failure.retryable, "{failure:?}");
    assert!(
        failure.message.contains("`main`") && failure.message.contains("2 pushes"),
        "{failure:?}"
    );
    assert_eq!(deployment.commits(), 3, "theirs, and nothing else");
    assert!(workshop.run(&command).await.expect("the next attempt").pushed);
}

#[tokio::test]
async fn our_rendering_goes_on_top_of_another_one_of_the_same_template() {
    let (deployment, source, mut others) = (deployment(), source(), Others::new());
    let theirs = "[Service]\nExecStart=/bin/app theirs <%= dst_port %>\n";
    others.will_push(&deployment, &[("app@.service", theirs)]);
    let output = workshop(&others, |_| {})
        .await
        .run(&command(&deployment, &source))
        .await
        .expect("what is rendered is derived");
    assert!(output.pushed && others.left() == 0);
    assert!(deployment.file("app@.service").expect("rendered").contains(&source.head()));
    let before = deployment.git(&[
        "--git-dir",
        &deployment.path().display().to_string(),
        "show",
        "main^:app@.service",
    ]);
    assert_eq!(String::from_utf8_lossy(&before.stdout), theirs, "theirs stays in the history");
}

#[tokio::test]
async fn what_others_rendered_just_like_us_is_not_pushed_again() {
    let (deployment, source, mut others) = (deployment(), source(), Others::new());
    let same = UNIT.replace("<%= commit_hash %>", &source.head());
    others.will_push(&deployment, &[("app@.service", &same)]);
    let output =
        workshop(&others, |_| {}).await.run(&command(&deployment, &source)).await.expect("done");
    assert_eq!((output.pushed, deployment.commits()), (false, 2));
    assert_eq!(output.deployment_commit, deployment.head());
}

#[tokio::test]
async fn what_is_rendered_from_must_not_change_under_an_attempt() {
    let source = source();
    for (name, text) in [
        ("app@.service.eex", "[Service]\nExecStart=/bin/other {{ commit_hash }}\n"),
        ("etcd.json", "{\"token\": \"other\"}"),
        ("source.json", "{\"source_repo\": \"org/other\"}"),
        ("extra.service", "[Service]\nExecStart=/bin/extra\n"),
    ] {
        let (deployment, mut others) = (deployment(), Others::new());
        others.will_push(&deployment, &[(name, text)]);
        let workshop = workshop(&others, |_| {}).await;
        let command = command(&deployment, &source);
        let failure = workshop.run(&command).await.expect_err(name).to_failure();
        assert!(failure.retryable && failure.message.contains(name), "{failure:?}");
        assert_eq!(deployment.commits(), 2, "{name}: nothing is pushed");
        assert!(workshop.run(&command).await.expect("the next attempt").pushed, "{name}");
    }
}

#[tokio::test]
async fn several_builders_at_one_branch_lose_nothing() {
    let (workshop, source) = (Workshop::open().await, source());
    let deployment = TestRepository::with_files(&[("etcd.json", ETCD), ("app@.service.eex", UNIT)]);
    let mut commits = vec![source.head()];
    for text in ["2", "3", "4"] {
        commits.push(source.commit(&[("b", text)], "next"));
    }
    let commands: Vec<_> = commits
        .iter()
        .map(|commit| {
            let mut command = command(&deployment, &source);
            command.source_repo_git_ref = Some(commit.clone());
            command
        })
        .collect();
    let run = |at: usize| workshop.milestone.run(&commands[at], |_| {});
    let (a, b, c, d) = tokio::join!(run(0), run(1), run(2), run(3));
    for (at, result) in [a, b, c, d].into_iter().enumerate() {
        match result {
            Ok(output) => assert!(output.pushed),
            Err(error) => {
                assert!(error.is_retryable() && error.to_string().contains("moved"), "{error}");
                assert!(run(at).await.expect("the next attempt gets through").pushed);
            }
        }
    }
    assert_eq!(deployment.commits(), 5, "one commit each, none overwritten");
}
