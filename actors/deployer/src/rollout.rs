//! Carries a plan out: first what serves nobody, together; then the serving instances, one after the other.
//!
//! An instance that serves is written over only while every other one is up, and the next one waits until it has been
//! healthy for the settling time; so at most one of the instances that were healthy before is down. That holds on the
//! way back too: see [`restore`](Rollout::restore).

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::{join_all, try_join_all};
use oa_protocol::UnitName;
use oa_protocol::cluster::{HealthCheck, RolloutPolicy};
use oa_protocol::deploy::DeployedUnit;
use oa_protocol::unit::{Machine, UnitDesire, UnitState};

use crate::blueprint::Wanted;
use crate::cluster::Cluster;
use crate::error::DeployError;
use crate::generation;
use crate::health::{self, Condition};
use crate::plan::{Change, Earlier, Found, Instance, Plan, Standing, refuse_newer};
use crate::watch::{Outcome, Watch};

/// How many instances are started at once.
const WAVE: usize = 32;

/// Brings one generation to one cluster.
pub(crate) struct Rollout {
    pub(crate) cluster: Cluster,
    pub(crate) machines: Vec<Machine>,
    pub(crate) health: Option<HealthCheck>,
    pub(crate) policy: RolloutPolicy,
    pub(crate) generation: u64,
}

impl Rollout {
    /// The same rollout for what must be done even when it was cancelled or is out of time.
    pub(crate) fn undisturbed(&self, limit: Duration) -> Self {
        Self {
            cluster: self.cluster.undisturbed(limit),
            machines: self.machines.clone(),
            health: self.health.clone(),
            policy: self.policy.clone(),
            generation: self.generation,
        }
    }

    /// What the cluster has now, seen from what is wanted.
    ///
    /// # Errors
    ///
    /// The engine's: a listing that fails is never taken for an empty one.
    pub(crate) async fn find(&self, wanted: &[Wanted]) -> Result<Found, DeployError> {
        let units = self.cluster.units().await?;
        let states = self.cluster.states().await?;
        let mut standing: BTreeMap<String, Standing> =
            units.iter().map(|unit| (unit.name.clone(), standing(&states, &unit.name))).collect();
        let same = wanted.iter().filter(|wanted| {
            let unit = units.iter().find(|unit| unit.name == wanted.name.as_str());
            unit.is_some_and(|unit| generation::same_besides(&unit.options, &wanted.options))
        });
        let healthy = join_all(same.map(|wanted| self.is_healthy(wanted, &states))).await;
        for name in healthy.into_iter().flatten() {
            standing.insert(name.to_string(), Standing::Healthy);
        }
        Ok(Found { units, standing })
    }

