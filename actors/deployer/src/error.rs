//! Why a deployment did not succeed.

use std::time::Duration;

use oa_fleet::EngineError;
use oa_protocol::step::StepFailure;
use oa_protocol::{FailureCode, InvalidName, Refusal};

use crate::template::TemplateError;

/// Why a deployment did not succeed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeployError {
    /// The command names a cluster that this Deployer does not know.
    #[error("cluster `{token}` is not known here; known are {known}")]
    UnknownCluster {
        /// What was asked for.
        token: String,
        /// What there is.
        known: String,
    },
    /// No machine can take a unit.
    #[error("the cluster has no machines")]
    NoMachines,
    /// The command is empty.
    #[error("there is nothing to deploy: the deployment repository has no *.service file")]
    NoUnits,
    /// A unit file without content.
    #[error("{unit} is empty")]
    EmptyUnit {
        /// Its name.
        unit: String,
    },
    /// A number that makes no sense.
    #[error("instance_cnt is {count}, it must be 1 to {max}")]
    InstanceCount {
        /// What was asked for.
        count: u32,
        /// The most that is allowed.
        max: u32,
    },
    /// More healthy instances are demanded than there will be.
    #[error("deploy.quorum is {quorum}, it must be 1 to {instances}, the number of instances")]
    Quorum {
        /// What was asked for.
        quorum: u32,
        /// What there will be.
        instances: usize,
    },
    /// Two unit files give one instance.
    #[error("{unit} is named twice, by a template and by a unit file of its own")]
    NamedTwice {
        /// The instance.
        unit: String,
    },
    /// A name that no cluster takes.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// A unit file holds code.
    #[error("{unit}, {option}, is not a proper template")]
    Template {
        /// The unit.
        unit: String,
        /// Section and name of the option.
        option: String,
        /// What is wrong with it.
        #[source]
        cause: TemplateError,
    },
    /// A path that cannot be asked for.
    #[error("health.http is `{path}`, it must begin with `/` and hold no blanks")]
    HealthPath {
        /// The path.
        path: String,
    },
    /// A health check without anything to ask.
    #[error("fleet.json has a health check over the network, but no unit uses dst_port")]
    HealthWithoutPort,
    /// A newer deployment has been there.
    #[error(
        "superseded by generation {generation}: {unit} belongs to it, this deployment is generation {ours}"
    )]
    Superseded {
        /// Where that was seen.
        unit: String,
        /// The newer generation.
        generation: u64,
        /// This deployment.
        ours: u64,
    },
    /// Somebody else changed an instance meanwhile.
    #[error("{unit} was changed by somebody else while it was deployed")]
    Interfered {
        /// The instance.
        unit: String,
    },
    /// An instance did not become healthy.
    #[error("{unit} {what}{logs}")]
    Unhealthy {
        /// The instance.
        unit: String,
        /// Its state, in words.
        what: String,
        /// Its last lines, or nothing.
        logs: String,
    },
    /// The Manager gave no ports.
    #[error("no ports were reserved")]
    Ports(#[source] Refusal),
    /// The Manager could not be asked for ports.
    #[error("the Manager did not reserve ports within {waited:?}: {why}")]
    PortsUnavailable {
        /// How long it was tried.
        waited: Duration,
        /// What the last try said.
        why: String,
    },
    /// The Manager's answer is incomplete.
    #[error("the Manager reserved no port for {unit}")]
    PortMissing {
        /// The instance.
        unit: String,
    },
    /// The worker's journal failed.
    #[error("the journal of this worker failed: {why}")]
    Journal {
        /// Why.
        why: String,
    },
    /// The cluster refused or did not answer.
    #[error("the cluster did not {what}")]
    Engine {
        /// What it should have done.
        what: String,
        /// Why it did not.
        #[source]
        cause: EngineError,
    },
    /// The cluster is silent.
    #[error("the cluster did not {what} within {waited:?}")]
    EngineSilent {
        /// What it should have done.
        what: String,
        /// How long it had.
        waited: Duration,
    },
    /// An earlier instance does not come up again.
    #[error("{unit} was put back and is not active")]
    NotBack {
        /// The instance.
        unit: String,
    },
    /// A surplus instance does not end.
    #[error("{unit} is surplus and did not end within {waited:?}")]
    Lingering {
        /// The instance.
        unit: String,
        /// How long it had.
        waited: Duration,
    },
    /// Somebody gave the attempt up.
    #[error("cancelled: {reason}")]
    Cancelled {
        /// Who and why.
        reason: String,
    },
    /// The step's time is used up.
    #[error("the deployment took longer than {limit:?}")]
    TimedOut {
        /// Its time.
        limit: Duration,
    },
}

