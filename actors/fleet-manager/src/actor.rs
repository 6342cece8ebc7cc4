//! Keeps the workers running and says that they do.

use std::time::Duration;

use oa_fleet::Engines;
use oa_protocol::fleet_manager::{
    ListMachines, ListUnitStates, ListUnits, RestartUnit, ShowUnitCondition, UnitLogs,
};
use oa_protocol::{Registration, mailbox};
use oa_runtime::{Actor, Backoff, ChildSpec, Context, Failure, Mailbox, PostOffice, Subscription};

use crate::collector::Collector;
use crate::config::FleetManagerConfig;
use crate::slots::Slots;
use crate::worker::{Worker, WorkerArgs};

/// What Management calls this component.
const MODULE: &str = "fleet_manager";
/// Time that questions in hand have at an orderly stop.
const CLOSE_WITHIN: Duration = Duration::from_millis(500);
const WORKER_DRAIN: Duration = Duration::from_millis(50);

/// What a [`FleetManager`] begins from.
#[derive(Clone)]
pub struct FleetManagerArgs {
    /// The clusters that it answers for.
    pub engines: Engines,
    /// Where its mailbox is.
    pub post_office: PostOffice,
    /// How many questions are answered at once.
    pub config: FleetManagerConfig,
}

/// Keeps the workers of the `fleet_manager` mailbox running.
pub struct FleetManager {
    registration: Registration,
    consumers: Vec<Subscription>,
}

impl Actor for FleetManager {
    const KIND: &'static str = "fleet_manager";
    type Args = FleetManagerArgs;

    async fn init(args: &FleetManagerArgs, ctx: &mut Context<Self>) -> Result<Self, Failure> {
        let post_office = args.post_office.clone();
        let slots = Slots::new(&args.config, args.engines.tokens());
        let mut consumers = Vec::new();
        for number in 0..args.config.workers.max(1) {
            let worker = WorkerArgs { engines: args.engines.clone(), slots: slots.clone() };
            let worker = ctx.spawn_child::<Worker>(
                // What is in hand had its time when the consumers were closed.
                ChildSpec::new(worker).name(format!("worker-{number}")).drain(WORKER_DRAIN),
            )?;
            let mailbox = Mailbox::new(post_office.address(mailbox::FLEET_MANAGER))
                .accept::<ListMachines, _>(&worker)
                .accept::<ListUnits, _>(&worker)
                .accept::<ListUnitStates, _>(&worker)
                .accept::<UnitLogs, _>(&worker)
                .accept::<ShowUnitCondition, _>(&worker)
                .accept::<RestartUnit, _>(&worker)
                .window(1);
            consumers.push(post_office.serve(mailbox).await?);
        }
        for token in args.engines.tokens() {
            if let Some(engine) = args.engines.get(token) {
                ctx.spawn_task(Collector::new(token.clone(), engine, &post_office).run());
            }
        }
        let registration = Registration::new(&post_office, MODULE);
        ctx.spawn_task(registration.clone().keep());
        Ok(Self { registration, consumers })
    }

    async fn stopping(&mut self, _ctx: &mut Context<Self>) {
        self.registration.end().await;
        // Quick answers still get out; who waits for a log line will ask again.
        let until = tokio::time::Instant::now() + CLOSE_WITHIN;
        for consumer in self.consumers.drain(..) {
            consumer
                .close_within(until.saturating_duration_since(tokio::time::Instant::now()))
                .await;
        }
    }
}

/// A permanent component whose workers may fail often before it does.
pub fn child_spec(args: FleetManagerArgs) -> ChildSpec<FleetManager> {
    ChildSpec::new(args)
        .intensity(50, Duration::from_secs(60))
        .backoff(Backoff::doubling(Duration::from_millis(100), Duration::from_secs(10)))
        .drain(Duration::from_secs(5))
}
