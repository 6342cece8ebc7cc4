//! 100,000 hostile texts, shared out among the tests, each through every field of its test: it is refused with the field's
//! name, or it is exactly what it says and can be an argument. `OA_TEST_HOSTILE_STRINGS` sets another number for each test.

use oa_fleet::unit_file;
use oa_protocol::build::ConfigCommand;
use oa_protocol::step::StepKey;
use oa_protocol::{AttemptId, UnitName, WorkflowId};
use oa_test_services::hostile::{HostileStrings, count};
use serde_json::json;

use crate::config::BuilderConfig;
use crate::error::BuildError;
use crate::git::{Git, GitRef, GitUrl, redact};
use crate::repository::Files;
use crate::revision::{Wanted, reference, repository};
use crate::template::{Values, render};

/// `number` texts; a seed for each test, so that they do not all try the same.
fn texts(seed: u64, number: usize) -> impl Iterator<Item = String> {
    HostileStrings::new(seed, count(number), "/tmp/canary")
}

/// What a person reads of a refusal.
fn message(text: &str, error: &BuildError) -> String {
    let failure = error.to_failure();
    assert!(!failure.retryable, "another attempt cannot help: {text:?}");
    let shown = failure.message;
    assert!(!shown.chars().any(|c| c.is_control()), "{shown:?}");
    assert!(shown.len() < 2_000, "{} characters are no message", shown.len());
    shown
}

/// Nothing that a program could take for an option, and nothing that a terminal would obey.
fn assert_is_argument(text: &str) {
    assert!(!text.starts_with('-'), "{text:?} is an option");
    assert!(!text.chars().any(char::is_control), "{text:?} holds a control character");
}

async fn git() -> Git {
    let config = BuilderConfig { allow_local_repositories: true, ..BuilderConfig::default() };
    Git::open(&config).await.expect("git is installed")
}

fn command() -> ConfigCommand {
    ConfigCommand {
        step: StepKey {
            workflow_id: WorkflowId::new(),
            seq: 0,
            attempt_id: AttemptId::new(),
            attempt_no: 1,
            epoch: 1,
        },
        deployment_repo: "org/name".into(),
        deployment_repo_git_ref: None,
        source_repo: None,
        source_repo_git_ref: None,
        needs_cluster: true,
        timeout: std::time::Duration::from_secs(60),
    }
}

fn check_url(url: &GitUrl, text: &str, git: &Git) {
    assert_eq!(url.as_written(), text);
    assert_is_argument(text);
    assert_is_argument(url.location());
    assert!(!url.location().split('/').any(|part| part == ".."), "{text:?} leads up");
    if url.protocol() != "file" {
        assert_eq!(redact(url.location()), url.location(), "{text:?} holds credentials");
    }
    let again =
        GitUrl::parse(url.location(), git.rules()).expect("a URL is one when it is read again");
    assert_eq!(again.location(), url.location());
    assert_eq!(again.protocol(), url.protocol());
}

fn check_ref(name: &GitRef, text: &str) {
    assert_eq!(name.as_str(), text);
    assert_is_argument(text);
    assert!(text.bytes().all(|byte| byte.is_ascii_graphic()) && !text.contains(".."), "{text:?}");
    // It becomes part of a refspec.
    assert!(!text.contains([':', '*', '^', '~', '?', '[', '\\']), "{text:?}");
}

#[tokio::test]
async fn every_field_of_a_command_is_refused_by_name_or_safe_as_an_argument() {
    let git = git().await;
    let command = command();
    let (mut accepted, mut refused) = (0, 0);
    for text in texts(1, 20_000).filter(|text| !text.is_empty()) {
        let mut commands = [(); 4].map(|()| command.clone());
        commands[0].deployment_repo.clone_from(&text);
        commands[1].deployment_repo_git_ref = Some(text.clone());
        commands[2].source_repo = Some(text.clone());
        commands[3].source_repo_git_ref = Some(text.clone());
        let fields = [
            "deployment_repo:",
            "deployment_repo_git_ref:",
            "source_repo:",
            "source_repo_git_ref:",
        ];
        for (field, command) in fields.iter().zip(&commands) {
            match Wanted::parse(command, &git) {
                Err(error) => {
                    refused += 1;
                    let shown = message(&text, &error);
                    assert!(shown.starts_with(field), "{text:?}: {shown}");
                }
                Ok(wanted) => {
                    accepted += 1;
                    match *field {
                        "deployment_repo:" => check_url(&wanted.deployment, &text, &git),
                        "source_repo:" => check_url(&wanted.source.expect("a source"), &text, &git),
                        "deployment_repo_git_ref:" => {
                            check_ref(&wanted.deployment_ref.expect("a ref"), &text);
                        }
                        _ => check_ref(&wanted.source_ref.expect("a ref"), &text),
                    }
                }
            }
        }
    }
    let enough = 1_000 < accepted && accepted < refused;
    assert!(enough || count(20_000) < 20_000, "{accepted} were accepted, {refused} refused");
}

