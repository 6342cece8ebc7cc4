//! What runs units on the machines of a cluster.

use std::time::Duration;

use async_trait::async_trait;
use oa_protocol::UnitName;
use oa_protocol::metering::IntervalPage;
use oa_protocol::unit::{LogPage, Machine, Unit, UnitCondition, UnitDesire, UnitOption, UnitState};

use crate::error::EngineError;

/// Which part of a unit's output is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LogQuery {
    /// Only what came after this place, from an earlier [`LogPage::next`].
    pub after: Option<u64>,
    /// At most so many of the last lines, if `after` is absent. Default: 100.
    pub lines: Option<u32>,
    /// How long to wait for something new when there is nothing yet. Default: not at all.
    pub wait: Duration,
}

/// Runs units on the machines of one cluster.
///
/// Every call has a deadline of its own and fails with an [`EngineError`] that says whether the same call may succeed
/// later. "None" and "unknown" are told apart: a listing that could not be had is an error, never an empty list.
#[async_trait]
pub trait Engine: Send + Sync + 'static {
    /// The machines of the cluster.
    async fn machines(&self) -> Result<Vec<Machine>, EngineError>;

    /// Every unit that the cluster knows.
    async fn units(&self) -> Result<Vec<Unit>, EngineError>;

    /// One unit; `None` if the cluster does not know it.
    async fn unit(&self, name: &UnitName) -> Result<Option<Unit>, EngineError>;

    /// How the units do, an entry per unit and machine.
    async fn states(&self) -> Result<Vec<UnitState>, EngineError>;

    /// How one unit does, an entry per machine; empty if it is on none.
    async fn state(&self, name: &UnitName) -> Result<Vec<UnitState>, EngineError> {
        Ok(self.states().await?.into_iter().filter(|state| state.name == name.as_str()).collect())
    }

    /// Makes a unit, or replaces one whose options differ, and asks for a state.
    async fn put(
        &self,
        name: &UnitName,
        options: &[UnitOption],
        desired: UnitDesire,
    ) -> Result<(), EngineError>;

    /// Asks for another state of a unit that is there.
    async fn set_desire(&self, name: &UnitName, desired: UnitDesire) -> Result<(), EngineError>;

    /// Stops and removes a unit; `false` if it was not there.
    async fn remove(&self, name: &UnitName) -> Result<bool, EngineError>;

    /// What a unit printed; also for a while after it is gone.
    async fn logs(&self, name: &UnitName, query: LogQuery) -> Result<LogPage, EngineError>;

    /// How one unit does, in more words than its state has; `None` if this engine knows no more than that.
    async fn condition(&self, _name: &UnitName) -> Result<Option<UnitCondition>, EngineError> {
        Ok(None)
    }

    /// Stops a unit and starts it again.
    async fn restart(&self, name: &UnitName) -> Result<(), EngineError>;

    /// When units ran: at most `limit` records after the place `after`, waited for up to `wait`. To ask so says that those
    /// before are stored for good. `None`: this engine keeps no records.
    async fn intervals(
        &self,
        _after: Option<&str>,
        _limit: u32,
        _wait: Duration,
    ) -> Result<Option<IntervalPage>, EngineError> {
        Ok(None)
    }
}
