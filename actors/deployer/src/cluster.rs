//! The cluster that is deployed to: its engine, asked with patience.
//!
//! A call that fails for a passing reason is repeated with growing pauses, until the cluster had [`PATIENCE`], the step
//! is cancelled or its time is over. Every call can be repeated: units are written whole and by name.

use std::fmt::Display;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use oa_fleet::{Engine, EngineError, LogQuery};
use oa_protocol::UnitName;
use oa_protocol::unit::{Machine, Unit, UnitDesire, UnitOption, UnitState};
use tokio::time::Instant;

use crate::error::DeployError;
use crate::voice::Voice;

/// Longest run of one call.
const CALL_LIMIT: Duration = Duration::from_secs(30);
/// How long a call is repeated.
const PATIENCE: Duration = Duration::from_secs(60);
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// Time for what a failure quotes, and would do without.
const COURTESY: Duration = Duration::from_secs(5);
/// Last lines of a unit that a failure quotes, and the length of each.
const LOG_LINES: usize = 10;
const LOG_LINE_CHARS: usize = 300;

/// An engine, the voice that tells of its hiccups, and how long those are borne.
#[derive(Clone)]
pub(crate) struct Cluster {
    engine: Arc<dyn Engine>,
    voice: Voice,
}

impl Cluster {
    pub(crate) fn new(engine: Arc<dyn Engine>, voice: Voice) -> Self {
        Self { engine, voice }
    }

    /// The same cluster for what must be done even when the rollout was cancelled or is out of time.
    pub(crate) fn undisturbed(&self, limit: Duration) -> Self {
        Self { engine: Arc::clone(&self.engine), voice: self.voice.undisturbed(limit) }
    }

    pub(crate) fn voice(&self) -> &Voice {
        &self.voice
    }

    pub(crate) async fn machines(&self) -> Result<Vec<Machine>, DeployError> {
        self.patiently("list its machines", || self.engine.machines()).await
    }

    pub(crate) async fn units(&self) -> Result<Vec<Unit>, DeployError> {
        self.patiently("list its units", || self.engine.units()).await
    }

    pub(crate) async fn states(&self) -> Result<Vec<UnitState>, DeployError> {
        self.patiently("list the states of its units", || self.engine.states()).await
    }

    pub(crate) async fn unit(&self, name: &UnitName) -> Result<Option<Unit>, DeployError> {
        self.patiently(format_args!("show {name}"), || self.engine.unit(name)).await
    }

    pub(crate) async fn put(
        &self,
        name: &UnitName,
        options: &[UnitOption],
        desired: UnitDesire,
    ) -> Result<(), DeployError> {
        self.patiently(format_args!("take {name}"), || self.engine.put(name, options, desired))
            .await
    }

    pub(crate) async fn restart(&self, name: &UnitName) -> Result<(), DeployError> {
        self.patiently(format_args!("restart {name}"), || self.engine.restart(name)).await
    }

    pub(crate) async fn remove(&self, name: &UnitName) -> Result<(), DeployError> {
        self.patiently(format_args!("remove {name}"), || self.engine.remove(name)).await.map(drop)
    }

    /// The last lines that a unit printed, fit to be quoted; empty if they cannot be had.
    pub(crate) async fn last_lines(&self, name: &UnitName) -> Vec<String> {
        let query = LogQuery { after: None, lines: Some(LOG_LINES as u32), wait: Duration::ZERO };
        // What is a courtesy has no patience.
        let page = match tokio::time::timeout(COURTESY, self.engine.logs(name, query)).await {
            Ok(Ok(page)) => page,
            Ok(Err(why)) => {
                tracing::debug!(unit = %name, %why, "the log of a failed unit cannot be read");
                return Vec::new();
            }
            Err(_) => return Vec::new(),
        };
        let lines: Vec<&str> = page.text.lines().collect();
        let last = &lines[lines.len().saturating_sub(LOG_LINES)..];
        last.iter()
            .map(|line| line.chars().filter(|c| !c.is_control()).take(LOG_LINE_CHARS).collect())
            .collect()
    }

    /// How a unit came to its end, in words; nothing if its engine knows no more than its state.
    pub(crate) async fn last_end(&self, name: &UnitName) -> Option<String> {
        let asked = tokio::time::timeout(COURTESY, self.engine.condition(name)).await;
        let condition = asked.ok()?.ok()??;
        let exit = condition.last_exit?;
        Some(match condition.starts {
            0 | 1 => format!("it ended with {exit}"),
            starts => format!("it ended with {exit}, after {starts} starts"),
        })
    }

    async fn patiently<T, F>(
        &self,
        what: impl Display,
        mut call: impl FnMut() -> F,
    ) -> Result<T, DeployError>
    where
        F: Future<Output = Result<T, EngineError>>,
    {
        let begun = Instant::now();
        let mut pause = FIRST_PAUSE;
        loop {
            let failed = match tokio::time::timeout(CALL_LIMIT, call()).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(cause)) => {
                    let retryable = cause.is_retryable();
                    let failed = DeployError::Engine { what: what.to_string(), cause };
                    if !retryable {
                        return Err(failed);
                    }
                    failed
                }
                Err(_) => {
                    DeployError::EngineSilent { what: what.to_string(), waited: begun.elapsed() }
                }
            };
            if begun.elapsed() >= PATIENCE {
                return Err(failed);
            }
            if pause == FIRST_PAUSE {
                self.voice.wait(crate::error::text(&failed), "the cluster to answer");
            }
            self.voice.sleep(pause).await?;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}
