//! What a client asks of the node that dies, and what has to be true in the end.

use std::time::Duration;

use oa_api::{
    Client, ClientError, ExecuteWorkflow, NewWorkflow, Workflow, WorkflowFilter, WorkflowState,
};
use oa_test_services::eventually::eventually;
use oa_test_services::node::NodeHome;

use crate::stage::{BROKEN, Hello, NEVER_HEALTHY, keepers};

/// The template of the sample's unit, in its repository.
const TEMPLATE: &str = "hello@.service.eex";
/// A line that a later release of the unit has.
pub(crate) const RELEASE: &str = "RELEASE=2";
/// The later release asks for one instance only.
const ONE_INSTANCE: &str =
    r#"{"instance_cnt": 1, "health": {"http": "/health"}, "deploy": {"settle": "0s"}}"#;

/// One story of the node that dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Scenario {
    /// The first deployment.
    First,
    /// The first deployment, at a later time.
    Scheduled,
    /// Two units are replaced, one after the other.
    Replace,
    /// A release that never gets healthy is taken back.
    Restore,
    /// The first deployment is cancelled while its units run.
    Cancel,
    /// One of two units is not wanted any more.
    Shrink,
    /// Somebody asks what runs.
    Ask,
    /// A node starts where units run already.
    Start,
    /// A node stops, and its units with it.
    Stop,
}

impl Scenario {
    pub(crate) const ALL: [Self; 9] = [
        Self::First,
        Self::Scheduled,
        Self::Replace,
        Self::Restore,
        Self::Cancel,
        Self::Shrink,
        Self::Ask,
        Self::Start,
        Self::Stop,
    ];

    /// Whether a deployment was made, and its node stopped in order, before the node starts that dies.
    pub(crate) fn has_earlier(self) -> bool {
        !matches!(self, Self::First | Self::Scheduled | Self::Cancel)
    }

    /// How many workflows there are in the end.
    fn workflows(self) -> usize {
        if matches!(self, Self::Replace | Self::Restore | Self::Shrink) { 2 } else { 1 }
    }

    /// How the last workflow ends.
    pub(crate) fn end(self) -> WorkflowState {
        match self {
            Self::Restore => WorkflowState::Failed,
            Self::Cancel => WorkflowState::Cancelled,
            _ => WorkflowState::Succeeded,
        }
    }

    /// How many units run in the end.
    pub(crate) fn units(self) -> usize {
        match self {
            Self::Cancel => 0,
            Self::Shrink => 1,
            _ => 2,
        }
    }

    /// How many commits the deployment repository has in the end: those of its author, and one for each rendering.
    pub(crate) fn commits(self) -> usize {
        match self {
            Self::Replace | Self::Restore => 4,
            Self::Shrink => 3,
            _ => 2,
        }
    }

    /// Whether the units are of the later release in the end.
    pub(crate) fn is_replaced(self) -> bool {
        self == Self::Replace
    }

    /// Whether the same processes run in the end as before the crash.
    pub(crate) fn keeps_processes(self) -> bool {
        matches!(self, Self::Ask | Self::Start)
    }

    /// Changes the repository for the deployment that is hit.
    pub(crate) fn change(self, hello: &Hello) {
        match self {
            Self::Replace => {
                let unit = hello.deployment.file(TEMPLATE).expect("the sample has a template");
                let release = format!("[Service]\nEnvironment={RELEASE}\n");
                hello.change(&[(TEMPLATE, &unit.replace("[Service]\n", &release))], "release 2");
            }
            Self::Restore => hello.change(&[(TEMPLATE, BROKEN)], "broken"),
            Self::Shrink => hello.change(&[("fleet.json", ONE_INSTANCE)], "one instance"),
            _ => {}
        }
    }

    /// What a client does that never gives up: it looks what is there, asks for what is missing, awaits the end.
    pub(crate) async fn insist(
        self,
        home: &NodeHome,
        hello: &Hello,
        client: &Client,
    ) -> Result<Workflow, ClientError> {
        let id = self.started(hello, client).await?;
        if self == Self::Cancel {
            cancelled(home, client, &id).await?;
        }
        if self == Self::Ask {
            client.units("local").await?;
        }
        let mut after = 0;
        loop {
            let news = client.workflow_events(&id, after, Duration::from_secs(10)).await?;
            after = news.events.iter().map(|event| event.version).max().unwrap_or(after);
            if news.completed {
                return client.workflow(&id).await;
            }
        }
    }

    /// The workflow that is there, or a new one; it is started.
    pub(crate) async fn started(
        self,
        hello: &Hello,
        client: &Client,
    ) -> Result<String, ClientError> {
        let all = WorkflowFilter { lookback: Some(0), ..WorkflowFilter::default() };
        let mut found = client.workflows(&all).await?;
        if found.len() < self.workflows() {
            client.create_workflow(&self.workflow(hello)).await?;
            found = client.workflows(&all).await?;
        }
        assert_eq!(found.len(), self.workflows(), "{found:#?}");
        let last = found.pop().expect("it was made");
        if last.state == WorkflowState::Created {
            client.execute_workflow(&last.id, &ExecuteWorkflow::default()).await?;
        }
        Ok(last.id)
    }

    fn workflow(self, hello: &Hello) -> NewWorkflow {
        let mut workflow = hello.workflow();
        if self == Self::Scheduled {
            workflow.milestones = Some(["scheduled", "config", "deploy"].map(Into::into).into());
            // Times on the wire have whole seconds, so this is one to two from now: enough to ask for the start before.
            let soon = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(2);
            workflow.scheduled_start_time =
                Some(format!("{} UTC", soon.strftime("%a, %d %b %Y %H:%M:%S")));
        }
        workflow
    }
}

/// Cancels a workflow once its units run, unless that was done before.
async fn cancelled(home: &NodeHome, client: &Client, id: &str) -> Result<(), ClientError> {
    let run = || async { keepers(home).len() == 2 };
    if eventually(Duration::from_secs(5), run).await {
        let now = client.workflow(id).await?;
        if !now.workflow_completed {
            client.cancel_workflow(id, Some("changed our mind")).await?;
        }
    } else if client.workflow(id).await?.state == WorkflowState::Running {
        client.cancel_workflow(id, Some("changed our mind")).await?;
    }
    Ok(())
}

/// Repositories that every life gets a copy of.
pub(crate) struct Templates {
    good: Hello,
    never_healthy: Hello,
}

impl Templates {
    pub(crate) fn new() -> Self {
        Self { good: Hello::new(), never_healthy: Hello::with_unit(NEVER_HEALTHY) }
    }

    pub(crate) fn copy_for(&self, scenario: Scenario) -> Hello {
        if scenario == Scenario::Cancel { self.never_healthy.copy() } else { self.good.copy() }
    }
}
