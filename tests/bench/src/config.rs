//! The milestone `config` beside the same git commands run by hand, for the same change, in one run.
//!
//! Both sides begin from empty directories, fetch the deployment repository and then the source that it names (each at depth
//! 1), read the files, commit the rendered unit and push it. They take turns, in changing order, each at a deployment
//! repository of its own. The hand knows beforehand what is in the repository and checks nothing; directories are made for
//! it before its time begins. Neither flushes what it fetched (`core.fsync=none`: it is thrown away), both push into
//! repositories with git's own defaults.

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use oa_builder::{BuilderConfig, ConfigMilestone};
use oa_protocol::build::ConfigCommand;
use oa_protocol::step::StepKey;
use oa_protocol::{AttemptId, WorkflowId};
use oa_test_services::git::TestRepository;

use crate::deploy::{Stage, deployment_files};
use crate::report::{Report, percentile};

/// Changes measured on each side.
const ROUNDS: usize = 60;

pub(crate) async fn measure(report: &mut Report) {
    let stage = Stage::start("0s").await;
    let hand = deployment(&stage.source);
    let alone = deployment(&stage.source);
    let (mut node_times, mut alone_times, mut hand_times) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let revision = stage.source.commit(&[], "next");
        let by_node = || stage.config();
        let by_milestone = || milestone(&alone);
        let by_hand = || async { with_bare_git(&hand, &stage.source, &revision) };
        let (node, milestone, bare) = match round % 2 {
            0 => {
                let node = by_node().await;
                let bare = by_hand().await;
                (node, by_milestone().await, bare)
            }
            _ => {
                let bare = by_hand().await;
                let milestone = by_milestone().await;
                (by_node().await, milestone, bare)
            }
        };
        // The first round warms caches.
        if 0 < round {
            node_times.push(node);
            alone_times.push(milestone);
            hand_times.push(bare);
        }
    }
    for repository in [&stage.deployment, &hand, &alone] {
        assert_eq!(repository.commits(), ROUNDS + 2, "each round is one commit");
    }
    report.figure("deploy.config.p50_ms", percentile(&node_times, 50), "ms");
    report.figure("deploy.config.bare_git.p50_ms", percentile(&hand_times, 50), "ms");
    ratio(report, "deploy.config.vs_bare_git", &node_times, &hand_times);
    ratio(report, "deploy.config.milestone_vs_bare_git", &alone_times, &hand_times);
    stage.end().await;
}

/// The median of the rounds' ratios, and the interval that holds the true one with 95 %.
///
/// # Source
///
/// Conover, Practical Nonparametric Statistics: confidence interval of a quantile by order statistics.
#[allow(clippy::cast_precision_loss, reason = "a count of rounds")]
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rank within the rounds"
)]
fn ratio(report: &mut Report, name: &str, ours: &[Duration], theirs: &[Duration]) {
    let mut ratios: Vec<f64> =
        ours.iter().zip(theirs).map(|(a, b)| a.as_secs_f64() / b.as_secs_f64()).collect();
    ratios.sort_by(f64::total_cmp);
    let (middle, spread) = (ratios.len() as f64 / 2.0, 0.98 * (ratios.len() as f64).sqrt());
    let at = |rank: f64| ratios[(rank.max(0.0) as usize).min(ratios.len() - 1)];
    report.figure(name, at(middle), "");
    report.figure(&format!("{name}.low"), at(middle - spread), "");
    report.figure(&format!("{name}.high"), at(middle + spread), "");
}

fn deployment(source: &TestRepository) -> TestRepository {
    let files = deployment_files(source, "0s");
    TestRepository::with_files(&files.each_ref().map(|(name, text)| (*name, text.as_str())))
}