#[tokio::test]
async fn every_text_of_the_json_files_is_refused_by_name_or_what_it_says() {
    let git = git().await;
    for text in texts(2, 10_000) {
        let etcd = Files::of(&[("etcd.json", &json!({"token": text}).to_string())]);
        match etcd.cluster(true) {
            Err(error) => {
                let shown = message(&text, &error);
                assert!(shown.starts_with("etcd.json") && shown.contains("`token`"), "{shown}");
            }
            Ok(token) => {
                let token = token.expect("a token");
                assert_eq!(token.as_str(), text);
                assert_is_argument(&text);
                assert!(!text.contains(['/', '\\']), "{text:?} can be a path");
            }
        }
        let source = json!({"source_repo": text, "source_repo_git_ref": text}).to_string();
        let source = Files::of(&[("source.json", &source)]).source().expect("two texts");
        match repository("source_repo in source.json", source.source_repo.as_deref(), &git) {
            Err(error) => assert!(message(&text, &error).starts_with("source_repo in source.json")),
            Ok(url) => url.iter().for_each(|url| check_url(url, &text, &git)),
        }
        match reference("source_repo_git_ref in source.json", source.source_repo_git_ref.as_deref())
        {
            Err(error) => {
                assert!(message(&text, &error).starts_with("source_repo_git_ref in source.json"));
            }
            Ok(name) => name.iter().for_each(|name| check_ref(name, &text)),
        }
        for (key, file) in [
            ("health.http", json!({"health": {"http": text}})),
            ("line 1", json!({"health": {"timeout": text}})),
            ("line 1", json!({"deploy": {"settle": text}})),
            ("line 1", json!({"deploy": {"healthy_within": text}})),
            ("line 1", json!({"instance_cnt": text})),
        ] {
            match Files::of(&[("fleet.json", &file.to_string())]).fleet() {
                Err(error) => {
                    let shown = message(&text, &error);
                    assert!(shown.starts_with("fleet.json"), "{shown}");
                    assert!(shown.contains(key) || shown.contains("longer than a day"), "{shown}");
                }
                Ok(config) => {
                    if let Some(path) = config.health.and_then(|health| health.http) {
                        assert!(path == text && path.bytes().all(|byte| byte.is_ascii_graphic()));
                    }
                }
            }
        }
    }
}

#[test]
fn every_text_as_a_whole_file_is_read_or_refused_with_its_place() {
    for text in texts(3, 30_000) {
        for file in ["etcd.json", "source.json", "fleet.json", "docker.json"] {
            let files = Files::of(&[(file, &text)]);
            let read = match file {
                "etcd.json" => files.cluster(false).map(drop),
                "source.json" => files.source().map(drop),
                "fleet.json" => files.fleet().map(drop),
                _ => files.check_docker(),
            };
            if let Err(error) = read {
                let shown = message(&text, &error);
                assert!(shown.starts_with(file), "{text:?}: {shown}");
            }
        }
        if let Err(error) = unit_file::parse(&text, "app.service") {
            let shown = message(&text, &error.into());
            assert!(shown.contains("app.service"), "{text:?}: {shown}");
        }
    }
}

#[test]
fn every_name_of_a_unit_and_every_template_is_refused_or_safe() {
    let values = Values::default().with("commit_hash", "abc").with("dst_port", "<%= dst_port %>");
    for text in texts(4, 35_000) {
        for name in [text.clone(), format!("{text}.service")] {
            if let Ok(name) = UnitName::new(name.as_str()) {
                assert_is_argument(name.as_str());
                assert!(
                    !name.as_str().contains('/') && !name.as_str().starts_with('.'),
                    "{text:?}"
                );
            }
        }
        match render("x.service.eex", &text, &values) {
            Err(error) => {
                let shown = message(&text, &error.into());
                assert!(shown.starts_with("x.service.eex, line "), "{text:?}: {shown}");
            }
            Ok(rendered) => {
                // The one placeholder that may be left is the Deployer's.
                let left = rendered.replace("<%= dst_port %>", "");
                assert!(!left.contains("<%"), "{text:?} became {rendered:?}");
            }
        }
    }
}
