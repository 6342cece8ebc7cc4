//! Group `deploy`: from `POST …/execute` to instances that answer, and what a node costs.

use std::time::{Duration, Instant};

use oa_api::{Client, Endpoint, ExecuteWorkflow, NewWorkflow};
use oa_test_services::git::TestRepository;
use oa_test_services::node::{NodeHome, TestNode, binaries};
use secrecy::SecretString;

use crate::report::Report;

/// Deployments measured with no settling time.
const RUNS: usize = 100;
/// Deployments measured with the default settling time, which they mostly wait for.
const DEFAULT_RUNS: usize = 5;
/// Cold starts measured.
const STARTS: usize = 10;
/// Longest that one deployment may take before the run is given up.
const LIMIT: Duration = Duration::from_secs(60);

pub(crate) async fn run(report: &mut Report) {
    measure_node(report).await;
    let mut first = Vec::new();
    let mut replaced = Vec::new();
    let stage = Stage::start("0s").await;
    for _ in 0..RUNS {
        let time = stage.deploy_new_revision().await;
        if first.is_empty() { first.push(time) } else { replaced.push(time) }
    }
    replaced.extend(&first);
    report.percentiles("deploy.end_to_end", &replaced);
    report.figure("deploy.first_ms", first[0].as_secs_f64() * 1e3, "ms");
    stage.end().await;

    let stage = Stage::start("2s").await;
    let mut times = Vec::new();
    for _ in 0..DEFAULT_RUNS {
        times.push(stage.deploy_new_revision().await);
    }
    report.figure("deploy.end_to_end_default.p50_ms", crate::report::percentile(&times, 50), "ms");
    stage.end().await;
    crate::config::measure(report).await;
}

async fn measure_node(report: &mut Report) {
    let mut ready = Vec::new();
    for _ in 0..STARTS {
        let home = NodeHome::new();
        let started = Instant::now();
        let node = home.start().await;
        ready.push(started.elapsed());
        node.stop().await;
    }
    report.figure("node.ready_ms", crate::report::percentile(&ready, 50), "ms");
    let binary = std::fs::metadata(binaries().join("oa-node")).map_or(0, |m| m.len());
    report.figure("node.binary_mb", megabytes(binary), "MB");
    let home = NodeHome::new();
    let node = home.start().await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    report.figure("node.idle_rss_mb", megabytes(resident_bytes(node.id())), "MB");
    node.stop().await;
}

/// A node and the sample application.
pub(crate) struct Stage {
    _home: NodeHome,
    node: TestNode,
    client: Client,
    pub(crate) source: TestRepository,
    pub(crate) deployment: TestRepository,
    first_port: u16,
}

impl Stage {
    pub(crate) async fn start(settle: &str) -> Self {
        let source = TestRepository::with_files(&[("README.md", "hello\n")]);
        let deployment = TestRepository::with_files(
            &deployment_files(&source, settle).each_ref().map(|(n, t)| (*n, t.as_str())),
        );
        let home = NodeHome::new().with_argument("--stop-units");
        let node = home.start().await;
        let token = SecretString::from(node.token());
        let endpoint = Endpoint::new(node.url(), Some(token)).expect("a node prints a valid URL");
        let client = Client::new(endpoint).expect("a client");
        Self { first_port: home.first_port(), _home: home, node, client, source, deployment }
    }

    /// Time from `POST …/execute` until a workflow that only renders is known to have ended.
    pub(crate) async fn config(&self) -> Duration {
        let workflow = NewWorkflow {
            deployment_repo: Some(self.deployment.path().display().to_string()),
            deployment_repo_git_ref: Some("main".into()),
            milestones: Some(vec!["config".into()]),
            ..NewWorkflow::default()
        };
        let id = self.client.create_workflow(&workflow).await.expect("the workflow is created");
        let started = Instant::now();
        let execute = ExecuteWorkflow::default();
        self.client.execute_workflow(&id, &execute).await.expect("the workflow starts");
        let mut after = 0;
        loop {
            let news = self.client.workflow_events(&id, after, LIMIT).await.expect("events");
            after = news.events.iter().map(|event| event.version).max().unwrap_or(after);
            if news.completed {
                break;
            }
        }
        let time = started.elapsed();
        let ended = self.client.workflow(&id).await.expect("the workflow is readable");
        assert_eq!(ended.workflow_error, Some(false), "{ended:#?}");
        time
    }

    /// Time from `POST …/execute` until both instances answer with the new revision.
    async fn deploy_new_revision(&self) -> Duration {
        let revision = self.source.commit(&[], "next");
        let workflow = NewWorkflow {
            deployment_repo: Some(self.deployment.path().display().to_string()),
            deployment_repo_git_ref: Some("main".into()),
            milestones: Some(vec!["config".into(), "deploy".into()]),
            ..NewWorkflow::default()
        };
        let id = self.client.create_workflow(&workflow).await.expect("the workflow is created");
        let started = Instant::now();
        self.client
            .execute_workflow(&id, &ExecuteWorkflow::default())
            .await
            .expect("the workflow starts");
        let both = async {
            for port in [self.first_port, self.first_port + 1] {
                while !answers(port, &revision).await {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            }
        };
        tokio::time::timeout(LIMIT, both).await.expect("both instances answer in time");
        let time = started.elapsed();
        // The next run begins when this workflow has ended, so that no two overlap.
        while !self.client.workflow(&id).await.expect("the workflow is readable").workflow_completed
        {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        time
    }

    pub(crate) async fn end(self) {
        self.node.stop().await;
    }
}

pub(crate) fn deployment_files(
    source: &TestRepository,
    settle: &str,
) -> [(&'static str, String); 4] {
    let server = binaries().join("hello-server").display().to_string();
    let unit = include_str!("../../../examples/hello/deployment/hello@.service.eex");
    [
        ("etcd.json", "{\"token\": \"local\"}".into()),
        (
            "source.json",
            format!(
                "{{\"source_repo\": \"{}\", \"source_repo_git_ref\": \"main\"}}",
                source.path().display()
            ),
        ),
        (
            "fleet.json",
            format!(
                "{{\"instance_cnt\": 2, \"health\": {{\"http\": \"/health\"}}, \"deploy\": {{\"settle\": \"{settle}\"}}}}"
            ),
        ),
        ("hello@.service.eex", unit.replace("@SERVER@", &server).replace("@USER_LINE@\n", "")),
    ]
}

async fn answers(port: u16, revision: &str) -> bool {
    match reqwest::get(format!("http://127.0.0.1:{port}/")).await {
        Ok(response) => response.text().await.is_ok_and(|text| text.contains(&revision[..7])),
        Err(_) => false,
    }
}

fn resident_bytes(id: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|rest| rest.trim().split(' ').next()?.parse::<u64>().ok()).unwrap_or(0) * 1024
}

#[allow(clippy::cast_precision_loss, reason = "sizes of programs fit 52 bits")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