/// The milestone alone, without a node, a journal or a request.
async fn milestone(deployment: &TestRepository) -> Duration {
    let place = tempfile::tempdir().expect("a directory");
    let config = BuilderConfig {
        work_dir: place.path().into(),
        allow_local_repositories: true,
        ..BuilderConfig::default()
    };
    let milestone = ConfigMilestone::new(config);
    milestone.prepare().await.expect("git is installed");
    let step = StepKey {
        workflow_id: WorkflowId::new(),
        seq: 0,
        attempt_id: AttemptId::new(),
        attempt_no: 1,
        epoch: 1,
    };
    let command = ConfigCommand {
        step,
        deployment_repo: deployment.path().display().to_string(),
        deployment_repo_git_ref: Some("main".into()),
        source_repo: None,
        source_repo_git_ref: None,
        needs_cluster: true,
        timeout: Duration::from_secs(60),
    };
    let begun = Instant::now();
    assert!(milestone.run(&command, drop).await.expect("config succeeds").pushed);
    begun.elapsed()
}

/// What someone types who knows git well and this repository by heart.
fn with_bare_git(deployment: &TestRepository, source: &TestRepository, revision: &str) -> Duration {
    let place = tempfile::tempdir().expect("a directory");
    let (mine, other) = (place.path().join("deployment.git"), place.path().join("source.git"));
    for directory in [&mine, &other] {
        git(
            place.path(),
            ["init", "-q", "--bare", "--template="],
            Some(directory.as_os_str()),
            b"",
        );
    }
    let (from, of) = (deployment.path(), source.path());
    let begun = Instant::now();
    fetch(&mine, &from);
    let names = ["hello@.service.eex", "etcd.json", "fleet.json", "source.json", "hello@.service"];
    let wanted: String = names.map(|name| format!("refs/fetched:{name}\n")).concat();
    let files = git(&mine, ["cat-file", "--batch"], None, wanted.as_bytes());
    fetch(&other, &of);
    let shown = git(&other, ["log", "-1", "--format=%H %ct", "refs/fetched"], None, b"");
    let (commit, time) = shown.trim().split_once(' ').expect("a commit and its time");
    assert_eq!(commit, revision);
    let unit = first_blob(&files).replace("<%= commit_hash %>", commit);
    let stream = format!(
        "commit refs/rendered\nauthor A <a@example.invalid> {time} +0000\n\
         committer A <a@example.invalid> {time} +0000\ndata {}\nDeployment for commit {commit}\n\
         from refs/fetched^0\nM 100644 inline hello@.service\ndata {}\n{unit}\n",
        "Deployment for commit ".len() + commit.len(),
        unit.len()
    );
    git(&mine, ["fast-import", "--quiet"], None, stream.as_bytes());
    let words = ["push", "-q", &from.display().to_string(), "refs/rendered:refs/heads/main"]
        .map(str::to_owned);
    git(&mine, words, None, b"");
    let time = begun.elapsed();
    fs::remove_dir_all(place.path()).expect("removable");
    time
}

fn fetch(into: &Path, from: &Path) {
    let from = from.display().to_string();
    let words = ["fetch", "-q", "--depth=1", "--no-tags", &from, "+refs/heads/main:refs/fetched"];
    git(into, words.map(str::to_owned), None, b"");
}

/// The first object of `git cat-file --batch`: a line `<object> blob <size>`, then as many bytes.
fn first_blob(answer: &str) -> &str {
    let (header, rest) = answer.split_once('\n').expect("a header");
    let size: usize = header.rsplit(' ').next().and_then(|size| size.parse().ok()).expect("a size");
    &rest[..size]
}

fn git<W: AsRef<OsStr>>(
    directory: &Path,
    words: impl IntoIterator<Item = W>,
    last: Option<&OsStr>,
    input: &[u8],
) -> String {
    let mut command = Command::new("git");
    command.args(["-c", "core.fsync=none"]).args(words).args(last).current_dir(directory);
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("git is installed");
    child.stdin.take().expect("piped").write_all(input).expect("git reads");
    let output = child.wait_with_output().expect("git ends");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}
