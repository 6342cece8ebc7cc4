//! The way back: puts the earlier definitions in place when a rollout fails, and takes surplus away when it succeeds.

use std::time::Duration;

use oa_fleet::unit_file;
use oa_protocol::UnitName;
use oa_protocol::unit::{UnitDesire, UnitState};
use tokio::time::Instant;

use crate::cluster::Cluster;
use crate::error::{DeployError, text};
use crate::health::{self, Condition};
use crate::plan::{Change, Earlier, Instance, Plan};
use crate::rollout::Rollout;

/// How long an earlier instance may take to come up again, or a removed one to end.
const WITHIN: Duration = Duration::from_secs(30);
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// What became of the instances when a rollout failed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Restored {
    /// A line for each instance.
    pub(crate) lines: Vec<String>,
    /// Instances that are gone again.
    pub(crate) removed: Vec<UnitName>,
}

impl Rollout {
    /// Puts the earlier definitions back: first where the new one is down, then the others, one after the other.
    ///
    /// Does what it can. Only definitions of this generation are touched. If an instance that served does not come
    /// back, those that are up are left as they are: a mixed set that serves is better than a pure one that does not.
    pub(crate) async fn restore(&self, plan: &Plan) -> Restored {
        let mut restored = Restored::default();
        let mut missing: Option<&UnitName> = None;
        for (instance, is_up) in self.down_first(plan).await {
            let name = instance.name();
            let served = instance.may_have_served();
            let outcome = match missing {
                Some(other) if is_up && served => {
                    Ok(Some(format!("left as it is, since {other} did not come back")))
                }
                _ => self.put_back_if_ours(instance, &mut restored.removed).await,
            };
            let line = match &outcome {
                Ok(None) => continue,
                Ok(Some(line)) => format!("{name}: {line}"),
                Err(why) => format!("{name}: could not be restored: {}", text(why)),
            };
            self.cluster.voice().say(line.clone());
            restored.lines.push(line);
            match outcome {
                Err(why) if why.is_silence() => {
                    restored.lines.push("the other instances were not restored either".into());
                    break;
                }
                Err(_) if served => missing = Some(name),
                _ => {}
            }
        }
        restored
    }

    /// The instances that may have been changed, each with whether it is active.
    async fn down_first<'a>(&self, plan: &'a Plan) -> Vec<(&'a Instance, bool)> {
        let states = self.cluster.states().await.unwrap_or_default();
        let is_up = |name: &UnitName| {
            matches!(health::judge(&states, name.as_str(), None), Condition::Active { .. })
        };
        let mut changed: Vec<(&Instance, bool)> = plan
            .instances
            .iter()
            .rev()
            .map(|instance| (instance, is_up(instance.name())))
            .collect();
        changed.sort_by_key(|(_, up)| *up);
        changed
    }

    /// What was done, in words; `None` if there was nothing to do.
    async fn put_back_if_ours(
        &self,
        instance: &Instance,
        removed: &mut Vec<UnitName>,
    ) -> Result<Option<String>, DeployError> {
        if !self.is_ours(instance.name()).await? {
            return Ok(None);
        }
        if instance.earlier == Earlier::Nothing {
            self.remove(instance.name()).await?;
            removed.push(instance.name().clone());
            return Ok(Some("removed again, it was not there before".into()));
        }
        self.put_back(instance).await.map(Some)
    }

    /// Puts the earlier definition of one instance in place, and waits until it is up if it was to run.
    pub(crate) async fn put_back(&self, instance: &Instance) -> Result<String, DeployError> {
        let name = instance.name();
        let Earlier::Definition(unit) = &instance.earlier else {
            return Ok("left as it is, what was there before is not known".into());
        };
        self.cluster
            .put(name, &unit.options, unit.desired_state.unwrap_or(UnitDesire::Launched))
            .await?;
        oa_crash_points::crash_point!(DeployerPutBack);
        let restored = "restored to its earlier definition".to_owned();
        if !instance.may_have_served() {
            return Ok(restored);
        }
        match self.is_back(name, &unit_file::hash(&unit.options)).await? {
            true => Ok(restored),
            // It was down before, so that it is down again takes nothing away.
            false if instance.change == Change::Repair => {
                Ok(format!("{restored}, which is not active either"))
            }
            false => Err(DeployError::NotBack { unit: name.to_string() }),
        }
    }

    /// Waits until a unit that was put back is active, or has failed, or is out of time.
    async fn is_back(&self, name: &UnitName, hash: &str) -> Result<bool, DeployError> {
        let condition = |states: &[UnitState]| health::judge(states, name.as_str(), Some(hash));
        let mut active = false;
        until(&self.cluster, |states| match condition(states) {
            Condition::Active { .. } => {
                active = true;
                true
            }
            Condition::Failed(_) => true,
            Condition::Starting(_) => false,
        })
        .await?;
        Ok(active)
    }

    /// Removes an instance and waits until nothing of it runs, so that its port is free again.
    pub(crate) async fn remove(&self, name: &UnitName) -> Result<(), DeployError> {
        oa_crash_points::crash_point!(DeployerBeforeRemove);
        self.cluster.remove(name).await?;
        if until(&self.cluster, |states| !health::runs(states, name.as_str())).await? {
            oa_crash_points::crash_point!(DeployerAfterRemove);
            return Ok(());
        }
        Err(DeployError::Lingering { unit: name.to_string(), waited: WITHIN })
    }
}

