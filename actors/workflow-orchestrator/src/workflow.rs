//! One open workflow: arms its timers, shows its step in flight, ends with it.

use std::time::Duration;

use oa_protocol::WorkflowId;
use oa_runtime::{Actor, ChildSpec, Context, Failure, Handler, Message, TimerHandle};
use oa_store::workflow::AttemptStatus;
use oa_store::{Applied, Event, Store, TimerKind, WorkflowState};

use crate::step_in_flight::{Accepted, StepInFlight, StepInFlightArgs};
use crate::voice;

/// Pause after a timer that changed nothing.
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// The actor of one open workflow. It holds nothing that the journal does not have.
pub(crate) struct WorkflowActor {
    args: WorkflowArgs,
    timers: Vec<TimerHandle>,
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
        Ok(Self { args: args.clone(), timers: Vec::new(), shown: None })
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
    /// Arms the timers that the journal has, instead of those that it had.
    fn arm(&mut self, state: &WorkflowState, ctx: &mut Context<Self>) {
        for timer in self.timers.drain(..) {
            timer.cancel();
        }
        let now = self.args.store.clock().now_ms();
        for (kind, at) in &state.timers {
            let after = Duration::from_millis(u64::try_from(at - now).unwrap_or(0));
            self.timers.push(ctx.notify_after(after, TimerDue { kind: *kind }));
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
}

impl Message for TimerDue {
    type Reply = ();
}

/// What a timer means is decided by the journal; one that moved meanwhile is ignored there.
impl Handler<TimerDue> for WorkflowActor {
    async fn handle(&mut self, due: TimerDue, ctx: &mut Context<Self>) -> Result<(), Failure> {
        oa_crash_points::crash_point!(OrchestratorTimerDue);
        let applied =
            self.args.store.journal().apply(self.args.id, Event::TimerFired(due.kind)).await?;
        oa_crash_points::crash_point!(OrchestratorTimerApplied);
        if let Applied::Ignored(_) = applied {
            // If the wall clock was set back, the timer is not due yet and must be armed anew.
            ctx.notify_after(LOOK_AGAIN_AFTER, Refresh);
        }
        Ok(())
    }
}
