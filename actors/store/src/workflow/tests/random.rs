//! Any sequence of events keeps what must always hold.

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Act {
    Execute,
    Cancel,
    /// News of the live attempt, or of one that never was.
    Report {
        live: bool,
        news: u8,
    },
    Lost,
    Timer(usize),
    Released,
    /// Another workflow takes or frees the target.
    Foreign(bool),
    Pass(i64),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        2 => Just(Act::Execute),
        1 => Just(Act::Cancel),
        8 => (prop::bool::weighted(0.9), 0..6_u8).prop_map(|(live, news)| Act::Report { live, news }),
        1 => Just(Act::Lost),
        6 => (0..TimerKind::ALL.len()).prop_map(Act::Timer),
        2 => Just(Act::Released),
        2 => any::<bool>().prop_map(Act::Foreign),
        4 => (0..600_000_i64).prop_map(Act::Pass),
    ]
}

fn milestones() -> impl Strategy<Value = Vec<Milestone>> {
    let rest = prop::collection::vec(
        prop_oneof![Just(Milestone::Config), Just(Milestone::Deploy), Just(Milestone::DeployOa)],
        0..4,
    );
    (any::<bool>(), rest).prop_map(|(scheduled, rest)| {
        let head = if scheduled {
            vec![Milestone::Scheduled, Milestone::Config]
        } else {
            vec![Milestone::Config]
        };
        head.into_iter().chain(rest).collect()
    })
}

fn event(state: &WorkflowState, act: &Act) -> Option<Event> {
    let key = state.live.as_ref().map(|live| live.key(state.id));
    let stranger = StepKey {
        workflow_id: state.id,
        seq: 0,
        attempt_id: oa_protocol::AttemptId::new(),
        attempt_no: 1,
        epoch: 1,
    };
    Some(match act {
        Act::Execute => execute(),
        Act::Cancel => cancel(),
        Act::Report { live, news } => {
            let key = key.filter(|_| *live).unwrap_or(stranger);
            let news = match news {
                0 => StepNews::Accepted,
                1 => StepNews::Progress {
                    message: "working".into(),
                    waiting_for: Some("a lock".into()),
                },
                2 => configured(),
                3 => deployed(),
                4 => failed(true),
                _ => failed(false),
            };
            report(key, news)
        }
        Act::Lost => Event::AttemptLost { attempt_id: key.unwrap_or(stranger).attempt_id },
        Act::Timer(kind) => Event::TimerFired(TimerKind::ALL[*kind]),
        Act::Released => Event::ClaimReleased,
        Act::Foreign(_) | Act::Pass(_) => return None,
    })
}

/// What must hold after each transition from `before`.
fn check(before: &WorkflowState, plan: &Plan) -> Result<(), TestCaseError> {
    let next = &plan.next;
    prop_assert_eq!(next.version, before.version + 1, "versions have no gap");
    prop_assert!(!before.status.is_finished(), "what is finished never changes");
    prop_assert_eq!(next.status.is_finished(), next.finished_at_ms.is_some());
    prop_assert!(
        plan.closed.iter().all(|attempt| !attempt.status.is_live()),
        "a closed attempt is not live"
    );
    if let (Some(old), Some(new)) = (&before.live, &next.live) {
        prop_assert!(
            old.id == new.id || plan.closed.iter().any(|closed| closed.id == old.id),
            "two live attempts"
        );
    }
    if next.status.is_open() {
        let alive = next.live.is_some() || next.wait.is_some();
        let waker =
            next.timers.keys().any(|kind| matches!(kind, TimerKind::Start | TimerKind::Retry));
        prop_assert!(alive || waker, "an open workflow has something that will move it");
        prop_assert_eq!(next.status == Status::Waiting, next.wait.is_some());
    } else {
        prop_assert!(
            next.live.is_none()
                && next.timers.is_empty()
                && next.claim.is_none()
                && next.wait.is_none()
        );
    }
    prop_assert!(
        !next.status.eq(&Status::Failed) || next.failure.is_some(),
        "a failure has a reason"
    );
    prop_assert!(next.steps.iter().all(|step| step.attempts <= MAX_TRIES), "too many tries");
    prop_assert!(!plan.entry.message.is_empty(), "every transition says something");
    let fresh =
        next.live.as_ref().filter(|new| before.live.as_ref().is_none_or(|old| old.id != new.id));
    let commands =
        plan.outgoing.iter().filter(|out| !matches!(out.command, Command::Cancel(_))).count();
    let resent = plan.entry.kind == "resent";
    prop_assert_eq!(
        commands,
        usize::from(fresh.is_some() || resent),
        "a new attempt has one command"
    );
    for (&kind, &at_ms) in &next.timers {
        prop_assert!(
            step(next, &Event::TimerFired(kind), at_ms).is_ok(),
            "timer {} would fire for ever",
            kind
        );
    }
    if let Some(deploy) =
        next.current().filter(|step| step.milestone.is_deploy() && next.live.is_some())
    {
        prop_assert!(next.claim.is_some(), "milestone {} without a claim", deploy.milestone);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_events_never_break_a_workflow(milestones in milestones(), acts in prop::collection::vec(act(), 1..60)) {
        let target = Target::new("local", "app");
        let mut state = workflow(&milestones);
        let mut view = TargetView::default();
        let mut now_ms = NOON;
        for act in &acts {
            match act {
                Act::Pass(ms) => now_ms += ms,
                Act::Foreign(take) if state.claim.is_none() => {
                    view.holder = take.then(WorkflowId::new);
                    view.generation += u64::from(*take);
                }
                _ => {}
            }
            state.targets.insert(target.clone(), view);
            let Some(event) = event(&state, act) else { continue };
            prop_assert!(
                targets(&state, &event).iter().all(|wanted| *wanted == target),
                "only the units of the repository are claimed"
            );
            if let Ok(plan) = step(&state, &event, now_ms) {
                check(&state, &plan)?;
                if let Some(claim) = plan.next.claim.as_ref().filter(|claim| state.claim.as_ref() != Some(claim)) {
                    prop_assert!(claim.generation > view.generation, "generations only rise");
                    prop_assert!(view.holder.is_none(), "a target has one holder");
                    view.generation = claim.generation;
                }
                state = plan.next;
            }
        }
    }
}
