//! Nothing that lies in a repository or in the environment makes git run a program or read a file.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::support::{Workshop, command, deployment, source};

/// Set in the process that runs under a hostile environment.
const INSIDE: &str = "OA_TEST_INSIDE_HOSTILE_ENVIRONMENT";

/// Every hook that a fetch or a push could call, on either side.
const HOOKS: [&str; 9] = [
    "pre-receive",
    "update",
    "post-receive",
    "post-update",
    "reference-transaction",
    "proc-receive",
    "pre-push",
    "post-checkout",
    "pre-auto-gc",
];

fn program(path: &Path, canary: &Path) {
    fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
    fs::write(path, format!("#!/bin/sh\necho ran >> {}\n", canary.display())).expect("a program");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("executable");
}

#[tokio::test]
async fn hooks_and_programs_of_a_repository_never_run() {
    let (workshop, deployment, source) = (Workshop::open().await, deployment(), source());
    let place = tempfile::tempdir().expect("a directory");
    let canary = place.path().join("canary");
    let evil = place.path().join("evil");
    program(&evil, &canary);
    fs::write(deployment.work().join(".gitattributes"), "* filter=x\n").expect("attributes");
    deployment.git(&["add", "-A"]);
    deployment.commit(&[], "attributes");
    for repository in [&deployment, &source] {
        for hook in HOOKS {
            program(&repository.path().join("hooks").join(hook), &canary);
        }
        let config = repository.path().join("config");
        let text = fs::read_to_string(&config).expect("a configuration");
        let evil = evil.display();
        let more = format!(
            "[core]\n\tfsmonitor = {evil}\n\tsshCommand = {evil}\n\taskPass = {evil}\n\tpager = {evil}\n\teditor = {evil}\n\
             [uploadpack]\n\tpackObjectsHook = {evil}\n[gc]\n\tauto = 1\n[credential]\n\thelper = {evil}\n\
             [diff]\n\texternal = {evil}\n[filter \"x\"]\n\tsmudge = {evil}\n\tclean = {evil}\n"
        );
        fs::write(&config, format!("{text}{more}")).expect("a hostile configuration");
    }
    assert!(workshop.run(&command(&deployment, &source)).await.expect("config succeeds").pushed);
    assert!(!canary.exists(), "a program of the repository ran");
}

#[tokio::test]
async fn a_hostile_submodule_is_refused_or_ignored() {
    let (workshop, source) = (Workshop::open().await, source());
    for text in ["\turl = ext::touch\n\tupdate = !touch\n", "\turl = https://git.invalid/x\n"] {
        let deployment = deployment();
        let text = format!("[submodule \"x\"]\n\tpath = x\n{text}");
        deployment.commit(&[(".gitmodules", &text)], "a submodule");
        match workshop.run(&command(&deployment, &source)).await {
            Ok(output) => assert!(output.pushed),
            Err(refusal) => assert!(refusal.to_string().contains("gitmodules"), "{refusal}"),
        }
    }
}

#[tokio::test]
async fn hooks_would_run_without_our_care() {
    // Shows that the canary of the test above sings at all.
    let deployment = deployment();
    let place = tempfile::tempdir().expect("a directory");
    let canary = place.path().join("canary");
    program(&deployment.path().join("hooks").join("post-receive"), &canary);
    deployment.commit(&[("b", "2")], "second");
    assert!(canary.exists());
}

#[test]
fn a_hostile_environment_has_no_effect() {
    if std::env::var_os(INSIDE).is_some() {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let (workshop, deployment, source) = (Workshop::open().await, deployment(), source());
            let output =
                workshop.run(&command(&deployment, &source)).await.expect("config succeeds");
            assert!(output.pushed);
            assert_eq!(output.deployment_commit, deployment.head());
        });
        return;
    }
    let home = tempfile::tempdir().expect("a directory");
    let canary = home.path().join("canary");
    let evil = home.path().join("evil");
    program(&evil, &canary);
    let configuration = format!(
        "[core]\n\tsshCommand = {0}\n\tfsmonitor = {0}\n\thooksPath = {1}\n[uploadpack]\n\tpackObjectsHook = {0}\n\
         [url \"ext::{0} \"]\n\tinsteadOf = /\n[protocol]\n\tallow = always\n[init]\n\ttemplateDir = {1}\n",
        evil.display(),
        home.path().display()
    );
    for hook in HOOKS {
        program(&home.path().join(hook), &canary);
    }
    let file = home.path().join(".gitconfig");
    fs::write(&file, configuration).expect("a hostile configuration");
    let output = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "isolation::a_hostile_environment_has_no_effect", "--nocapture"])
        .env(INSIDE, "1")
        .env("HOME", home.path())
        .env("XDG_CONFIG_HOME", home.path())
        .env("GIT_CONFIG_GLOBAL", &file)
        .env("GIT_CONFIG_SYSTEM", &file)
        .env("GIT_CONFIG_COUNT", "1")
        .env("GIT_CONFIG_KEY_0", "core.hooksPath")
        .env("GIT_CONFIG_VALUE_0", home.path())
        .env("GIT_DIR", "/no/such/directory")
        .env("GIT_WORK_TREE", "/no/such/directory")
        .env("GIT_INDEX_FILE", "/no/such/file")
        .env("GIT_OBJECT_DIRECTORY", "/no/such/directory")
        .env("GIT_EXEC_PATH", home.path())
        .env("GIT_TEMPLATE_DIR", home.path())
        .env("GIT_SSH_COMMAND", &evil)
        .env("GIT_ASKPASS", &evil)
        .env("SSH_ASKPASS", &evil)
        .env("GIT_EXTERNAL_DIFF", &evil)
        .env("GIT_EDITOR", &evil)
        .env("GIT_ALLOW_PROTOCOL", "ext")
        .env("GIT_TRACE", canary.as_os_str())
        .env("LC_ALL", "de_DE.UTF-8")
        .output()
        .expect("this program runs again");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"), "the inner test ran");
    assert!(!canary.exists(), "the environment reached git");
}
