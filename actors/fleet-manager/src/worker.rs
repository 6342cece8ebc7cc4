//! Answers one question at a time.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use oa_fleet::{Engine, EngineError, Engines, LogQuery};
use oa_protocol::fleet_manager::{
    ListMachines, ListUnitStates, ListUnits, RestartUnit, ShowUnitCondition, UnitLogs,
};
use oa_protocol::unit::{LogPage, Machine, Unit, UnitCondition, UnitState};
use oa_protocol::{EtcdToken, Refusal};
use oa_runtime::{Actor, Context, Failure, Handler};

use crate::refusal;
use crate::slots::Slots;

/// Time for one call to an engine: shorter than the patience of a REST client.
const CALL_WITHIN: Duration = Duration::from_secs(25);

/// Answers one question at a time; several of them share the mailbox.
pub(crate) struct Worker {
    engines: Engines,
    slots: Slots,
}

#[derive(Clone)]
pub(crate) struct WorkerArgs {
    pub(crate) engines: Engines,
    pub(crate) slots: Slots,
}

impl Actor for Worker {
    const KIND: &'static str = "fleet_manager_worker";
    type Args = WorkerArgs;

    async fn init(args: &WorkerArgs, _ctx: &mut Context<Self>) -> Result<Self, Failure> {
        Ok(Self { engines: args.engines.clone(), slots: args.slots.clone() })
    }
}

impl Worker {
    /// Asks the engine of `token`; gives up after `within`.
    async fn ask<T, F>(
        &self,
        token: &EtcdToken,
        within: Duration,
        question: impl FnOnce(Arc<dyn Engine>) -> F,
    ) -> Result<T, Refusal>
    where
        F: Future<Output = Result<T, EngineError>>,
    {
        let engine = self
            .engines
            .get(token)
            .ok_or_else(|| refusal::unknown_cluster(token, &self.engines))?;
        let _place = self.slots.ask(token).ok_or_else(|| refusal::busy(token))?;
        oa_crash_points::crash_point!(FleetManagerAsked);
        let answer = tokio::time::timeout(within, question(engine)).await;
        oa_crash_points::crash_point!(FleetManagerAnswered);
        match answer {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => {
                tracing::debug!(cluster = %token, %error, "an engine gave no answer");
                Err(refusal::from_engine(&error))
            }
            Err(_) => Err(refusal::silent(token, within)),
        }
    }
}

impl Handler<ListMachines> for Worker {
    async fn handle(
        &mut self,
        asked: ListMachines,
        _ctx: &mut Context<Self>,
    ) -> Result<Result<Vec<Machine>, Refusal>, Failure> {
        Ok(self.ask(&asked.etcd_token, CALL_WITHIN, async |engine| engine.machines().await).await)
    }
}

impl Handler<ListUnits> for Worker {
    async fn handle(
        &mut self,
        asked: ListUnits,
        _ctx: &mut Context<Self>,
    ) -> Result<Result<Vec<Unit>, Refusal>, Failure> {
        Ok(self.ask(&asked.etcd_token, CALL_WITHIN, async |engine| engine.units().await).await)
    }
}

impl Handler<ListUnitStates> for Worker {
    async fn handle(
        &mut self,
        asked: ListUnitStates,
        _ctx: &mut Context<Self>,
    ) -> Result<Result<Vec<UnitState>, Refusal>, Failure> {
        Ok(self.ask(&asked.etcd_token, CALL_WITHIN, async |engine| engine.states().await).await)
    }
}

impl Handler<UnitLogs> for Worker {
    async fn handle(
        &mut self,
        asked: UnitLogs,
        _ctx: &mut Context<Self>,
    ) -> Result<Result<LogPage, Refusal>, Failure> {
        let (wait, _place) = self.slots.wait(Duration::from_millis(asked.wait_ms.into()));
        let query = LogQuery { after: asked.after, lines: asked.lines, wait };
        let name = &asked.unit_name;
        Ok(self
            .ask(&asked.etcd_token, CALL_WITHIN, async |engine| engine.logs(name, query).await)
            .await)
    }
}

impl Handler<RestartUnit> for Worker {
    async fn handle(
        &mut self,
        asked: RestartUnit,
        _ctx: &mut Context<Self>,
    ) -> Result<Result<(), Refusal>, Failure> {
        let name = &asked.unit_name;
        Ok(self
            .ask(&asked.etcd_token, CALL_WITHIN, async |engine| engine.restart(name).await)
            .await)
    }
}

impl Handler<ShowUnitCondition> for Worker {
    async fn handle(
        &mut self,
        asked: ShowUnitCondition,
        _ctx: &mut Context<Self>,
    ) -> Result<Result<Option<UnitCondition>, Refusal>, Failure> {
        let name = &asked.unit_name;
        Ok(self
            .ask(&asked.etcd_token, CALL_WITHIN, async |engine| engine.condition(name).await)
            .await)
    }
}
