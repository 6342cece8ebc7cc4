//! Follows a workflow until it ends.
//!
//! A long poll for events says that something happened; the workflow itself is then read again and shows what. A node
//! that does not answer for a while is asked again: the workflow is in its journal and goes on after a restart.

mod interrupt;
mod progress;

use std::pin::pin;
use std::time::{Duration, Instant};

use oa_api::{Client, ClientError, Workflow, WorkflowEvents, WorkflowState};
use tokio::time::{interval, sleep};

use crate::commands::Session;
use crate::exit::Exit;
use crate::output::Screen;
use crate::problem::Problem;
use interrupt::Interrupts;
use progress::Progress;

const POLL: Duration = Duration::from_secs(20);
const REDRAW: Duration = Duration::from_millis(100);
/// Time between two tries at a node that does not answer, and how long it is tried.
const TRY_AGAIN: Duration = Duration::from_millis(500);
const PATIENCE: Duration = Duration::from_secs(60);

/// Follows workflow `id` on `screen`, and returns it as it ended.
///
/// # Errors
///
/// A [`Problem`] if the workflow did not succeed, if it is watched no longer (Ctrl-C, `timeout`), or if the node is
/// gone for good.
pub(crate) async fn until_done(
    session: &Session,
    id: &str,
    timeout: Option<Duration>,
    screen: Screen,
) -> Result<Workflow, Problem> {
    until_ended(&session.client, id, timeout, Progress::new(screen, session.verbose))
        .await
        .and_then(|workflow| judge(&workflow).map(|()| workflow))
}

/// As [`until_done`], whatever the end.
pub(crate) async fn until_over(
    session: &Session,
    id: &str,
    screen: Screen,
) -> Result<Workflow, Problem> {
    until_ended(&session.client, id, None, Progress::new(screen, session.verbose)).await
}

async fn until_ended(
    client: &Client,
    id: &str,
    timeout: Option<Duration>,
    mut progress: Progress,
) -> Result<Workflow, Problem> {
    let mut interrupts = Interrupts::new();
    let mut expired = pin!(expiry(timeout));
    let mut redraw = interval(REDRAW);
    let mut watch = Position { after: 0, pause: Duration::ZERO, lost_at: None };
    loop {
        let news = {
            let mut news = pin!(watch.next(client, id));
            loop {
                tokio::select! {
                    biased;
                    news = &mut news => break news,
                    () = interrupts.next() => {
                        interrupted(client, id, &mut progress, &mut interrupts).await?;
                    }
                    after = &mut expired => return Err(timed_out(id, after)),
                    _ = redraw.tick(), if progress.is_live() => progress.redraw(),
                }
            }
        };
        match news {
            Ok((events, workflow)) => {
                watch.moved(&events);
                progress.show(&events.events, &workflow);
                if is_over(&workflow) {
                    return Ok(workflow);
                }
            }
            Err(error) => {
                if !watch.try_again(&error) {
                    let problem =
                        Problem::client(format!("workflow {id} can no longer be watched"), &error);
                    return Err(problem.or_next(format!("oa why {id}")));
                }
                progress.note(&format!("{error}; trying again"));
            }
        }
    }
}

/// Ends the watching, unless a person wants the workflow cancelled: then its end is what is watched for.
async fn interrupted(
    client: &Client,
    id: &str,
    progress: &mut Progress,
    interrupts: &mut Interrupts,
) -> Result<(), Problem> {
    if !progress.is_live() || !interrupt::can_ask() {
        return Err(no_longer_watched(id));
    }
    progress.note("The workflow goes on by itself. Cancel it instead? [y/N]");
    if !interrupts.is_yes().await {
        return Err(no_longer_watched(id));
    }
    let asked = client.cancel_workflow(id, None).await;
    asked.map_err(|error| {
        Problem::client(format!("workflow {id} is not cancelled"), &error)
            .or_next(format!("oa workflow show {id}"))
    })
}

/// How far the events were read.
struct Position {
    after: i64,
    pause: Duration,
    lost_at: Option<Instant>,
}

impl Position {
    async fn next(
        &self,
        client: &Client,
        id: &str,
    ) -> Result<(WorkflowEvents, Workflow), ClientError> {
        sleep(self.pause).await;
        // The first look does not wait: there may be nothing new to come.
        let wait = if self.after == 0 { Duration::ZERO } else { POLL };
        let events = client.workflow_events(id, self.after, wait).await?;
        let workflow = client.workflow(id).await?;
        Ok((events, workflow))
    }

    fn moved(&mut self, events: &WorkflowEvents) {
        self.lost_at = None;
        // An empty answer is the end of a long poll; the pause keeps a server that does not wait from being flooded.
        self.pause =
            if events.events.is_empty() { Duration::from_millis(100) } else { Duration::ZERO };
        self.after = events.events.iter().map(|event| event.version).fold(self.after, i64::max);
    }

