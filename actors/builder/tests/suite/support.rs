//! What the tests of the `config` milestone share.

use std::cell::RefCell;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use oa_builder::{BuildError, BuilderConfig, ConfigMilestone};
use oa_protocol::build::{ConfigCommand, ConfigOutput};
use oa_protocol::step::StepKey;
use oa_protocol::{AttemptId, WorkflowId};
use oa_test_services::git::TestRepository;
use tempfile::TempDir;

pub(crate) const UNIT: &str = "[Service]\nExecStart=/bin/app <%= commit_hash %> <%= dst_port %>\n";
pub(crate) const ETCD: &str = "{\"token\": \"local\"}\n";

/// A Builder without its actor: the milestone and a directory for its attempts.
pub(crate) struct Workshop {
    pub(crate) milestone: ConfigMilestone,
    pub(crate) directory: TempDir,
    pub(crate) told: RefCell<Vec<String>>,
}

impl Workshop {
    pub(crate) async fn open() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut BuilderConfig)) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let mut config = BuilderConfig {
            work_dir: directory.path().join("work"),
            allow_local_repositories: true,
            ..BuilderConfig::default()
        };
        change(&mut config);
        let milestone = ConfigMilestone::new(config);
        milestone.prepare().await.expect("git is installed");
        Self { milestone, directory, told: RefCell::default() }
    }

    pub(crate) async fn run(&self, command: &ConfigCommand) -> Result<ConfigOutput, BuildError> {
        let result = self.milestone.run(command, |line| self.told.borrow_mut().push(line)).await;
        let left = fs::read_dir(self.directory.path().join("work")).map_or(0, Iterator::count);
        assert_eq!(left, 0, "the directory of an attempt is always removed");
        result
    }

    /// Runs what must fail, and gives the message for the workflow.
    pub(crate) async fn refusal(&self, command: &ConfigCommand) -> String {
        let failure = self.run(command).await.expect_err("this must fail").to_failure();
        assert!(!failure.retryable, "another attempt cannot help: {failure:?}");
        assert!(!failure.message.contains('\n'), "{failure:?}");
        failure.message
    }
}

/// A command for two repositories.
pub(crate) fn command(deployment: &TestRepository, source: &TestRepository) -> ConfigCommand {
    ConfigCommand {
        source_repo: Some(source.path().display().to_string()),
        source_repo_git_ref: Some("main".into()),
        ..command_without_source(&deployment.path())
    }
}

pub(crate) fn command_without_source(deployment: &Path) -> ConfigCommand {
    ConfigCommand {
        step: StepKey {
            workflow_id: WorkflowId::new(),
            seq: 0,
            attempt_id: AttemptId::new(),
            attempt_no: 1,
            epoch: 1,
        },
        deployment_repo: deployment.display().to_string(),
        deployment_repo_git_ref: Some("main".into()),
        source_repo: None,
        source_repo_git_ref: None,
        needs_cluster: true,
        timeout: Duration::from_secs(60),
    }
}

/// A deployment repository with one template of a unit.
pub(crate) fn deployment() -> TestRepository {
    TestRepository::with_files(&[("app@.service.eex", UNIT), ("etcd.json", ETCD)])
}

pub(crate) fn source() -> TestRepository {
    TestRepository::with_files(&[("main.c", "int main() { return 0; }\n")])
}

/// Every hook that a fetch or a push could call, on either side.
pub(crate) const HOOKS: [&str; 9] = [
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

/// A program that leaves a mark in `canary` when it runs.
pub(crate) fn program(path: &Path, canary: &Path) {
    executable(path, &format!("#!/bin/sh\necho ran >> {}\n", canary.display()));
}

pub(crate) fn executable(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
    fs::write(path, text).expect("a program");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("executable");
}

/// Writes into a file that git protects.
pub(crate) fn overwrite(path: &Path, content: &[u8]) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o644)).expect("permissions");
    fs::write(path, content).expect("a file");
}

/// Text that does not compress well; always the same.
pub(crate) fn noise(length: usize) -> String {
    let mut state = 1_u64;
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        char::from(b'!' + u8::try_from((state >> 33) % 90).expect("below 90"))
    };
    std::iter::repeat_with(next).take(length).collect()
}