impl DeployError {
    /// Whether the same command may succeed later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Engine { cause, .. } => cause.is_retryable(),
            Self::Ports(refusal) => refusal.is_retryable(),
            Self::PortsUnavailable { .. }
            | Self::PortMissing { .. }
            | Self::Journal { .. }
            | Self::EngineSilent { .. }
            | Self::NoMachines
            | Self::Lingering { .. } => true,
            _ => false,
        }
    }

    /// Whether the cluster is left as it is: what is there belongs to somebody else.
    pub(crate) fn leaves_cluster_alone(&self) -> bool {
        matches!(self, Self::Superseded { .. } | Self::Interfered { .. } | Self::Lingering { .. })
    }

    /// Whether asking the cluster for something else is of no use now.
    pub(crate) fn is_silence(&self) -> bool {
        matches!(self, Self::EngineSilent { .. } | Self::TimedOut { .. })
            || matches!(self, Self::Engine { cause, .. } if cause.is_retryable())
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Unhealthy { unit, .. } => return Some(format!("oa logs {unit}")),
            Self::Interfered { unit } => {
                return Some(format!("see who else writes {unit}, then deploy again"));
            }
            Self::Superseded { .. } => {
                "a newer deployment is in place; start a new workflow to deploy this one again"
            }
            Self::UnknownCluster { .. } => {
                "correct the token in etcd.json, or configure the cluster"
            }
            Self::NoMachines => "wait until a machine has joined the cluster",
            Self::NoUnits => "add a unit file such as app@.service to the deployment repository",
            Self::InstanceCount { .. } | Self::Quorum { .. } | Self::HealthPath { .. } => {
                "correct fleet.json"
            }
            Self::HealthWithoutPort => {
                "use <%= dst_port %> in the unit, or remove `health` from fleet.json"
            }
            Self::TimedOut { .. } => "give the step more time, or a shorter deploy.settle",
            Self::PortsUnavailable { .. } => "see whether the Manager runs: oa tree",
            Self::Engine { cause, .. } if !cause.is_retryable() => {
                "correct the unit file, push, and deploy again"
            }
            _ => return None,
        };
        Some(hint.to_owned())
    }

    /// What kind of failure it is.
    #[must_use]
    pub fn code(&self) -> FailureCode {
        match self {
            Self::UnknownCluster { .. } => FailureCode::ClusterUnknown,
            Self::NoMachines => FailureCode::NoMachine,
            Self::InstanceCount { .. }
            | Self::Quorum { .. }
            | Self::HealthPath { .. }
            | Self::HealthWithoutPort => FailureCode::FleetConfigInvalid,
            Self::NoUnits | Self::EmptyUnit { .. } | Self::NamedTwice { .. } | Self::Name(_) => {
                FailureCode::UnitInvalid
            }
            Self::Template { .. } => FailureCode::TemplateRefused,
            Self::Superseded { .. } | Self::Interfered { .. } => FailureCode::Superseded,
            Self::Unhealthy { .. } | Self::NotBack { .. } | Self::Lingering { .. } => {
                FailureCode::UnitUnhealthy
            }
            Self::Ports(_) | Self::PortsUnavailable { .. } | Self::PortMissing { .. } => {
                FailureCode::NoPort
            }
            Self::Journal { .. } => FailureCode::WorkerFailed,
            Self::Engine { cause: EngineError::InvalidUnit { .. }, .. } => FailureCode::UnitInvalid,
            Self::Engine { cause, .. } if !cause.is_retryable() => FailureCode::UnitRefused,
            Self::Engine { .. } | Self::EngineSilent { .. } => FailureCode::ClusterSilent,
            Self::TimedOut { .. } => FailureCode::TimeOver,
            Self::Cancelled { .. } => FailureCode::Other,
        }
    }

    /// The first line of what went wrong.
    pub(crate) fn headline(&self) -> String {
        match self {
            Self::Unhealthy { unit, what, .. } => format!("{unit} {what}"),
            other => text(other),
        }
    }

    /// What the workflow is told; `restored` says what became of the instances.
    pub(crate) fn into_failure(self, restored: &[String]) -> StepFailure {
        let mut message = text(&self);
        for line in restored {
            message.push('\n');
            message.push_str(line);
        }
        let code = self.code();
        StepFailure { message, hint: self.hint(), retryable: self.is_retryable(), code }
    }
}

/// An error with its causes, in one line.
pub(crate) fn text(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}