    fn try_again(&mut self, error: &ClientError) -> bool {
        self.pause = TRY_AGAIN;
        let lost_at = *self.lost_at.get_or_insert_with(Instant::now);
        error.is_retryable() && lost_at.elapsed() < PATIENCE
    }
}

async fn expiry(timeout: Option<Duration>) -> Duration {
    match timeout {
        Some(after) => {
            sleep(after).await;
            after
        }
        None => std::future::pending().await,
    }
}

/// Parked counts as over: only a person can go on from there.
fn is_over(workflow: &Workflow) -> bool {
    workflow.workflow_completed
        || workflow.state.is_final()
        || workflow.state == WorkflowState::Parked
}

/// Turns every end but success into a problem.
pub(crate) fn judge(workflow: &Workflow) -> Result<(), Problem> {
    let id = &workflow.id;
    let at = workflow.steps.iter().rev().find(|step| step.started_at_ms.is_some());
    let at = at.map(|step| format!(" at `{}`", step.milestone)).unwrap_or_default();
    let (what, exit) = match workflow.state {
        WorkflowState::Succeeded => return Ok(()),
        WorkflowState::Unknown if workflow.workflow_error == Some(false) => return Ok(()),
        WorkflowState::Cancelled => (format!("workflow {id} was cancelled{at}"), Exit::Cancelled),
        WorkflowState::Parked => {
            (format!("workflow {id} is parked{at} until somebody decides"), Exit::Failed)
        }
        WorkflowState::RolledBack => {
            (format!("workflow {id} failed{at} and was rolled back"), Exit::Failed)
        }
        _ => (format!("workflow {id} failed{at}"), Exit::Failed),
    };
    let last_words = || workflow.event_log.iter().flatten().next_back().cloned();
    let why = workflow.failure.as_ref().map(|failure| failure.message.clone());
    let why = why.or_else(|| workflow.waiting_for.clone()).or_else(last_words);
    let hint = workflow.failure.as_ref().and_then(|failure| failure.hint.clone());
    let next = match hint {
        Some(hint) => format!("{hint}; oa why {id}"),
        None => format!("oa why {id}"),
    };
    Err(Problem::new(what, why.as_deref().unwrap_or("no reason is recorded"))
        .next(next)
        .exit_with(exit))
}

fn no_longer_watched(id: &str) -> Problem {
    Problem::new(
        format!("workflow {id} is no longer watched"),
        "interrupted; the workflow goes on by itself",
    )
    .next(format!("oa workflow show {id} --watch, or oa workflow cancel {id}"))
    .exit_with(Exit::Cancelled)
}

fn timed_out(id: &str, after: Duration) -> Problem {
    let after = humantime::format_duration(after);
    Problem::new(
        format!("workflow {id} has not ended"),
        format!("{after} are over; the workflow goes on by itself"),
    )
    .next(format!("oa why {id}, or oa workflow show {id} --watch"))
    .exit_with(Exit::TimedOut)
}

#[cfg(test)]
mod tests {
    use oa_api::{WorkflowFailure, WorkflowStep};

    use super::*;

    fn ended(state: WorkflowState) -> Workflow {
        let step = WorkflowStep {
            milestone: "deploy".into(),
            started_at_ms: Some(1),
            ..WorkflowStep::default()
        };
        let failure =
            WorkflowFailure { message: "port 45000 is taken".into(), ..WorkflowFailure::default() };
        Workflow {
            id: "w1".into(),
            state,
            steps: vec![step],
            failure: Some(failure),
            ..Workflow::default()
        }
    }

    fn exit_of(state: WorkflowState) -> Exit {
        judge(&ended(state)).map_or_else(|problem| problem.exit(), |()| Exit::Ok)
    }

    #[test]
    fn the_end_of_a_workflow_is_the_end_of_the_command() {
        assert_eq!(exit_of(WorkflowState::Succeeded), Exit::Ok);
        assert_eq!(exit_of(WorkflowState::Failed), Exit::Failed);
        assert_eq!(exit_of(WorkflowState::RolledBack), Exit::Failed);
        assert_eq!(exit_of(WorkflowState::Parked), Exit::Failed);
        assert_eq!(exit_of(WorkflowState::Cancelled), Exit::Cancelled);
    }

    #[test]
    fn a_failure_names_workflow_milestone_and_reason() {
        let problem = format!("{:?}", judge(&ended(WorkflowState::Failed)).expect_err("it failed"));
        for part in ["workflow w1 failed at `deploy`", "port 45000 is taken", "oa why w1"] {
            assert!(problem.contains(part), "{problem}");
        }
    }
}
