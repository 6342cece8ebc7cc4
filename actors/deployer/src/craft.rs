//! What the Deployer does with a command.

use std::time::Duration;

use oa_fleet::Engines;
use oa_protocol::deploy::DeployCommand;
use oa_protocol::manager::ReservedPort;
use oa_protocol::step::{StepFailure, StepOutput};
use oa_protocol::{FailureCode, UnitName, mailbox};
use oa_runtime::{ChildSpec, PostOffice};
use oa_worker_journal::{
    Craft, EffectState, Hands, JournalError, Worker, WorkerArgs, WorkerJournal,
};

use crate::claim::Claim;
use crate::config::DeployerConfig;
use crate::deployment::{Desk, deploy};
use crate::error::{DeployError, text};
use crate::plan::Snapshot;
use crate::ports::Ports;
use crate::voice::Voice;

/// Runs `deploy` steps. Deployments of the same units to one cluster run one after the other, in the order of their
/// commands.
pub type Deployer = Worker<DeployCraft>;

/// The Deployer of applications. Reports go to the node's own exchange.
pub fn deployer(
    config: DeployerConfig,
    post_office: PostOffice,
    journal: WorkerJournal,
    engines: Engines,
) -> ChildSpec<Deployer> {
    spec(config, post_office, journal, engines, mailbox::DEPLOYER, "deployer")
}

/// The Deployer that upgrades OpenAperture itself, with a mailbox and a journal of its own: one that replaced its own
/// unit would end in the middle of its work.
pub fn deployer_oa(
    config: DeployerConfig,
    post_office: PostOffice,
    journal: WorkerJournal,
    engines: Engines,
) -> ChildSpec<Deployer> {
    spec(config, post_office, journal, engines, mailbox::DEPLOY_OA, "deployer_oa")
}

fn spec(
    config: DeployerConfig,
    post_office: PostOffice,
    journal: WorkerJournal,
    engines: Engines,
    mailbox: &str,
    module: &str,
) -> ChildSpec<Deployer> {
    let craft = DeployCraft {
        engines,
        post_office: post_office.clone(),
        ports_within: config.ports_within,
    };
    let mut args = WorkerArgs::new(craft, config.parallel, post_office, journal, mailbox);
    args.module = module.to_owned();
    oa_worker_journal::child_spec(args)
}

/// The `deploy` milestone as a craft.
#[derive(Debug, Clone)]
pub struct DeployCraft {
    engines: Engines,
    post_office: PostOffice,
    ports_within: Duration,
}

impl Craft for DeployCraft {
    const KIND: &'static str = "deployer";
    type Command = DeployCommand;
    type Claim = Claim;

    fn claim(&self, command: &DeployCommand) -> Claim {
        Claim::of(command)
    }

    fn describe(&self, command: &DeployCommand) -> String {
        format!("deploy to {}", command.etcd_token)
    }

    fn crashed(&self) -> StepFailure {
        StepFailure {
            message: "the deployment crashed, the cluster is as it left it".to_owned(),
            hint: Some(
                "another attempt goes on from there; the log of the node has the cause".to_owned(),
            ),
            retryable: true,
            code: FailureCode::WorkerFailed,
        }
    }

    async fn work(&self, command: DeployCommand, hands: Hands) -> Result<StepOutput, StepFailure> {
        let Some(engine) = self.engines.get(&command.etcd_token) else {
            let known: Vec<String> = self.engines.tokens().map(ToString::to_string).collect();
            let unknown = DeployError::UnknownCluster {
                token: command.etcd_token.to_string(),
                known: known.join(", "),
            };
            return Err(unknown.into_failure(&[]));
        };
        let desk = JobDesk::new(self, &command, hands.journal);
        // A cancelled deployment restores what was there, and reports then.
        let voice = Voice::new(hands.progress, hands.cancelled, command.timeout);
        deploy(&command, engine, &desk, voice).await.map(StepOutput::Deploy)
    }
}

/// Ports from the Manager; the note of what was there before, as an effect in the journal.
struct JobDesk {
    ports: Ports,
    journal: WorkerJournal,
    /// The same for all attempts at the step, so that a later one still knows what the first one found.
    note_key: String,
}

impl JobDesk {
    fn new(craft: &DeployCraft, command: &DeployCommand, journal: WorkerJournal) -> Self {
        let DeployCommand { step, etcd_token, .. } = command;
        let (office, within) = (&craft.post_office, craft.ports_within);
        Self {
            ports: Ports::new(office, etcd_token.clone(), step.workflow_id, within),
            journal,
            note_key: format!("{}/earlier-units", step.effect_key()),
        }
    }
}

impl Desk for JobDesk {
    async fn reserve_ports(
        &self,
        units: &[UnitName],
        voice: &Voice,
    ) -> Result<Vec<ReservedPort>, DeployError> {
        self.ports.reserve(units, voice).await
    }

    async fn release_ports(&self, units: &[UnitName]) {
        self.ports.release(units).await;
    }

    async fn recall(&self) -> Result<Snapshot, DeployError> {
        match self.journal.begin(&self.note_key).await.map_err(journal_error)? {
            EffectState::Done { external_ref: Some(note) } => serde_json::from_str(&note)
                .map_err(|why| DeployError::Journal { why: why.to_string() }),
            _ => Ok(Snapshot::new()),
        }
    }

    async fn note(&self, snapshot: &Snapshot) -> Result<(), DeployError> {
        let note = serde_json::to_string(snapshot)
            .map_err(|why| DeployError::Journal { why: why.to_string() })?;
        self.journal.done(&self.note_key, Some(note)).await.map(drop).map_err(journal_error)
    }
}

fn journal_error(error: JournalError) -> DeployError {
    DeployError::Journal { why: text(&error) }
}
