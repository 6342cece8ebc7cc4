//! What a transition writes and sends.

use oa_protocol::build::ConfigCommand;
use oa_protocol::deploy::DeployCommand;
use oa_protocol::step::CancelStep;
use oa_runtime::{Address, Envelope};

use super::milestone::Milestone;
use super::state::{Attempt, WorkflowState};

/// One transition: everything that one transaction writes.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The workflow after it; its version is one higher.
    pub next: WorkflowState,
    /// Attempts that it ended.
    pub closed: Vec<Attempt>,
    /// Its line in the journal.
    pub entry: Entry,
    /// Messages to be sent once it is written.
    pub outgoing: Vec<Outgoing>,
}

/// The line of a transition in the journal.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// What kind of line, for programs.
    pub kind: &'static str,
    /// Who caused it.
    pub actor: String,
    /// What happened, for people.
    pub message: String,
    /// The milestone that was in hand.
    pub milestone: Option<Milestone>,
    /// More, for programs.
    pub data: serde_json::Value,
}

/// A message that a transition causes.
#[derive(Debug, Clone, PartialEq)]
pub struct Outgoing {
    /// Where it goes.
    pub to: Address,
    /// The same whenever the same thing is asked again.
    pub idempotency_key: String,
    /// What it says.
    pub command: Command,
}

/// What a worker is asked.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Render and read the deployment repository.
    Config(ConfigCommand),
    /// Bring units to a cluster.
    Deploy(DeployCommand),
    /// Give up an attempt.
    Cancel(CancelStep),
}

impl Outgoing {
    /// The message as it is sent.
    ///
    /// # Errors
    ///
    /// [`oa_runtime::EncodeError`] if it cannot be encoded.
    pub fn envelope(&self) -> Result<Envelope, oa_runtime::EncodeError> {
        let envelope = match &self.command {
            Command::Config(command) => Envelope::new(&self.to, command),
            Command::Deploy(command) => Envelope::new(&self.to, command),
            Command::Cancel(command) => Envelope::new(&self.to, command),
        };
        Ok(envelope?.with_key(self.idempotency_key.clone()))
    }
}
