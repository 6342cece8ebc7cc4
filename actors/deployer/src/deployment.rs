//! One `deploy` step from its command to its answer.
//!
//! ```text
//! machines ─► blueprints ─► ports ─► plan ─► earlier definitions noted ─► rollout ─► surplus removed ─► answer
//!                                                                           │ fails
//!                                                                           └─► earlier definitions restored
//! ```
//!
//! Running it again after a crash is safe: ports, units and the note are found again by their names, and an instance
//! that was written already is only waited for.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use oa_fleet::Engine;
use oa_protocol::UnitName;
use oa_protocol::deploy::{DeployCommand, DeployOutput};
use oa_protocol::manager::ReservedPort;
use oa_protocol::step::StepFailure;

use crate::blueprint::{Blueprint, Wanted, blueprints};
use crate::cluster::Cluster;
use crate::error::DeployError;
use crate::generation::Stamp;
use crate::plan::{Plan, Snapshot};
use crate::rollout::Rollout;
use crate::voice::Voice;

/// Time for restoring, and for removing what is surplus.
const AFTERMATH: Duration = Duration::from_secs(600);

/// What a deployment needs besides the cluster.
pub(crate) trait Desk {
    /// One port for each of `units`, the same ones when asked again.
    fn reserve_ports(
        &self,
        units: &[UnitName],
        voice: &Voice,
    ) -> impl Future<Output = Result<Vec<ReservedPort>, DeployError>>;

    /// Frees the ports of instances that are gone; a failure costs a port number, so it stops nothing.
    fn release_ports(&self, units: &[UnitName]) -> impl Future<Output = ()>;

    /// What the cluster had before this step, from an earlier run.
    fn recall(&self) -> impl Future<Output = Result<Snapshot, DeployError>>;

    /// Notes what the cluster had before this step; it is durable when the future ends.
    fn note(&self, snapshot: &Snapshot) -> impl Future<Output = Result<(), DeployError>>;
}

/// Carries `command` out.
///
/// # Errors
///
/// Why it did not succeed, for the workflow; the earlier definitions are back as far as they could be.
pub(crate) async fn deploy(
    command: &DeployCommand,
    engine: Arc<dyn Engine>,
    desk: &impl Desk,
    voice: Voice,
) -> Result<DeployOutput, StepFailure> {
    let plain = |error: DeployError| error.into_failure(&[]);
    let (rollout, plan) = prepare(command, engine, desk, voice).await.map_err(plain)?;
    rollout.cluster.voice().say(headline(command, &plan));
    let afterwards = rollout.undisturbed(AFTERMATH);
    match rollout.apply(&plan).await {
        Ok(mut units) => {
            remove_surplus(&afterwards, &plan, desk).await.map_err(plain)?;
            units.sort_by_key(|unit| plan.position(&unit.name));
            Ok(DeployOutput { units })
        }
        Err(why) if why.leaves_cluster_alone() => Err(plain(why)),
        Err(why) => {
            let voice = rollout.cluster.voice();
            voice.wait(
                format!("{}; restoring the earlier definitions", why.headline()),
                "the earlier definitions",
            );
            oa_crash_points::crash_point!(DeployerBeforeRestore);
            let restored = afterwards.restore(&plan).await;
            oa_crash_points::crash_point!(DeployerRestored);
            desk.release_ports(&restored.removed).await;
            Err(why.into_failure(&restored.lines))
        }
    }
}

