//! Waits until instances are up, and says what it waits for.
//!
//! The first look comes after 2 ms, so that a quick unit costs no time; the pauses double up to 250 ms. An instance is
//! up once it has been healthy for the settling time without a break.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::join_all;
use oa_fleet::unit_file;
use oa_protocol::cluster::{HealthCheck, RolloutPolicy};
use oa_protocol::deploy::DeployedUnit;
use oa_protocol::unit::{Machine, UnitState};
use tokio::time::Instant;

use crate::blueprint::Wanted;
use crate::cluster::Cluster;
use crate::error::DeployError;
use crate::health::{self, Condition};
use crate::plan::{Change, Instance};

const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);
/// A reason to wait is told once it has lasted this long, and the next one of the same instance this much later.
const TELL_AFTER: Duration = Duration::from_millis(100);
const TELL_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// How an instance ended up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    Up(DeployedUnit),
    /// Why it is not up, such as `is failed`.
    Down(String),
    /// Given up, since another one failed.
    Open,
}

/// When an instance is up, on which cluster.
pub(crate) struct Watch<'a> {
    pub(crate) cluster: &'a Cluster,
    pub(crate) machines: &'a [Machine],
    pub(crate) health: Option<&'a HealthCheck>,
    pub(crate) policy: &'a RolloutPolicy,
}

/// What is known of one instance that is waited for.
struct Wait<'a> {
    instance: &'a Instance,
    hash: String,
    /// Whether it was ever seen active, or at least not failed: only then is a bad state its own.
    seen: Seen,
    healthy_since: Option<Instant>,
    reason: Reason,
    outcome: Outcome,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    /// It had failed and was restarted: the old failure may still show.
    OldFailure,
    Nothing,
    Active,
}

/// What an instance waits for, and since when.
struct Reason {
    text: String,
    since: Instant,
    told: Option<(String, Instant)>,
}

/// One look at an instance.
enum Look {
    Healthy(DeployedUnit),
    Waiting(String),
    Failed(String),
}