/// Whether `reached` becomes true [`WITHIN`] its time.
async fn until(
    cluster: &Cluster,
    mut reached: impl FnMut(&[UnitState]) -> bool,
) -> Result<bool, DeployError> {
    let begun = Instant::now();
    let mut pause = FIRST_PAUSE;
    loop {
        if reached(&cluster.states().await?) {
            return Ok(true);
        }
        if begun.elapsed() >= WITHIN {
            return Ok(false);
        }
        cluster.voice().sleep(pause).await?;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::testing::{APP, Stage, TestCluster, command, options, running};

    #[tokio::test(start_paused = true)]
    async fn a_failure_brings_the_earlier_definitions_back_and_says_why() {
        let stage = Stage::new(&running());
        let failure =
            stage.deploy(&command(&[(APP, "fails 2")], 2, 2)).await.expect_err("a failing unit");
        assert_eq!(stage.cluster.deeds(), ["put app@0.service 2", "put app@0.service 1"]);
        assert_eq!(stage.cluster.most_down(), 1);
        let message = &failure.message;
        for part in [
            "app@0.service is failed",
            "cannot bind",
            "app@0.service: restored to its earlier definition",
        ] {
            assert!(message.contains(part), "{message}");
        }
        assert_eq!(failure.hint.as_deref(), Some("oa logs app@0.service"));
        assert!(!failure.retryable);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_first_deployment_leaves_nothing_behind() {
        let stage = Stage::new(&TestCluster::of_machines(&["m1"]));
        let units =
            [("bad.service", "fails 1 {{dst_port}}"), ("good.service", "up 1 {{dst_port}}")];
        let failure = stage.deploy(&command(&units, 1, 1)).await.expect_err("a failing unit");
        assert!(failure.message.contains("good.service: removed again"), "{failure}");
        assert!(stage.cluster.names().is_empty());
        let released = stage.desk.released.lock().expect("nothing panicked").clone();
        assert_eq!(released.len(), 2, "{released:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn surplus_instances_go_in_the_end_and_their_ports_are_free() {
        let cluster = running();
        cluster
            .has("app@2.service", options("up 0", None))
            .has("my-app@2.service", options("up 0", None));
        let stage = Stage::new(&cluster);
        stage.deploy(&command(&[(APP, "up 1 new")], 1, 2)).await.expect("a deployment");
        let deeds = ["put app@0.service 2", "remove app@1.service", "remove app@2.service"];
        assert_eq!(stage.cluster.deeds(), deeds);
        assert_eq!(stage.cluster.names(), ["app@0.service", "my-app@2.service"]);
        assert_eq!(
            *stage.desk.released.lock().expect("nothing panicked"),
            ["app@1.service", "app@2.service"]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn an_interrupted_deployment_still_knows_what_was_there_before() {
        let cluster = running();
        cluster.has("app@1.service", options("fails 0 old", Some(1)));
        let stage = Stage::new(&cluster);
        let command = command(&[(APP, "fails 40")], 2, 2);
        let interrupted =
            tokio::time::timeout(Duration::from_millis(5), stage.deploy(&command)).await;
        assert!(interrupted.is_err());
        stage.deploy(&command).await.expect_err("it fails in the end");
        assert_eq!(stage.cluster.generations(), [Some(1), Some(1)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_cancelled_deployment_goes_back_to_what_was_there() {
        let stage = Stage::new(&running());
        let cancel = stage.cancel.clone();
        stage.cluster.on_put(move |name| {
            if name == "app@1.service" {
                cancel.send_replace(Some("alice: wrong branch".into()));
            }
            None
        });
        let failure =
            stage.deploy(&command(&[(APP, "up 1 new")], 2, 2)).await.expect_err("cancelled");
        assert!(failure.message.starts_with("cancelled: alice: wrong branch"), "{failure}");
        assert_eq!(stage.cluster.generations(), [Some(1), Some(1)]);
        assert_eq!(stage.cluster.most_down(), 1, "the way back is as careful");
    }

    #[tokio::test(start_paused = true)]
    async fn a_step_that_is_out_of_time_goes_back_to_what_was_there() {
        let stage = Stage::new(&running());
        let mut command = command(&[(APP, "never")], 2, 2);
        command.timeout = Duration::from_secs(3);
        let failure = stage.deploy(&command).await.expect_err("out of time");
        assert!(failure.message.contains("longer than 3s"), "{failure}");
        assert_eq!(stage.cluster.generations(), [Some(1), Some(1)]);
    }
}