async fn prepare(
    command: &DeployCommand,
    engine: Arc<dyn Engine>,
    desk: &impl Desk,
    voice: Voice,
) -> Result<(Rollout, Plan), DeployError> {
    let cluster = Cluster::new(engine, voice);
    // The note needs a flush of the disk; meanwhile the cluster can be asked.
    let (machines, snapshot) = tokio::try_join!(cluster.machines(), desk.recall())?;
    let config = &command.fleet_config;
    let drawn = blueprints(&command.units, config, machines.len())?;
    let wanted = fill(&drawn, &Stamp::of(command), desk, cluster.voice()).await?;
    oa_crash_points::crash_point!(DeployerPortsKnown);
    let rollout = Rollout {
        cluster,
        machines,
        health: config.health.clone(),
        policy: config.deploy.clone().unwrap_or_default(),
        generation: command.generation,
    };
    let found = rollout.find(&wanted).await?;
    let plan = Plan::new(
        wanted,
        &command.units,
        rollout.policy.quorum,
        command.generation,
        &found,
        &snapshot,
    )?;
    oa_crash_points::crash_point!(DeployerPlanned);
    let noted = plan.snapshot();
    if noted != snapshot {
        desk.note(&noted).await?;
    }
    oa_crash_points::crash_point!(DeployerNoted);
    Ok((rollout, plan))
}

async fn fill(
    drawn: &[Blueprint],
    stamp: &Stamp,
    desk: &impl Desk,
    voice: &Voice,
) -> Result<Vec<Wanted>, DeployError> {
    let need_port: Vec<UnitName> = drawn
        .iter()
        .filter(|blueprint| blueprint.uses_port)
        .map(|blueprint| blueprint.name.clone())
        .collect();
    let ports = match need_port.is_empty() {
        true => Vec::new(),
        false => desk.reserve_ports(&need_port, voice).await?,
    };
    let port_of = |name: &UnitName| {
        ports.iter().find(|reserved| reserved.unit == *name).map(|reserved| reserved.port)
    };
    drawn
        .iter()
        .map(|blueprint| {
            let port = port_of(&blueprint.name);
            if blueprint.uses_port && port.is_none() {
                return Err(DeployError::PortMissing { unit: blueprint.name.to_string() });
            }
            blueprint.fill(port, stamp)
        })
        .collect()
}

async fn remove_surplus(
    rollout: &Rollout,
    plan: &Plan,
    desk: &impl Desk,
) -> Result<(), DeployError> {
    for name in &plan.surplus {
        crate::plan::refuse_newer(
            name,
            rollout.cluster.unit(name).await?.as_ref(),
            rollout.generation,
        )?;
        rollout.remove(name).await?;
        desk.release_ports(std::slice::from_ref(name)).await;
        rollout.cluster.voice().say(format!("{name}: removed, it is surplus"));
    }
    Ok(())
}