impl Watch<'_> {
    /// Waits for all of `instances`; stops early once more than `may_fail` of them have failed.
    ///
    /// # Errors
    ///
    /// The engine's, or that the step was cancelled or is out of time.
    pub(crate) async fn until_up(
        &self,
        instances: &[&Instance],
        may_fail: usize,
    ) -> Result<Vec<Outcome>, DeployError> {
        let begun = Instant::now();
        let mut waits: Vec<Wait<'_>> =
            instances.iter().map(|instance| Wait::new(instance, begun)).collect();
        let mut pause = FIRST_PAUSE;
        loop {
            self.cluster.voice().sleep(self.until_next_look(&waits, pause)).await?;
            pause = (pause * 2).min(LONGEST_PAUSE);
            let states = self.cluster.states().await?;
            let open: Vec<&mut Wait<'_>> =
                waits.iter_mut().filter(|wait| wait.outcome == Outcome::Open).collect();
            join_all(open.into_iter().map(|wait| self.look_at(wait, &states, begun))).await;
            let failed =
                waits.iter().filter(|wait| matches!(wait.outcome, Outcome::Down(_))).count();
            if failed > may_fail || waits.iter().all(|wait| wait.outcome != Outcome::Open) {
                return Ok(waits.into_iter().map(|wait| wait.outcome).collect());
            }
        }
    }

    /// Whether `wanted` is active and passes its health check now; `None` as long as it is not active.
    pub(crate) async fn passes(&self, wanted: &Wanted, machine_id: &str) -> bool {
        match self.target(wanted, machine_id) {
            Ok(Some((check, target))) => health::probe(check, target).await.is_ok(),
            Ok(None) => true,
            Err(_) => false,
        }
    }

    /// What an instance on a machine is called in the answer.
    pub(crate) fn deployed(&self, wanted: &Wanted, machine_id: &str) -> DeployedUnit {
        let host = health::host_of(self.machines, machine_id).ok();
        let address =
            wanted.port.zip(host).map(|(port, host)| SocketAddr::new(host, port).to_string());
        let machine_id = (!machine_id.is_empty()).then(|| machine_id.to_owned());
        DeployedUnit { name: wanted.name.clone(), machine_id, address }
    }

    async fn look_at(&self, wait: &mut Wait<'_>, states: &[UnitState], begun: Instant) {
        let look = self.look(wait, states).await;
        let now = Instant::now();
        match look {
            Look::Failed(what) => wait.outcome = Outcome::Down(what),
            Look::Healthy(unit) => {
                let since = *wait.healthy_since.get_or_insert(now);
                if now.duration_since(since) >= self.policy.settle {
                    wait.outcome = Outcome::Up(unit);
                } else {
                    let text = format!("{:?} of being healthy", self.policy.settle);
                    self.tell(wait, text, now);
                }
            }
            Look::Waiting(what) => {
                wait.healthy_since = None;
                if now.duration_since(begun) >= self.policy.healthy_within {
                    let limit = self.policy.healthy_within;
                    wait.outcome = Outcome::Down(format!(
                        "is not healthy after {limit:?}: it waits for {what}"
                    ));
                } else {
                    self.tell(wait, what, now);
                }
            }
        }
    }

    async fn look(&self, wait: &mut Wait<'_>, states: &[UnitState]) -> Look {
        let wanted = &wait.instance.wanted;
        match health::judge(states, wanted.name.as_str(), Some(&wait.hash)) {
            Condition::Failed(_) if wait.seen == Seen::OldFailure => {
                Look::Waiting("its restart".into())
            }
            Condition::Failed(state) => Look::Failed(format!("is {state}")),
            Condition::Starting(what) => {
                if wait.seen == Seen::Active && health::has_ended(states, wanted.name.as_str()) {
                    return Look::Failed("ended by itself".into());
                }
                wait.seen = if wait.seen == Seen::OldFailure { Seen::Nothing } else { wait.seen };
                Look::Waiting(what)
            }
            Condition::Active { machine_id } => {
                wait.seen = Seen::Active;
                match self.target(wanted, &machine_id) {
                    Err(why) => Look::Waiting(why),
                    Ok(None) => Look::Healthy(self.deployed(wanted, &machine_id)),
                    Ok(Some((check, target))) => match health::probe(check, target).await {
                        Ok(()) => Look::Healthy(self.deployed(wanted, &machine_id)),
                        Err(why) => {
                            tracing::trace!(unit = %wanted.name, %why, "a probe failed");
                            Look::Waiting(health::describe(check, target))
                        }
                    },
                }
            }
        }
    }

    /// What to probe, and where; `None` if being active is enough.
    fn target(
        &self,
        wanted: &Wanted,
        machine_id: &str,
    ) -> Result<Option<(&HealthCheck, SocketAddr)>, String> {
        let check = self.health.filter(|check| check.http.is_some() || check.tcp);
        let Some((check, port)) = check.zip(wanted.port) else { return Ok(None) };
        let host = health::host_of(self.machines, machine_id)?;
        Ok(Some((check, SocketAddr::new(host, port))))
    }

    /// The usual pause, or less if an instance will have settled sooner.
    fn until_next_look(&self, waits: &[Wait<'_>], pause: Duration) -> Duration {
        let open = waits.iter().filter(|wait| wait.outcome == Outcome::Open);
        let settled = open
            .filter_map(|wait| wait.healthy_since)
            .map(|since| since + self.policy.settle)
            .min();
        settled.map_or(pause, |at| pause.min(at.saturating_duration_since(Instant::now())))
    }

    fn tell(&self, wait: &mut Wait<'_>, text: String, now: Instant) {
        if let Some(text) = wait.reason.worth_telling(text, now) {
            let unit = wait.instance.name();
            self.cluster
                .voice()
                .wait(format!("{unit}: waiting for {text}"), format!("{unit}: {text}"));
        }
    }
}

impl<'a> Wait<'a> {
    fn new(instance: &'a Instance, now: Instant) -> Self {
        let restarted = instance.change == (Change::Await { restart: true });
        Self {
            hash: unit_file::hash(&instance.wanted.options),
            seen: if restarted { Seen::OldFailure } else { Seen::Nothing },
            healthy_since: None,
            reason: Reason { text: String::new(), since: now, told: None },
            outcome: Outcome::Open,
            instance,
        }
    }
}

impl Reason {
    /// The reason, once it has lasted and is news.
    fn worth_telling(&mut self, text: String, now: Instant) -> Option<String> {
        if self.text != text {
            (self.text, self.since) = (text, now);
        }
        let lasted = now.duration_since(self.since) >= TELL_AFTER;
        let is_news = match &self.told {
            None => true,
            Some((told, at)) => *told != self.text && now.duration_since(*at) >= TELL_AGAIN_AFTER,
        };
        (lasted && is_news).then(|| {
            self.told = Some((self.text.clone(), now));
            self.text.clone()
        })
    }
}
