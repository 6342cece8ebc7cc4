//! One stage, one or two crashes on it, and the recovery.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use oa_crash_points::CrashPoint;
use oa_test_services::node::{NodeHome, TestNode};

use super::PATIENCE;
use super::oracle;
use super::scenario::{Scenario, Templates};
use super::table::is_in_node;
use crate::stage::{Hello, client_of, deployed, keepers};

/// Units end with the node, so that nothing outlives a test.
const STOP_UNITS: &[&str] = &["--stop-units"];

/// How somebody dies.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Crash {
    /// At this pass of that point.
    At { point: CrashPoint, pass: u32 },
    /// So long after the deployment began.
    After(Duration),
}

impl Crash {
    pub(crate) fn point(&self) -> Option<CrashPoint> {
        match self {
            Self::At { point, .. } => Some(*point),
            Self::After(_) => None,
        }
    }
}

/// How often each point was passed.
pub(crate) type Passes = BTreeMap<CrashPoint, u32>;

/// A stage with its node.
pub(crate) struct Life {
    pub(crate) scenario: Scenario,
    pub(crate) home: NodeHome,
    pub(crate) hello: Hello,
    /// The keepers of an earlier deployment.
    pub(crate) earlier: Vec<u32>,
    /// What happened so far, for the message of a failure.
    story: String,
    crashes: usize,
    /// How long it took until what was asked for had ended.
    took: Duration,
    /// A node that outlived the crash of one of its keepers.
    node: Option<TestNode>,
}

impl Life {
    /// Everything up to the node that will die.
    pub(crate) async fn begin(templates: &Templates, scenario: Scenario) -> Self {
        let (home, hello) = (NodeHome::new(), templates.copy_for(scenario));
        if scenario.has_earlier() {
            let node = home.start().await;
            deployed(&home, &client_of(&node), &hello.workflow()).await;
            assert!(node.stop().await.success(), "{}", home.log());
            scenario.change(&hello);
        }
        let earlier = keepers(&home);
        let story = format!("{scenario:?}");
        Self { scenario, home, hello, earlier, story, crashes: 0, took: Duration::ZERO, node: None }
    }

    /// Lives without a crash; how often each point was passed, and how long what was asked for took.
    pub(crate) async fn undisturbed(mut self) -> (Passes, Duration) {
        let trace = self.trace();
        let variables = [("OA_CRASH_TRACE", trace.display().to_string())];
        let node = self.home.start_with(STOP_UNITS, &variables).await;
        self.node = Some(node.expect("nothing kills it"));
        let node = self.take_up().await;
        let mut lines = std::fs::read_to_string(&trace).expect("a node passes points");
        self.end(node).await;
        if self.scenario == Scenario::Stop {
            lines = std::fs::read_to_string(trace).expect("a node passes points");
        }
        let mut passes = Passes::new();
        for line in lines.lines() {
            let point = CrashPoint::ALL.iter().find(|point| point.name() == line);
            *passes.entry(*point.expect("a line of the trace is a point")).or_default() += 1;
        }
        (passes, self.took)
    }

    /// Starts a node and has it die; whether it did, and while there was something to lose.
    pub(crate) async fn crash(&mut self, crash: Crash) -> bool {
        self.story += &format!(", {crash:?}");
        self.crashes += 1;
        match crash {
            Crash::At { point, pass } => self.crash_at(point, pass).await,
            Crash::After(moment) => self.crash_after(moment).await,
        }
    }

    async fn crash_at(&mut self, point: CrashPoint, pass: u32) -> bool {
        let trace = self.trace();
        let marker = trace.with_extension("crashed");
        let variables = [
            ("OA_CRASH_AT", format!("{}@{pass}", point.name())),
            ("OA_CRASH_TRACE", trace.display().to_string()),
        ];
        let lived = match self.home.start_with(STOP_UNITS, &variables).await {
            Err(status) => Err(status),
            Ok(node) => self.until_death(node).await,
        };
        match lived {
            Err(status) if is_in_node(point) && marker.exists() => {
                assert_eq!(status.signal(), Some(9), "{}", self.context());
                true
            }
            // Only a stop that was asked for ends a node in order.
            Err(status) => {
                assert!(status.success(), "{status}; {}", self.context());
                false
            }
            Ok(node) if !is_in_node(point) => {
                self.node = Some(node);
                marker.exists()
            }
            Ok(node) => {
                assert!(!marker.exists(), "a node that died is alive; {}", self.context());
                node.kill().await;
                false
            }
        }
    }

    /// Does what the scenario asks until the node is dead; the node, if it outlives all of it.
    async fn until_death(&self, mut node: TestNode) -> Result<TestNode, ExitStatus> {
        let client = client_of(&node);
        if self.scenario == Scenario::Stop {
            node.ask_to_stop();
        }
        let provoke = async {
            let asked = self.scenario.insist(&self.home, &self.hello, &client).await;
            if asked.is_err() || self.scenario == Scenario::Stop {
                // The node is dying.
                std::future::pending::<()>().await;
            }
            oracle::await_empty_outboxes(&self.home).await;
        };
        let death = async {
            tokio::select! {
                biased;
                status = node.ended() => Some(status),
                () = provoke => None,
            }
        };
        let death = tokio::time::timeout(PATIENCE, death).await;
        match death.unwrap_or_else(|_| panic!("neither dead nor done; {}", self.context())) {
            Some(status) => Err(status),
            None => Ok(node),
        }
    }

    async fn crash_after(&self, moment: Duration) -> bool {
        let node = self.home.start_with(STOP_UNITS, &[]).await.expect("nothing kills it");
        let client = client_of(&node);
        let id = self.scenario.started(&self.hello, &client).await.expect("the node answers");
        // The moment of the crash is the input of this test, so here a pause is what is meant.
        tokio::time::sleep(moment).await;
        let now = client.workflow(&id).await.expect("the workflow is readable");
        node.kill().await;
        !now.workflow_completed
    }

    /// The next node takes everything up; then the oracle judges, while it runs and after it stopped in order.
    pub(crate) async fn recover(&mut self) {
        let node = self.take_up().await;
        self.end(node).await;
    }

    async fn take_up(&mut self) -> TestNode {
        let node = match self.node.take() {
            Some(node) => node,
            None => {
                let node = self.home.start_with(STOP_UNITS, &[]).await;
                node.unwrap_or_else(|status| panic!("{status}; {}", self.context()))
            }
        };
        let client = client_of(&node);
        let began = Instant::now();
        let insist = self.scenario.insist(&self.home, &self.hello, &client);
        let done = tokio::time::timeout(PATIENCE, insist).await;
        let done = done.unwrap_or_else(|_| panic!("no end; {}", self.context()));
        let done = done.unwrap_or_else(|why| panic!("{why}; {}", self.context()));
        self.took = began.elapsed();
        oracle::judge_running(self, &client, &done).await;
        node
    }

    async fn end(&self, node: TestNode) {
        let status = node.stop().await;
        assert!(status.success(), "{status}; {}", self.context());
        oracle::judge_stopped(self).await;
    }

    /// What a failed claim has to tell.
    pub(crate) fn context(&self) -> String {
        format!("{}; the log:\n{}", self.story, self.home.log())
    }

    /// A trace file for each node that may die.
    fn trace(&self) -> PathBuf {
        self.home.data().with_file_name(format!("points-{}", self.crashes))
    }
}
