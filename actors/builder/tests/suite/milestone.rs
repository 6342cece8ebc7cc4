//! The `config` milestone against repositories made by the real git.

use std::time::Instant;

use crate::support::{
    ETCD, UNIT, Workshop, command, command_without_source, commit_link, deployment, source,
};
use oa_builder::{BuildError, BuilderConfig, ConfigMilestone};
use oa_protocol::EtcdToken;
use oa_test_services::git::TestRepository;

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
async fn links_are_refused_and_never_followed() {
    let (workshop, source) = (Workshop::open().await, source());
    for (name, target) in [
        ("etcd.json", "/etc/hostname"),
        ("fleet.json", "../../../../etc/hostname"),
        ("link.service", "app@.service.eex"),
        ("link@.service.eex", "/etc/passwd"),
        ("app@.service", "/tmp/oa-test-must-not-appear"),
    ] {
        let deployment = deployment();
        commit_link(&deployment, name, target);
        let message = workshop.refusal(&command(&deployment, &source)).await;
        assert!(message.contains(name) && message.contains("symbolic link"), "{message}");
        assert_eq!(deployment.commits(), 2);
    }
}

#[tokio::test]
async fn a_link_that_means_nothing_here_does_no_harm() {
    let (workshop, deployment, source) = (Workshop::open().await, deployment(), source());
    commit_link(&deployment, "docs", "/etc");
    assert!(workshop.run(&command(&deployment, &source)).await.expect("ignored").pushed);
    assert!(
        deployment.file("docs").is_some_and(|link| link == "/etc"),
        "the link is still the link it was"
    );
}

#[tokio::test]
async fn a_large_file_is_refused_by_its_size() {
    let (workshop, deployment, source) = (Workshop::open().await, deployment(), source());
    deployment.commit(&[("huge.service", &"# filler\n".repeat(200_000))], "huge");
    let message = workshop.refusal(&command(&deployment, &source)).await;
    assert!(
        message.contains("huge.service") && message.contains("1048576 are allowed"),
        "{message}"
    );
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
    for result in [a, b, c, d] {
        assert!(result.expect("each one gets through").pushed);
    }
    assert_eq!(deployment.commits(), 5, "one commit each, none overwritten");
}

#[tokio::test]
async fn a_step_whose_time_is_over_ends_and_leaves_nothing() {
    let (workshop, deployment, source) = (Workshop::open().await, deployment(), source());
    let mut command = command(&deployment, &source);
    command.timeout = std::time::Duration::from_micros(1);
    let refusal = workshop.run(&command).await.expect_err("no time");
    assert!(
        refusal.is_retryable() && refusal.to_string().contains("time of 1µs was over"),
        "{refusal}"
    );
}

#[tokio::test]
async fn a_repository_that_is_too_large_is_refused() {
    let workshop = Workshop::with(|config| config.repository_limit_bytes = 20_000).await;
    let deployment = deployment();
    // Text that does not compress well.
    let mut state = 1_u64;
    let noise: String = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        char::from(b'!' + u8::try_from((state >> 33) % 90).expect("below 90"))
    })
    .take(100_000)
    .collect();
    deployment.commit(&[("noise", &noise)], "noise");
    let refusal = workshop.run(&command(&deployment, &source())).await.expect_err("too large");
    assert!(
        matches!(&refusal, BuildError::Git(_)) && refusal.to_string().contains("larger than 20000"),
        "{refusal}"
    );
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

#[tokio::test]
async fn what_an_earlier_process_left_behind_is_removed_and_nothing_else() {
    let workshop = Workshop::open().await;
    let work = workshop.directory.path().join("work");
    std::fs::create_dir_all(work.join("attempt-old/deployment.git")).expect("a directory");
    std::fs::create_dir_all(work.join("precious")).expect("a directory");
    workshop.milestone.prepare().await.expect("git is installed");
    assert!(!work.join("attempt-old").exists() && work.join("precious").exists());
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