fn headline(command: &DeployCommand, plan: &Plan) -> String {
    let (count, idle, serving) = (plan.instances.len(), plan.idle().len(), plan.serving().count());
    format!(
        "deploying generation {} to {}: {count} {}, {idle} to start, {serving} to replace, {} to remove",
        command.generation,
        command.etcd_token,
        if count == 1 { "instance" } else { "instances" },
        plan.surplus.len(),
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{APP, Stage, TestCluster, command, options, running};
    use oa_protocol::unit::Unit;

    #[tokio::test(start_paused = true)]
    async fn a_newer_deployment_that_comes_in_between_keeps_what_it_wrote() {
        let cluster = running();
        cluster.on_put(|name| {
            (name == "app@0.service").then(|| Unit::new(name, options("up 0 newer", Some(9))))
        });
        let stage = Stage::new(&cluster);
        let mut command = command(&[(APP, "up 0 new")], 2, 2);
        command.fleet_config.deploy.as_mut().expect("a policy").healthy_within =
            Duration::from_secs(1);
        let failure = stage.deploy(&command).await.expect_err("superseded");
        assert_eq!(stage.cluster.generations(), [Some(9), Some(1)], "{failure}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_definition_that_somebody_else_changed_is_reported() {
        let cluster = running();
        let mut puts = 0;
        cluster.on_put(move |name| {
            puts += 1;
            // The first one is overwritten while the second one is put.
            (puts == 2).then(|| Unit::new(name, options("up 0 newer", Some(9))))
        });
        let stage = Stage::new(&cluster);
        let failure =
            stage.deploy(&command(&[(APP, "up 0 new")], 2, 2)).await.expect_err("interfered");
        assert!(!failure.retryable, "{failure}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_cluster_that_hiccups_is_asked_again() {
        let stage = Stage::new(&running());
        stage.cluster.hiccups(4);
        stage.deploy(&command(&[(APP, "up 1 new")], 2, 2)).await.expect("a deployment");
        assert!(stage.heard("busy"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_cluster_that_does_not_answer_is_a_failure_that_may_pass() {
        let stage = Stage::new(&running());
        stage.cluster.hiccups(u32::MAX);
        let failure =
            stage.deploy(&command(&[(APP, "up 1 new")], 2, 2)).await.expect_err("no answer");
        assert!(failure.retryable && failure.message.contains("busy"), "{failure}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_deployment_that_was_interrupted_goes_on_and_writes_nothing_twice() {
        let stage = Stage::new(&running());
        let command = command(&[(APP, "up 5 new")], 2, 2);
        // The node ends while the first instance settles.
        let interrupted =
            tokio::time::timeout(Duration::from_millis(500), stage.deploy(&command)).await;
        assert!(interrupted.is_err());
        stage.deploy(&command).await.expect("the rest of it");
        assert_eq!(stage.cluster.deeds(), ["put app@0.service 2", "put app@1.service 2"]);
        assert_eq!(stage.cluster.most_down(), 1);
    }

    fn behaviour() -> impl Strategy<Value = &'static str> {
        prop_oneof![
            4 => Just("up 0"),
            4 => Just("up 3"),
            2 => Just("up 30"),
            1 => Just("fails 2"),
            1 => Just("never"),
            1 => Just("dies 5"),
        ]
    }

    fn before() -> impl Strategy<Value = Option<&'static str>> {
        prop_oneof![6 => Just(Some("up 0 old")), 1 => Just(Some("fails 0 old")), 1 => Just(None)]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

        /// Whatever the units do, and wherever a run is interrupted or cancelled.
        #[test]
        fn at_no_point_is_more_than_one_of_the_earlier_healthy_instances_down(
            before in prop::collection::vec(before(), 1..5),
            behaviours in prop::collection::vec(behaviour(), 1..4),
            quorum in prop::option::of(1_u32..4),
            interrupted_after_ms in prop::option::of(0_u64..20_000),
            cancelled_after_ms in prop::option::of(0_u64..20_000),
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .start_paused(true)
                .build()
                .expect("a runtime");
            runtime.block_on(async {
                let cluster = TestCluster::of_machines(&["m1"]);
                for (index, exec) in before.iter().enumerate().filter_map(|(index, exec)| exec.map(|exec| (index, exec))) {
                    cluster.has(&format!("u{index}.service"), options(exec, Some(1)));
                }
                let stage = Stage::new(&cluster);
                let names: Vec<String> = (0..behaviours.len()).map(|index| format!("u{index}.service")).collect();
                let units: Vec<(&str, &str)> =
                    names.iter().map(String::as_str).zip(behaviours.iter().copied()).collect();
                let mut command = command(&units, 1, 2);
                let all = u32::try_from(units.len()).expect("a few");
                command.fleet_config.deploy.as_mut().expect("a policy").quorum = quorum.map(|quorum| quorum.min(all));
                if let Some(after) = interrupted_after_ms {
                    let _ = tokio::time::timeout(Duration::from_millis(after), stage.deploy(&command)).await;
                }
                let cancel = stage.cancel.clone();
                if let Some(after) = cancelled_after_ms {
                    tokio::spawn(async move {
                        tokio::time::sleep(Duration::from_millis(after)).await;
                        cancel.send_replace(Some("enough".into()));
                    });
                }
                let _ = stage.deploy(&command).await;
                prop_assert!(cluster.most_down() <= 1, "{} were down: {:?}", cluster.most_down(), cluster.deeds());
                Ok(())
            })?;
        }
    }
}