    async fn is_healthy<'a>(
        &self,
        wanted: &'a Wanted,
        states: &[UnitState],
    ) -> Option<&'a UnitName> {
        // Any hash will do: the definitions were compared, and they may differ in their generation.
        let Condition::Active { machine_id } = health::judge(states, wanted.name.as_str(), None)
        else {
            return None;
        };
        self.watch().passes(wanted, &machine_id).await.then_some(&wanted.name)
    }

    /// Makes the cluster run what the plan wants; surplus instances stay for [`Self::remove`].
    ///
    /// # Errors
    ///
    /// Why it stopped; what was changed until then is left for [`Self::restore`].
    pub(crate) async fn apply(&self, plan: &Plan) -> Result<Vec<DeployedUnit>, DeployError> {
        let mut slack = plan.instances.len() - plan.needed;
        let mut up = self.kept(plan).await?;
        for wave in plan.idle().chunks(WAVE) {
            up.extend(self.bring_up(wave, &mut slack).await?);
        }
        for instance in plan.serving() {
            oa_crash_points::crash_point!(DeployerBetweenUnits);
            up.extend(self.bring_up(&[instance], &mut slack).await?);
        }
        oa_crash_points::crash_point!(DeployerBeforeVerify);
        self.verify(plan, &up).await?;
        Ok(up)
    }

    async fn kept(&self, plan: &Plan) -> Result<Vec<DeployedUnit>, DeployError> {
        let kept: Vec<&Instance> =
            plan.instances.iter().filter(|instance| instance.change == Change::Keep).collect();
        if kept.is_empty() {
            return Ok(Vec::new());
        }
        let states = self.cluster.states().await?;
        let machine_of = |name: &UnitName| {
            states
                .iter()
                .find(|state| state.name == name.as_str())
                .map_or("", |state| state.machine_id.as_str())
        };
        let watch = self.watch();
        Ok(kept
            .into_iter()
            .map(|instance| {
                self.cluster
                    .voice()
                    .say(format!("{}: already runs this definition, left alone", instance.name()));
                watch.deployed(&instance.wanted, machine_of(instance.name()))
            })
            .collect())
    }

    async fn bring_up(
        &self,
        wave: &[&Instance],
        slack: &mut usize,
    ) -> Result<Vec<DeployedUnit>, DeployError> {
        self.cluster.voice().go_on()?;
        try_join_all(wave.iter().map(|instance| self.write(instance))).await?;
        let outcomes = self.watch().until_up(wave, *slack).await?;
        oa_crash_points::crash_point!(DeployerHealthy);
        let mut up = Vec::new();
        for (instance, outcome) in wave.iter().zip(outcomes) {
            match outcome {
                Outcome::Up(unit) => {
                    self.cluster.voice().say(healthy_line(&unit));
                    up.push(unit);
                }
                Outcome::Down(what) => self.bear(instance, what, slack).await?,
                Outcome::Open => {}
            }
        }
        Ok(up)
    }

    /// Writes an instance down at the cluster, unless a newer deployment has been there.
    async fn write(&self, instance: &Instance) -> Result<(), DeployError> {
        let Wanted { name, options, .. } = &instance.wanted;
        refuse_newer(name, self.cluster.unit(name).await?.as_ref(), self.generation)?;
        // Writing again what is there changes nothing but the desired state, so an interrupted rollout starts no
        // instance twice.
        oa_crash_points::crash_point!(DeployerBeforePut);
        self.cluster.put(name, options, UnitDesire::Launched).await?;
        oa_crash_points::crash_point!(DeployerAfterPut);
        let done = match instance.change {
            Change::Create => "created",
            Change::Repair => "replaced, it was down",
            Change::Replace => "replaced",
            Change::Await { restart: true } => {
                self.cluster.restart(name).await?;
                "restarted, it had failed"
            }
            Change::Await { restart: false } | Change::Keep => return Ok(()),
        };
        self.cluster.voice().say(format!("{name}: {done}"));
        Ok(())
    }

    /// Takes the failure of one instance, if enough others can still be healthy.
    ///
    /// One that served before goes back to what it was, so that no more than one is ever down.
    async fn bear(
        &self,
        instance: &Instance,
        what: String,
        slack: &mut usize,
    ) -> Result<(), DeployError> {
        let name = instance.name();
        let unhealthy = self.unhealthy(name, what).await;
        let has_way_back =
            !instance.may_have_served() || matches!(instance.earlier, Earlier::Definition(_));
        if *slack == 0 || !has_way_back {
            return Err(unhealthy);
        }
        *slack -= 1;
        self.cluster.voice().say(format!("{unhealthy}; the quorum allows it"));
        if !instance.may_have_served() {
            return Ok(());
        }
        match self.put_back(instance).await {
            Ok(line) => {
                self.cluster.voice().say(format!("{name}: {line}"));
                Ok(())
            }
            Err(why) => {
                self.cluster
                    .voice()
                    .say(format!("{name}: could not be restored: {}", crate::error::text(&why)));
                Err(unhealthy)
            }
        }
    }

    async fn unhealthy(&self, name: &UnitName, what: String) -> DeployError {
        let lines = self.cluster.last_lines(name).await;
        let logs = match lines.is_empty() {
            true => "; it printed nothing".to_owned(),
            false => format!("; it printed last:\n  {}", lines.join("\n  ")),
        };
        let what = match self.cluster.last_end(name).await {
            Some(end) => format!("{what}: {end}"),
            None => what,
        };
        DeployError::Unhealthy { unit: name.to_string(), what, logs }
    }

    /// Looks once more whether everything that is up is what was written: the race that Fleet leaves open ends here.
    async fn verify(&self, plan: &Plan, up: &[DeployedUnit]) -> Result<(), DeployError> {
        let units = self.cluster.units().await?;
        for instance in plan
            .instances
            .iter()
            .filter(|instance| up.iter().any(|unit| unit.name == *instance.name()))
        {
            let name = instance.name();
            let unit = units.iter().find(|unit| unit.name == name.as_str());
            refuse_newer(name, unit, self.generation)?;
            // An instance that was left alone keeps the generation that wrote it; its content is what counts.
            if !unit.is_some_and(|unit| {
                generation::same_besides(&unit.options, &instance.wanted.options)
            }) {
                return Err(DeployError::Interfered { unit: name.to_string() });
            }
        }
        Ok(())
    }

    /// Whether an instance is still what this deployment wrote.
    pub(crate) async fn is_ours(&self, name: &UnitName) -> Result<bool, DeployError> {
        let unit = self.cluster.unit(name).await?;
        Ok(unit.and_then(|unit| generation::of(&unit.options)) == Some(self.generation))
    }

    pub(crate) fn watch(&self) -> Watch<'_> {
        Watch {
            cluster: &self.cluster,
            machines: &self.machines,
            health: self.health.as_ref(),
            policy: &self.policy,
        }
    }
}

/// How a unit does now, whatever its definition.
fn standing(states: &[UnitState], name: &str) -> Standing {
    match health::judge(states, name, None) {
        Condition::Active { .. } => Standing::Active,
        Condition::Failed(_) => Standing::Failed,
        Condition::Starting(_) => Standing::Down,
    }
}

