//! One open workflow: arms its timers, shows its step in flight, ends with it.

use std::collections::BTreeMap;
use std::time::Duration;

use oa_protocol::WorkflowId;
use oa_runtime::{Actor, ChildSpec, Context, Failure, Handler, Message, TimerHandle};
use oa_store::workflow::AttemptStatus;
use oa_store::{Applied, Event, JournalError, Store, TimerKind, WorkflowState};

use crate::step_in_flight::{Accepted, StepInFlight, StepInFlightArgs};
use crate::voice;

/// Pause after a timer that changed nothing, or that the database did not take.
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(1);
/// How often the clock on the wall is asked whether a promised start time has come: it may be set meanwhile.
const ASK_WALL_CLOCK_EVERY: Duration = Duration::from_secs(5);

/// The actor of one open workflow. It holds nothing that the journal does not have.
pub(crate) struct WorkflowActor {
    args: WorkflowArgs,
    /// The timers that are waited for. One that stands where it stood is left alone, so that the time that has been
    /// waited for counts, whatever happens to the clock on the wall.
    timers: BTreeMap<(TimerKind, i64), TimerHandle>,
    /// Name of the child that is up.
    shown: Option<String>,
}

/// What a restart begins from.
#[derive(Clone)]
pub(crate) struct WorkflowArgs {
    pub(crate) id: WorkflowId,
    pub(crate) store: Store,
}

impl Actor for WorkflowActor {
    const KIND: &'static str = "workflow";
    type Args = WorkflowArgs;

    async fn init(args: &WorkflowArgs, ctx: &mut Context<Self>) -> Result<Self, Failure> {
        ctx.notify_after(Duration::ZERO, Refresh);
        Ok(Self { args: args.clone(), timers: BTreeMap::new(), shown: None })
    }
}

/// Look at the journal.
#[derive(Clone)]
pub(crate) struct Refresh;

impl Message for Refresh {
    type Reply = ();
}

impl Handler<Refresh> for WorkflowActor {
    async fn handle(&mut self, _: Refresh, ctx: &mut Context<Self>) -> Result<(), Failure> {
        match self.args.store.journal().load(self.args.id).await? {
            Some(state) if !state.status.is_finished() => {
                self.arm(&state, ctx);
                self.show(&state, ctx);
            }
            ended => {
                if let Some(state) = ended {
                    voice::ended(&state);
                }
                ctx.stop();
            }
        }
        Ok(())
    }
}

impl WorkflowActor {
    /// Arms the timers that the journal has, and takes back those that it has no longer.
    fn arm(&mut self, state: &WorkflowState, ctx: &mut Context<Self>) {
        self.timers.retain(|(kind, due_at_ms), timer| {
            let stands = state.timers.get(kind) == Some(due_at_ms);
            if !stands {
                timer.cancel();
            }
            stands
        });
        let now_ms = self.args.store.clock().now_ms();
        for (&kind, &due_at_ms) in &state.timers {
            let due = TimerDue { kind, due_at_ms };
            self.timers.entry((kind, due_at_ms)).or_insert_with(|| {
                let wait = state.wait_for(kind, due_at_ms, now_ms);
                ctx.notify_after(wait.unwrap_or_else(|| until_asked(due_at_ms, now_ms)), due)
            });
        }
    }

    /// Has one child for the attempt in flight.
    fn show(&mut self, state: &WorkflowState, ctx: &mut Context<Self>) {
        let in_flight = state.live.as_ref().zip(state.current());
        // A name of its own for each attempt: the last one's child may still be ending.
        let name = in_flight
            .map(|(attempt, step)| format!("{}-{}.{}", step.milestone, attempt.seq, attempt.no));
        if self.shown != name
            && let Some(gone) = self.shown.take()
        {
            ctx.stop_child(&gone);
        }
        let (Some((attempt, step)), Some(name)) = (in_flight, name) else { return };
        let accepted = attempt.status == AttemptStatus::Accepted;
        if let Some(child) = ctx.child::<StepInFlight>(&name) {
            if accepted {
                let _ends_anyway = child.tell(Accepted);
            }
            return;
        }
        let args = StepInFlightArgs {
            step: attempt.key(state.id),
            milestone: step.milestone.to_string(),
            mailbox: attempt.to.to_string(),
            accepted,
        };
        match ctx.spawn_child::<StepInFlight>(ChildSpec::new(args).name(name.clone())) {
            Ok(_) => {
                voice::step_begins(state, step, attempt);
                self.shown = Some(name);
            }
            Err(why) => {
                tracing::debug!(workflow = %state.id, "the step in flight is not shown yet: {why}")
            }
        }
    }
}

/// A timer of the workflow is due.
struct TimerDue {
    kind: TimerKind,
    /// Where it stood when the waiting began.
    due_at_ms: i64,
}

impl Message for TimerDue {
    type Reply = ();
}

/// What a timer means is decided by the journal; one that moved meanwhile is ignored there.
impl Handler<TimerDue> for WorkflowActor {
    async fn handle(&mut self, due: TimerDue, ctx: &mut Context<Self>) -> Result<(), Failure> {
        oa_crash_points::crash_point!(OrchestratorTimerDue);
        let TimerDue { kind, due_at_ms } = due;
        let now_ms = self.args.store.clock().now_ms();
        if kind == TimerKind::Start && now_ms < due_at_ms {
            let again = ctx.notify_after(until_asked(due_at_ms, now_ms), due);
            self.timers.insert((kind, due_at_ms), again);
            return Ok(());
        }
        // From here on it is waited for no longer, so that the next look arms it anew if it still stands.
        self.timers.remove(&(kind, due_at_ms));
        let event = match kind {
            TimerKind::Start => Event::TimerFired(kind),
            _ => Event::WaitedFor { kind, due_at_ms },
        };
        let applied = self.args.store.journal().apply(self.args.id, event).await;
        oa_crash_points::crash_point!(OrchestratorTimerApplied);
        if !matches!(applied, Ok(Applied::Changed { .. })) {
            ctx.notify_after(LOOK_AGAIN_AFTER, Refresh);
        }
        applied.map(drop).map_err(JournalError::into_failure)
    }
}

/// When to ask the clock on the wall whether `due_at_ms` has come.
fn until_asked(due_at_ms: i64, now_ms: i64) -> Duration {
    let rest_ms = u64::try_from(due_at_ms.saturating_sub(now_ms)).unwrap_or(0);
    Duration::from_millis(rest_ms).min(ASK_WALL_CLOCK_EVERY)
}
