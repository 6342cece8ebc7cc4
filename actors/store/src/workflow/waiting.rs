//! How long to wait for a timer.
//!
//! A timer is stored as a time by the clock on the wall, since nothing else outlives a restart. Whoever waits for it
//! does so by a clock that nobody can set, and says so with [`super::Event::WaitedFor`]. So the clock on the wall is read
//! once, when the waiting begins, and a step of it at another time changes nothing. What a step may do to that one
//! reading is bounded here: no wait is longer than a timer of its kind ever is, and after a start nobody is given up
//! before he had the time to speak.

use std::time::Duration;

use super::dispatch::{LONGEST_SILENCE_MS, WORKFLOW_TIME_MS, lost_at};
use super::event::TimerKind;
use super::state::WorkflowState;
use super::step::pause_ms;

/// What an attempt gets at least before it counts as lost, counted from when somebody began to wait.
const LEAST_PATIENCE_MS: i64 = 60_000;

impl WorkflowState {
    /// How long to wait for a timer that stands at `due_at_ms`, if it is `now_ms` by the clock on the wall.
    ///
    /// `None` for a time that was promised by that clock: it may be set, so it has to be asked again and again.
    #[must_use]
    pub fn wait_for(&self, kind: TimerKind, due_at_ms: i64, now_ms: i64) -> Option<Duration> {
        let (least_ms, most_ms) = match kind {
            TimerKind::Start => return None,
            TimerKind::Retry => (0, pause_ms(self.current().map_or(1, |step| step.attempts))),
            TimerKind::Deadline => (0, WORKFLOW_TIME_MS),
            TimerKind::Lost => (LEAST_PATIENCE_MS, self.longest_silence_ms()),
        };
        let wait_ms = due_at_ms.saturating_sub(now_ms).clamp(least_ms, most_ms);
        Some(Duration::from_millis(wait_ms.unsigned_abs()))
    }

    fn longest_silence_ms(&self) -> i64 {
        self.current()
            .map_or(LONGEST_SILENCE_MS, |step| lost_at(step.milestone, 0).max(LONGEST_SILENCE_MS))
    }
}
