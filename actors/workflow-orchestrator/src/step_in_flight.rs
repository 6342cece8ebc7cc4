//! Stands for the step of a workflow that a worker has in hand.
//!
//! The work itself is done by the worker, from its own journal; this child makes it visible in the tree, and says so in
//! the log when no worker takes the step.

use std::time::Duration;

use oa_protocol::step::StepKey;
use oa_runtime::{Actor, Context, Failure, Handler, Message};

/// How long a command may lie in a mailbox before the log says so.
const TAKEN_WITHIN: Duration = Duration::from_secs(30);

/// The step in flight.
pub(crate) struct StepInFlight {
    args: StepInFlightArgs,
    accepted: bool,
}

/// What a restart begins from.
#[derive(Debug, Clone)]
pub(crate) struct StepInFlightArgs {
    pub(crate) step: StepKey,
    pub(crate) milestone: String,
    pub(crate) mailbox: String,
    pub(crate) accepted: bool,
}

impl Actor for StepInFlight {
    const KIND: &'static str = "step";
    type Args = StepInFlightArgs;

    async fn init(args: &StepInFlightArgs, ctx: &mut Context<Self>) -> Result<Self, Failure> {
        if !args.accepted {
            ctx.notify_after(TAKEN_WITHIN, NotTaken);
        }
        Ok(Self { args: args.clone(), accepted: args.accepted })
    }
}

/// A worker has the command.
pub(crate) struct Accepted;

impl Message for Accepted {
    type Reply = ();
}

impl Handler<Accepted> for StepInFlight {
    async fn handle(&mut self, _: Accepted, _: &mut Context<Self>) -> Result<(), Failure> {
        self.accepted = true;
        Ok(())
    }
}

/// Time is up for a worker to take the command.
struct NotTaken;

impl Message for NotTaken {
    type Reply = ();
}

impl Handler<NotTaken> for StepInFlight {
    async fn handle(&mut self, _: NotTaken, ctx: &mut Context<Self>) -> Result<(), Failure> {
        if !self.accepted {
            tracing::warn!(
                workflow = %self.args.step.workflow_id,
                milestone = %self.args.milestone,
                attempt = self.args.step.attempt_no,
                "no worker has taken the step within {TAKEN_WITHIN:?}; is a component serving the mailbox `{}`?",
                self.args.mailbox,
            );
            ctx.notify_after(TAKEN_WITHIN * 10, NotTaken);
        }
        Ok(())
    }
}
