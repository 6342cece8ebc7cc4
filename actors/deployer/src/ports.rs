//! Asks the Manager for ports, with patience: it may be restarting, or the site may be cut off for a while.

use std::time::Duration;

use oa_protocol::manager::{ReleasePorts, ReservePorts, ReservedPort};
use oa_protocol::{EtcdToken, UnitName, WorkflowId, mailbox};
use oa_runtime::{PostOffice, Recipient};
use tokio::time::Instant;

use crate::error::DeployError;
use crate::voice::Voice;

/// How long one answer may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// The ports of one deployment.
pub(crate) struct Ports {
    pub(crate) etcd_token: EtcdToken,
    pub(crate) workflow_id: WorkflowId,
    /// How long to ask before giving up.
    pub(crate) within: Duration,
    reserve: Recipient<ReservePorts>,
    release: Recipient<ReleasePorts>,
}

impl Ports {
    pub(crate) fn new(
        post_office: &PostOffice,
        etcd_token: EtcdToken,
        workflow_id: WorkflowId,
        within: Duration,
    ) -> Self {
        let manager = post_office.address(mailbox::MANAGER);
        let (reserve, release) = (post_office.recipient(&manager), post_office.recipient(&manager));
        Self { etcd_token, workflow_id, within, reserve, release }
    }

    /// One port for each of `units`, the same ones when asked again.
    pub(crate) async fn reserve(
        &self,
        units: &[UnitName],
        voice: &Voice,
    ) -> Result<Vec<ReservedPort>, DeployError> {
        let begun = Instant::now();
        let mut pause = FIRST_PAUSE;
        loop {
            let question = ReservePorts {
                etcd_token: self.etcd_token.clone(),
                workflow_id: self.workflow_id,
                units: units.to_vec(),
            };
            let why = match self.reserve.ask(question, ANSWER_WITHIN).await {
                Ok(Ok(ports)) => return Ok(ports),
                Ok(Err(refusal)) if !refusal.is_retryable() => {
                    return Err(DeployError::Ports(refusal));
                }
                Ok(Err(refusal)) => refusal.to_string(),
                Err(error) => error.to_string(),
            };
            if begun.elapsed() >= self.within {
                return Err(DeployError::PortsUnavailable { waited: self.within, why });
            }
            if pause == FIRST_PAUSE {
                voice.wait(format!("no ports yet: {why}"), "the Manager to reserve ports");
            }
            voice.sleep(pause).await?;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Frees the ports of instances that are gone. A failure costs a port number, so it stops nothing.
    pub(crate) async fn release(&self, units: &[UnitName]) {
        if units.is_empty() {
            return;
        }
        let order = ReleasePorts {
            etcd_token: self.etcd_token.clone(),
            workflow_id: None,
            units: units.to_vec(),
        };
        let why = match self.release.ask(order, ANSWER_WITHIN).await {
            Ok(Ok(())) => return,
            Ok(Err(refusal)) => refusal.to_string(),
            Err(error) => error.to_string(),
        };
        tracing::warn!(cluster = %self.etcd_token, ?units, %why, "the ports of removed instances stay reserved");
    }
}