fn healthy_line(unit: &DeployedUnit) -> String {
    match &unit.address {
        Some(address) => format!("{}: healthy on {address}", unit.name),
        None => format!("{}: healthy", unit.name),
    }
}

impl Instance {
    /// Whether a client may have been served by what was there before: the next one waits until it is back.
    pub(crate) fn may_have_served(&self) -> bool {
        match &self.earlier {
            Earlier::Definition(unit) => unit.desired_state == Some(UnitDesire::Launched),
            Earlier::Nothing => false,
            Earlier::Unknown => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use crate::testing::{APP, Stage, TestCluster, command, options, running};

    #[tokio::test(start_paused = true)]
    async fn a_first_deployment_starts_its_instances_together() {
        let stage = Stage::new(&TestCluster::of_machines(&["m1"]));
        let begun = Instant::now();
        let mut command = command(&[(APP, "up 3 <%= dst_port %>")], 2, 1);
        let output = stage.deploy(&command).await.expect("a deployment");
        assert_eq!(stage.cluster.deeds(), ["put app@0.service 1", "put app@1.service 1"]);
        let addresses: Vec<_> =
            output.units.iter().filter_map(|unit| unit.address.as_deref()).collect();
        assert_eq!(addresses, ["127.0.0.1:45000", "127.0.0.1:45001"]);
        // They settle together too.
        assert!(begun.elapsed() < Duration::from_millis(1_100), "{:?}", begun.elapsed());
        assert!(stage.heard("app@0.service: healthy on 127.0.0.1:45000"));

        command.generation = 2;
        let again = stage.deploy(&command).await.expect("the same once more");
        assert_eq!(again, output);
        assert_eq!(stage.cluster.deeds().len(), 2, "what runs already is left alone");
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_settling_time_a_deployment_costs_a_few_milliseconds() {
        let stage = Stage::new(&TestCluster::of_machines(&["m1"]));
        let mut command = command(&[(APP, "up 2")], 2, 1);
        command.fleet_config.deploy.as_mut().expect("a policy").settle = Duration::ZERO;
        let begun = Instant::now();
        stage.deploy(&command).await.expect("a deployment");
        assert!(begun.elapsed() < Duration::from_millis(20), "{:?}", begun.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn serving_instances_are_replaced_one_after_the_other() {
        let stage = Stage::new(&running());
        let begun = Instant::now();
        stage.deploy(&command(&[(APP, "up 3 new")], 2, 2)).await.expect("a deployment");
        assert_eq!(stage.cluster.deeds(), ["put app@0.service 2", "put app@1.service 2"]);
        assert_eq!(stage.cluster.most_down(), 1);
        assert!(begun.elapsed() > Duration::from_secs(2), "each of them settles");
    }

    #[tokio::test(start_paused = true)]
    async fn the_quorum_forgives_an_instance_and_puts_the_earlier_one_back() {
        let cluster = running();
        cluster.has("db.service", options("up 0 old", Some(1)));
        let stage = Stage::new(&cluster);
        let mut command = command(&[("db.service", "fails 1"), (APP, "up 1 new")], 2, 2);
        command.fleet_config.deploy.as_mut().expect("a policy").quorum = Some(2);
        let output = stage.deploy(&command).await.expect("two of three are enough");
        assert_eq!(output.units.len(), 2);
        assert_eq!(stage.cluster.generations(), [Some(2), Some(2), Some(1)]);
        assert_eq!(stage.cluster.most_down(), 1);
        assert!(stage.heard("the quorum allows it"));
    }

    #[tokio::test(start_paused = true)]
    async fn an_instance_that_never_comes_up_fails_in_its_time_and_says_what_it_waited_for() {
        let stage = Stage::new(&running());
        let begun = Instant::now();
        let failure =
            stage.deploy(&command(&[(APP, "never")], 2, 2)).await.expect_err("a hanging unit");
        assert!(
            failure.message.contains("is not healthy after 10s: it waits for the state active"),
            "{failure}"
        );
        assert!(begun.elapsed() < Duration::from_secs(12));
        assert!(
            stage.heard("app@0.service: waiting for the state active, it is activating (start)")
        );
    }

    #[tokio::test(start_paused = true)]
    async fn an_instance_that_dies_while_it_settles_stops_the_rollout() {
        let stage = Stage::new(&running());
        let failure =
            stage.deploy(&command(&[(APP, "dies 4")], 2, 2)).await.expect_err("a dying unit");
        assert_eq!(
            stage.cluster.deeds(),
            ["put app@0.service 2", "put app@0.service 1"],
            "{failure}"
        );
        let stage = Stage::new(&running());
        let failure =
            stage.deploy(&command(&[(APP, "ends 4")], 2, 2)).await.expect_err("an ending unit");
        assert!(failure.message.contains("app@0.service ended by itself"), "{failure}");
    }
}
