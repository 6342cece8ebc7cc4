//! What the Builder does with a command.

use std::time::Duration;

use oa_protocol::build::ConfigCommand;
use oa_protocol::mailbox;
use oa_protocol::step::{StepFailure, StepOutput};
use oa_runtime::{ChildSpec, PostOffice};
use oa_worker_journal::{Craft, Hands, Worker, WorkerArgs, WorkerJournal, cancellation};
use tracing::warn;

use crate::config::BuilderConfig;
use crate::error::BuildError;
use crate::git::redact;
use crate::milestone::ConfigMilestone;

/// Runs `config` steps.
pub type Builder = Worker<ConfigCraft>;

/// The Builder of a node. Reports go to the node's own exchange.
pub fn child_spec(
    config: BuilderConfig,
    post_office: PostOffice,
    journal: WorkerJournal,
) -> ChildSpec<Builder> {
    let parallel = config.parallel;
    let craft = ConfigCraft { milestone: ConfigMilestone::new(config) };
    let args = WorkerArgs::new(craft, parallel, post_office, journal, mailbox::BUILDER);
    // A git that was told to end takes a moment.
    oa_worker_journal::child_spec(args).drain(Duration::from_secs(10))
}

/// The `config` milestone as a craft.
#[derive(Debug, Clone)]
pub struct ConfigCraft {
    milestone: ConfigMilestone,
}

impl Craft for ConfigCraft {
    const KIND: &'static str = "builder";
    type Command = ConfigCommand;
    type Claim = ();

    fn claim(&self, _: &ConfigCommand) {}

    fn describe(&self, command: &ConfigCommand) -> String {
        format!("config of {}", redact(&command.deployment_repo))
    }

    fn crashed(&self) -> StepFailure {
        BuildError::Crashed.to_failure()
    }

    async fn prepare(&self) {
        if let Err(error) = self.milestone.prepare().await {
            warn!(%error, "no step of the Builder can succeed");
        }
    }

    async fn work(&self, command: ConfigCommand, hands: Hands) -> Result<StepOutput, StepFailure> {
        let Hands { progress, cancelled, .. } = hands;
        tokio::select! {
            result = self.milestone.run(&command, |line| progress.say(line)) => result
                .map(|output| StepOutput::Config(Box::new(output)))
                .map_err(|error| error.to_failure()),
            // The milestone is dropped with all that it started.
            reason = cancelled.cancelled() => Err(cancellation(&reason)),
        }
    }
}
