//! Every state with every event.

use super::*;

#[derive(Debug, PartialEq)]
enum Outcome {
    To(Status),
    Ignored(&'static str),
}

fn outcome(state: &WorkflowState, event: &Event) -> Outcome {
    match step(state, event, NOON + 30 * 3_600_000) {
        Ok(plan) => Outcome::To(plan.next.status),
        Err(Ignored::Finished { .. }) => Outcome::Ignored("finished"),
        Err(Ignored::AlreadyStarted { .. }) => Outcome::Ignored("started"),
        Err(Ignored::StaleAttempt { .. }) => Outcome::Ignored("stale"),
        Err(Ignored::NothingNew { .. }) => Outcome::Ignored("known"),
        Err(Ignored::NoTimer { .. }) => Outcome::Ignored("no timer"),
        Err(Ignored::NotDue { .. }) => Outcome::Ignored("not due"),
        Err(Ignored::NotPossible { .. }) => Outcome::Ignored("impossible"),
    }
}

fn events(state: &WorkflowState) -> Vec<(&'static str, Event)> {
    let key = state.live.as_ref().map_or_else(
        || StepKey {
            workflow_id: state.id,
            seq: 0,
            attempt_id: oa_protocol::AttemptId::new(),
            attempt_no: 9,
            epoch: 1,
        },
        |live| live.key(state.id),
    );
    let progress = StepNews::Progress { message: "cloning".into(), waiting_for: None };
    vec![
        ("execute", execute()),
        ("accepted", report(key.clone(), StepNews::Accepted)),
        ("progress", report(key.clone(), progress)),
        ("succeeded", report(key.clone(), configured())),
        ("failed", report(key.clone(), failed(false))),
        ("failed for now", report(key.clone(), failed(true))),
        ("cancel", cancel()),
        ("start", Event::TimerFired(TimerKind::Start)),
        ("retry", Event::TimerFired(TimerKind::Retry)),
        ("deadline", Event::TimerFired(TimerKind::Deadline)),
        ("lost timer", Event::TimerFired(TimerKind::Lost)),
        ("lost", Event::AttemptLost { attempt_id: key.attempt_id }),
        ("released", Event::ClaimReleased),
    ]
}

fn expected(status: Status, event: &str) -> Outcome {
    use Outcome::{Ignored, To};
    match (status, event) {
        (Status::Succeeded | Status::Failed | Status::RolledBack | Status::Cancelled, _) => {
            Ignored("finished")
        }
        (Status::Created, "execute") => To(Status::Running),
        (_, "execute") => Ignored("started"),
        (Status::Undoing | Status::Parked, _) => Ignored("impossible"),
        (_, "cancel") => To(Status::Cancelled),
        (Status::Created, _) => Ignored("impossible"),
        (Status::Scheduled, "start") => To(Status::Running),
        (Status::Scheduled, _) => Ignored("impossible"),
        (Status::Running, "retry") => Ignored("no timer"),
        (Status::Running, "start" | "released") => Ignored("impossible"),
        (Status::Running, "failed" | "deadline") => To(Status::Failed),
        (Status::Running, _) => To(Status::Running),
        (Status::Waiting, "deadline") => To(Status::Failed),
        (Status::Waiting, "released") => To(Status::Running),
        (Status::Waiting, _) => Ignored("impossible"),
    }
}

#[test]
fn every_state_answers_every_event_as_the_table_says() {
    let states = one_of_each();
    let walked: Vec<Status> = states.iter().map(|state| state.status).collect();
    assert_eq!(walked, Status::ALL, "one workflow for each state");
    for mut state in states {
        state.targets.clear();
        for (name, event) in events(&state) {
            assert_eq!(
                outcome(&state, &event),
                expected(state.status, name),
                "{} and {name}",
                state.status
            );
        }
    }
}

#[test]
fn an_ignored_event_says_what_it_was_and_where_the_workflow_is() {
    let why = step(&config_and_deploy(), &Event::TimerFired(TimerKind::Retry), NOON)
        .expect_err("not executed");
    assert_eq!(why.to_string(), "timer retry means nothing to a workflow that is created");
}
