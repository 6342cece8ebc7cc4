//! The component on a node: from the command in its mailbox to the report.

use std::sync::Arc;
use std::time::Duration;

use oa_builder::{BuilderConfig, child_spec};
use oa_protocol::mailbox;
use oa_protocol::step::{StepNews, StepOutput, StepReport};
use oa_runtime::{
    Actor, ChildSpec, Context, Envelope, Failure, Handler, Mailbox, PostOffice, System,
};
use oa_transport_memory::MemoryTransport;
use oa_worker_journal::WorkerJournal;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::support::{command, command_without_source, deployment, source};

const SOON: Duration = Duration::from_secs(20);

/// Stands for Management: hands on what it gets.
struct Management(UnboundedSender<StepReport>);

impl Actor for Management {
    const KIND: &'static str = "management";
    type Args = UnboundedSender<StepReport>;

    async fn init(reports: &Self::Args, _ctx: &mut Context<Self>) -> Result<Self, Failure> {
        Ok(Self(reports.clone()))
    }
}

impl Handler<StepReport> for Management {
    async fn handle(
        &mut self,
        report: StepReport,
        _ctx: &mut Context<Self>,
    ) -> Result<(), Failure> {
        Ok(self.0.send(report)?)
    }
}

async fn news(reports: &mut UnboundedReceiver<StepReport>) -> StepNews {
    loop {
        let report = tokio::time::timeout(SOON, reports.recv()).await.expect("a report comes");
        match report.expect("management lives").news {
            StepNews::Progress { .. } => {}
            news => return news,
        }
    }
}

#[tokio::test]
async fn commands_are_accepted_carried_out_and_reported() {
    let directory = tempfile::tempdir().expect("a directory");
    let (deployment, source) = (deployment(), source());
    let system = System::builder("site").arbiters(2).build();
    let office = PostOffice::new(&system, "site-1", "", Arc::new(MemoryTransport::new()));
    let (send, mut reports) = unbounded_channel();
    let management = system.spawn_ready::<Management>(ChildSpec::new(send), SOON).await;
    let mailbox = Mailbox::new(office.address(mailbox::WORKFLOW_ORCHESTRATION))
        .accept::<StepReport, _>(&management.expect("it starts"));
    let mail = office.serve(mailbox).await.expect("a mailbox");
    let path = directory.path().join("builder.db");
    let journal = WorkerJournal::open(path, "site-1").await.expect("a journal");
    let config = BuilderConfig {
        work_dir: directory.path().join("work"),
        allow_local_repositories: true,
        ..BuilderConfig::default()
    };
    let spec = child_spec(config, office.clone(), journal.clone());
    system.spawn_ready(spec, SOON).await.expect("the Builder starts");

    let missing = command_without_source("/no/such/repository.git".as_ref());
    for command in [command(&deployment, &source), missing] {
        let to = office.address(mailbox::BUILDER);
        let envelope = Envelope::new(&to, &command).expect("an envelope");
        office.publish(envelope).await.expect("published");
        assert_eq!(news(&mut reports).await, StepNews::Accepted);
        match news(&mut reports).await {
            StepNews::Succeeded { output: StepOutput::Config(output) } => {
                assert_eq!((output.deployment_commit, output.pushed), (deployment.head(), true));
            }
            StepNews::Failed { failure } => {
                assert!(failure.message.contains("/no/such/repository.git was not found"));
                assert!(failure.hint.is_some() && !failure.retryable, "{failure:?}");
            }
            other => panic!("neither done nor failed: {other:?}"),
        }
    }

    assert!(journal.open_tasks().await.expect("readable").is_empty());
    mail.close().await;
    assert!(system.shutdown(SOON).await.is_clean());
}
