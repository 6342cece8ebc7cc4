//! What the stories play on: the sample application in repositories of its own, and a node.

use std::sync::Arc;
use std::time::Duration;

use oa_api::{Client, Endpoint, ExecuteWorkflow, NewWorkflow, Workflow};
use oa_test_services::git::TestRepository;
use oa_test_services::node::{NodeHome, TestNode, binaries};
use secrecy::SecretString;

/// A unit that runs and is never healthy: nothing listens on its port.
pub(crate) const NEVER_HEALTHY: &str =
    "[Service]\nExecStart=/bin/sleep 86400\nEnvironment=PORT=<%= dst_port %>\n";
/// A unit that ends at once and badly.
pub(crate) const BROKEN: &str =
    "[Service]\nExecStart=/bin/false\nEnvironment=PORT=<%= dst_port %>\n";

/// How long a workflow may take on a machine that is busy with other tests.
const DONE_WITHIN: Duration = Duration::from_secs(60);

/// The files of `examples/hello/deployment`, with their markers.
const ETCD: &str = include_str!("../../examples/hello/deployment/etcd.json");
const SOURCE: &str = include_str!("../../examples/hello/deployment/source.json");
const UNIT: &str = include_str!("../../examples/hello/deployment/hello@.service.eex");
/// No settling time: stories check order and result, not patience.
const FLEET: &str =
    r#"{"instance_cnt": 2, "health": {"http": "/health"}, "deploy": {"settle": "0s"}}"#;

/// The two repositories of the sample application.
pub(crate) struct Hello {
    /// Shared by the copies: a deployment only reads it.
    pub(crate) source: Arc<TestRepository>,
    pub(crate) deployment: TestRepository,
}

impl Hello {
    pub(crate) fn new() -> Self {
        Self::with_unit(UNIT)
    }

    /// The sample application with another unit template.
    pub(crate) fn with_unit(unit: &str) -> Self {
        let source = TestRepository::with_files(&[("README.md", "hello\n")]);
        let source_json = SOURCE.replace("@SOURCE_REPO@", &source.path().display().to_string());
        let server = binaries().join("hello-server").display().to_string();
        let unit = unit.replace("@SERVER@", &server).replace("@USER_LINE@\n", "");
        let deployment = TestRepository::with_files(&[
            ("etcd.json", ETCD),
            ("source.json", &source_json),
            ("fleet.json", FLEET),
            ("hello@.service.eex", &unit),
        ]);
        Self { source: Arc::new(source), deployment }
    }

    /// The same content in a deployment repository of its own.
    pub(crate) fn copy(&self) -> Self {
        Self { source: Arc::clone(&self.source), deployment: self.deployment.copy() }
    }

    /// Commits `files` to the deployment repository, on top of what a deployment pushed there.
    pub(crate) fn change(&self, files: &[(&str, &str)], message: &str) {
        let remote = self.deployment.path().display().to_string();
        self.deployment.git(&["pull", "-q", "--rebase", &remote, "main"]);
        self.deployment.commit(files, message);
    }

    /// A workflow that deploys it.
    pub(crate) fn workflow(&self) -> NewWorkflow {
        NewWorkflow {
            deployment_repo: Some(self.deployment.path().display().to_string()),
            deployment_repo_git_ref: Some("main".into()),
            milestones: Some(vec!["config".into(), "deploy".into()]),
            ..NewWorkflow::default()
        }
    }
}

/// A client that presents `token`.
pub(crate) fn client_with_token(url: &str, token: &str) -> Client {
    let _already_installed = rustls::crypto::ring::default_provider().install_default();
    let endpoint = Endpoint::new(url, Some(SecretString::from(token.to_owned())))
        .expect("a node prints a valid URL");
    Client::new(endpoint).expect("a client")
}

/// A client of the node's administrator.
pub(crate) fn client_of(node: &TestNode) -> Client {
    client_with_token(node.url(), &node.token())
}

/// Creates and executes a workflow; its id.
pub(crate) async fn start(client: &Client, workflow: &NewWorkflow) -> String {
    let id = client.create_workflow(workflow).await.expect("the workflow is created");
    client.execute_workflow(&id, &ExecuteWorkflow::default()).await.expect("the workflow starts");
    id
}

/// Waits until the workflow ended.
///
/// # Panics
///
/// With the workflow and the node's log, if it does not end in time.
pub(crate) async fn finished(home: &NodeHome, client: &Client, id: &str) -> Workflow {
    let watch = async {
        let mut after = 0;
        loop {
            let news = client
                .workflow_events(id, after, Duration::from_secs(10))
                .await
                .expect("events are readable");
            after = news.events.iter().map(|e| e.version).max().unwrap_or(after);
            if news.completed {
                return client.workflow(id).await.expect("the workflow is readable");
            }
        }
    };
    match tokio::time::timeout(DONE_WITHIN, watch).await {
        Ok(workflow) => workflow,
        Err(_) => {
            let now = client.workflow(id).await;
            panic!("the workflow did not end within {DONE_WITHIN:?}: {now:#?}\n{}", home.log())
        }
    }
}

/// Deploys `workflow` and expects success.
pub(crate) async fn deployed(home: &NodeHome, client: &Client, workflow: &NewWorkflow) -> Workflow {
    let id = start(client, workflow).await;
    let done = finished(home, client, &id).await;
    assert_eq!(done.workflow_error, Some(false), "{done:#?}\n{}", home.log());
    done
}

/// What a unit answers on `/`.
pub(crate) async fn answer(address: &str) -> String {
    let _already_installed = rustls::crypto::ring::default_provider().install_default();
    let response = reqwest::get(format!("http://{address}/")).await.expect("the unit answers");
    response.text().await.expect("the answer is text")
}

/// The keepers of units of the node in `home`: one for each unit that runs.
pub(crate) fn keepers(home: &NodeHome) -> Vec<u32> {
    let data = home.data().display().to_string();
    processes("cmdline", |line| line.contains("unit-keeper") && line.contains(&data))
}

/// The programs that run with one of the ports that units of the node in `home` get, kept or not.
pub(crate) fn programs(home: &NodeHome) -> Vec<u32> {
    let ports: Vec<String> = (0..8).map(|at| format!("PORT={}", home.first_port() + at)).collect();
    processes("environ", |environment| {
        environment.split(' ').any(|word| ports.iter().any(|port| port == word))
    })
}

/// Processes whose `/proc/<id>/<file>`, its NULs as blanks, is what is looked for.
pub(crate) fn processes(file: &str, wanted: impl Fn(&str) -> bool) -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").expect("/proc is there").flatten();
    let ids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let text = |id| std::fs::read(format!("/proc/{id}/{file}")).unwrap_or_default();
    ids.filter(|id| wanted(&String::from_utf8_lossy(&text(*id)).replace('\0', " "))).collect()
}
