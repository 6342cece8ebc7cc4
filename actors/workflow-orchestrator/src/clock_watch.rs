//! Notices when the clock on the wall is set, and says so once: in the log, and as a system event.
//!
//! Nothing here depends on it: whoever measures a time does so by a clock that nobody can set. It is said since times
//! in events, logs and lists jump with the clock, and since a start time that was promised by it may come sooner or later.

use std::time::{Duration, Instant};

use oa_runtime::{Actor, Context, Failure, Handler, Message};
use oa_store::{NewSystemEvent, Store};

/// How often the two clocks are compared.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A difference below this is drift and the clock's own correction.
const STEP_MS: i64 = 2_000;

/// Compares the clock on the wall with one that nobody can set.
pub(crate) struct ClockWatch {
    store: Store,
    last: Reading,
    /// An event that the database has not taken yet.
    unsaid: Option<NewSystemEvent>,
}

/// Both clocks at one moment.
#[derive(Debug, Clone, Copy)]
struct Reading {
    wall_ms: i64,
    steady: Instant,
}

impl Reading {
    /// How far the clock on the wall was set between this reading and `next`; `None` if it was not.
    fn step_until(self, next: Self) -> Option<i64> {
        let passed = next.steady.saturating_duration_since(self.steady);
        let passed_ms = i64::try_from(passed.as_millis()).unwrap_or(i64::MAX);
        let step_ms = next.wall_ms.saturating_sub(self.wall_ms).saturating_sub(passed_ms);
        (step_ms.abs() >= STEP_MS).then_some(step_ms)
    }
}

/// Time to compare.
#[derive(Clone)]
struct Look;

impl Message for Look {
    type Reply = ();
}

impl Actor for ClockWatch {
    const KIND: &'static str = "clock_watch";
    type Args = Store;

    async fn init(store: &Store, ctx: &mut Context<Self>) -> Result<Self, Failure> {
        ctx.notify_every(LOOK_EVERY, Look);
        let last = Self::read(store);
        Ok(Self { store: store.clone(), last, unsaid: None })
    }
}

impl Handler<Look> for ClockWatch {
    async fn handle(&mut self, _: Look, _ctx: &mut Context<Self>) -> Result<(), Failure> {
        let now = Self::read(&self.store);
        if let Some(step_ms) = self.last.step_until(now) {
            let message = describe(step_ms);
            tracing::warn!(step_ms, "{message}");
            self.unsaid = Some(NewSystemEvent {
                kind: "clock_step".to_owned(),
                severity: "warning".to_owned(),
                message: Some(message),
                data: Some(serde_json::json!({ "step_ms": step_ms })),
                unique: false,
            });
        }
        self.last = now;
        if let Some(event) = self.unsaid.clone() {
            match self.store.system_events().create(event).await {
                Err(cause) if cause.is_retryable() => {}
                Ok(_) => self.unsaid = None,
                Err(cause) => {
                    tracing::warn!("the step of the clock is no system event: {cause}");
                    self.unsaid = None;
                }
            }
        }
        Ok(())
    }
}

impl ClockWatch {
    fn read(store: &Store) -> Reading {
        Reading { wall_ms: store.clock().now_ms(), steady: Instant::now() }
    }
}

fn describe(step_ms: i64) -> String {
    let direction = if step_ms > 0 { "forward" } else { "back" };
    // The two clocks are not read in the same instant.
    let whole_seconds_ms = step_ms.saturating_abs().saturating_add(500) / 1000 * 1000;
    let size = oa_store::workflow::duration_text(whole_seconds_ms);
    format!(
        "the clock of this machine was set {direction} by {size}; nothing is late or early for it"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_told_from_the_passing_of_time_and_from_drift() {
        let steady = Instant::now();
        let first = Reading { wall_ms: 1_000_000, steady };
        let later = |wall_ms| Reading { wall_ms, steady: steady + Duration::from_secs(1) };
        assert_eq!(first.step_until(later(1_001_000)), None);
        assert_eq!(first.step_until(later(1_002_900)), None, "drift");
        assert_eq!(first.step_until(later(1_001_000 + 7_200_000)), Some(7_200_000));
        assert_eq!(first.step_until(later(1_001_000 - 7_200_000)), Some(-7_200_000));
        for step_ms in [-7_200_000, -7_199_998] {
            assert!(describe(step_ms).contains("back by 2 h 0 min"), "{}", describe(step_ms));
        }
    }
}
