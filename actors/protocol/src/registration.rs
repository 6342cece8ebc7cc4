//! How a component registers with Management and stays registered: the one way of all of them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use oa_runtime::{Address, Envelope, PostOffice};

use crate::ids::AttemptId;
use crate::mailbox::SYSTEM_MODULES;
use crate::module::Heartbeat;

/// How often a component says that it runs, as in the original.
const HEARTBEAT_EVERY: Duration = Duration::from_secs(30);
/// Pause before it says so again as long as nobody has answered.
const HEARTBEAT_AGAIN: Duration = Duration::from_millis(500);
/// Time that Management has for an answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// Time for the goodbye; silence says the same, a little later.
const GOODBYE_WITHIN: Duration = Duration::from_secs(1);

/// The registration of one component of a node. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Registration {
    post_office: PostOffice,
    modules: Address,
    kind: String,
    workload: Workload,
}

/// What a component works on, shared with its [`Registration`]. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Workload(Arc<Mutex<BTreeMap<AttemptId, String>>>);

impl Workload {
    /// Adds a line, such as `config of org/name for workflow …`.
    pub fn insert(&self, attempt: AttemptId, line: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(attempt, line);
    }

    /// Takes the line away.
    pub fn remove(&self, attempt: AttemptId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&attempt);
    }

    /// The lines, in the order of the attempts.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}

impl Registration {
    /// The component that Management calls `kind`, such as `overseer`, on the node of `post_office`.
    #[must_use]
    pub fn new(post_office: &PostOffice, kind: &str) -> Self {
        let modules = post_office.address(SYSTEM_MODULES);
        Self {
            post_office: post_office.clone(),
            modules,
            kind: kind.to_owned(),
            workload: Workload::default(),
        }
    }

    /// Says with each heartbeat what the component works on.
    #[must_use]
    pub fn with_workload(self, workload: Workload) -> Self {
        Self { workload, ..self }
    }

    /// Says each half minute that the component runs, and sooner as long as nobody answers. Never ends: run it as a
    /// task of the component's actor.
    pub async fn keep(self) {
        let modules = self.post_office.recipient::<Heartbeat>(&self.modules);
        loop {
            let heard = modules.ask(self.heartbeat("active"), ANSWER_WITHIN).await.is_ok();
            tokio::time::sleep(if heard { HEARTBEAT_EVERY } else { HEARTBEAT_AGAIN }).await;
        }
    }

    /// Says goodbye. A courtesy, so its failure is none.
    pub async fn end(&self) {
        if let Ok(goodbye) = Envelope::new(&self.modules, &self.heartbeat("inactive")) {
            let _unheard =
                tokio::time::timeout(GOODBYE_WITHIN, self.post_office.publish(goodbye)).await;
        }
    }

    fn heartbeat(&self, status: &str) -> Heartbeat {
        Heartbeat {
            hostname: self.post_office.node().to_owned(),
            kind: self.kind.clone(),
            status: status.to_owned(),
            workload: self.workload.lines(),
        }
    }
}
