//! Nothing that lies in a repository or in the environment makes git run a program or read a file.

use std::fs;
use std::process::Command;

use crate::support::{HOOKS, Workshop, command, deployment, program, source};

/// Set in the process that runs under a hostile environment.
const INSIDE: &str = "OA_TEST_INSIDE_HOSTILE_ENVIRONMENT";

#[tokio::test]
async fn hooks_would_run_without_our_care() {
    // Shows that the canaries of these tests sing at all.
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
