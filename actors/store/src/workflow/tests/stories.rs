//! What happens from `execute` to the end.

use super::*;

fn sent(plan: &Plan) -> Vec<&Command> {
    plan.outgoing.iter().map(|outgoing| &outgoing.command).collect()
}

#[test]
fn config_is_sent_to_the_builder_with_the_attempt_as_its_key() {
    let plan = step(&config_and_deploy(), &execute(), NOON).expect("it starts");
    let attempt = plan.next.live.as_ref().expect("an attempt");
    let [outgoing] = plan.outgoing.as_slice() else { panic!("one command") };
    assert_eq!(outgoing.to.to_string(), "/builder");
    assert_eq!(outgoing.idempotency_key, attempt.id.to_string());
    let Command::Config(command) = &outgoing.command else { panic!("a config command") };
    assert_eq!((command.step.attempt_no, command.step.epoch, command.needs_cluster), (1, 3, true));
    assert_eq!(plan.entry.message, "started by ada; starting milestone config");
}

#[test]
fn the_same_event_at_the_same_time_gives_the_same_plan() {
    let state = config_and_deploy();
    assert_eq!(step(&state, &execute(), NOON), step(&state, &execute(), NOON));
}

#[test]
fn deploy_carries_what_config_found_and_a_generation_above_the_last() {
    let mut state = after(&config_and_deploy(), &execute(), NOON);
    state.targets.insert(Target::new("local", "app"), TargetView { generation: 7, holder: None });
    let plan =
        step(&state, &report(live_key(&state), configured()), NOON + 2000).expect("it goes on");
    let [Command::Deploy(command)] = sent(&plan)[..] else { panic!("one deploy command") };
    assert_eq!(
        (command.generation, command.units.len(), command.etcd_token.as_str()),
        (8, 1, "local")
    );
    assert_eq!(plan.next.claim.as_ref().map(|claim| claim.generation), Some(8));
    assert_eq!(plan.next.spec.source_commit_hash.as_deref(), Some("c0ffee"));
    assert_eq!(plan.entry.message, "completed milestone config in 2 s; starting milestone deploy");
}

#[test]
fn the_last_success_ends_the_workflow_and_frees_its_targets() {
    let state = deploying();
    let done = step(&state, &report(live_key(&state), deployed()), NOON + 9000).expect("it ends");
    assert_eq!(done.next.status, Status::Succeeded);
    assert_eq!((done.next.claim, done.next.timers.len(), done.next.live), (None, 0, None));
    assert_eq!(done.entry.message, "completed milestone deploy in 7 s; completed workflow in 9 s");
    assert_eq!(done.entry.kind, "succeeded");
}

#[test]
fn a_workflow_without_milestones_is_done_at_once() {
    assert_eq!(after(&workflow(&[]), &execute(), NOON).status, Status::Succeeded);
}

#[test]
fn a_scheduled_workflow_waits_for_its_time_and_not_longer() {
    let state = workflow(&[Milestone::Scheduled, Milestone::Config]);
    let state = after(&state, &execute(), NOON);
    assert_eq!(state.status, Status::Scheduled);
    let fire = Event::TimerFired(TimerKind::Start);
    assert!(matches!(step(&state, &fire, NOON + 59_999), Err(Ignored::NotDue { .. })));
    let running = after(&state, &fire, NOON + 60_000);
    assert_eq!((running.status, running.current_seq), (Status::Running, Some(1)));
}

#[test]
fn a_start_time_in_the_past_does_not_wait() {
    let state = workflow(&[Milestone::Scheduled, Milestone::Config]);
    assert_eq!(after(&state, &execute(), NOON + 120_000).status, Status::Running);
}

#[test]
fn the_fifth_failure_is_the_last_and_the_pauses_double() {
    let mut state = after(&config_and_deploy(), &execute(), NOON);
    let (mut now_ms, mut pauses) = (NOON, Vec::new());
    while state.status == Status::Running {
        state = after(&state, &report(live_key(&state), failed(true)), now_ms);
        if let Some(&at_ms) = state.timers.get(&TimerKind::Retry) {
            assert!(
                state.waiting_for.as_deref().is_some_and(|why| why.contains("git does not answer"))
            );
            pauses.push(at_ms - now_ms);
            now_ms = at_ms;
            state = after(&state, &Event::TimerFired(TimerKind::Retry), now_ms);
        }
    }
    assert_eq!(pauses, [1000, 2000, 4000, 8000]);
    let failure = state.failure.expect("a reason");
    assert_eq!(failure.message, "gave up after 5 attempts: git does not answer");
    assert_eq!(failure.hint.as_deref(), Some("wait"));
}

#[test]
fn a_permanent_failure_is_not_tried_again_and_says_why() {
    let state = after(&config_and_deploy(), &execute(), NOON);
    let plan =
        step(&state, &report(live_key(&state), failed(false)), NOON + 3000).expect("it fails");
    assert_eq!(plan.next.status, Status::Failed);
    assert_eq!(
        plan.entry.message,
        "milestone config failed: git does not answer; workflow failed after 3 s"
    );
    let steps: Vec<StepStatus> = plan.next.steps.iter().map(|step| step.status).collect();
    assert_eq!(steps, [StepStatus::Failed, StepStatus::Skipped]);
}

#[test]
fn cancel_supersedes_the_attempt_and_tells_its_mailbox() {
    let state = deploying();
    let plan = step(&state, &cancel(), NOON + 3000).expect("it is cancelled");
    assert_eq!(plan.closed[0].status, AttemptStatus::Superseded);
    assert_eq!(plan.outgoing[0].to.to_string(), "/deployer");
    let [Command::Cancel(command)] = sent(&plan)[..] else { panic!("one cancel command") };
    assert_eq!(command.step, live_key(&state));
    assert_eq!(command.reason, "cancelled by ada: wrong branch");
}

#[test]
fn a_second_workflow_on_the_same_target_waits_and_says_for_whom() {
    let holder = WorkflowId::new();
    let state = blocked_by(holder);
    assert_eq!(state.status, Status::Waiting);
    assert_eq!(state.waiting_for, Some(format!("workflow {holder}, which deploys to local/app")));
    assert_eq!(
        state.wait,
        Some(Wait { target: Target::new("local", "app"), since_ms: NOON + 2000 })
    );
    assert!(state.live.is_none() && state.claim.is_none());
}

#[test]
fn it_goes_on_when_the_target_is_free_and_keeps_its_turn_when_it_is_not() {
    let mut state = blocked_by(WorkflowId::new());
    let other = WorkflowId::new();
    state
        .targets
        .insert(Target::new("local", "app"), TargetView { generation: 8, holder: Some(other) });
    let still = after(&state, &Event::ClaimReleased, NOON + 9000);
    assert_eq!(still.wait, state.wait, "it waits since the same time");
    assert_eq!(still.waiting_for, Some(Wait::text(&Target::new("local", "app"), other)));
    let mut free = still;
    free.targets.insert(Target::new("local", "app"), TargetView { generation: 8, holder: None });
    let running = after(&free, &Event::ClaimReleased, NOON + 9999);
    assert_eq!((running.status, running.waiting_for), (Status::Running, None));
    assert_eq!(running.claim.map(|claim| claim.generation), Some(9));
}

#[test]
fn a_command_that_nobody_took_is_sent_again_as_the_same_attempt() {
    let state = after(&config_and_deploy(), &execute(), NOON);
    let due_at_ms = state.timers[&TimerKind::Lost];
    let plan =
        step(&state, &Event::TimerFired(TimerKind::Lost), due_at_ms).expect("it is sent again");
    assert_eq!(plan.outgoing[0].idempotency_key, live_key(&state).attempt_id.to_string());
    assert_eq!((&plan.next.live, plan.closed.len()), (&state.live, 0));
    assert!(plan.next.timers[&TimerKind::Lost] > due_at_ms);
}

#[test]
fn an_accepted_attempt_that_fell_silent_is_lost_and_tried_again() {
    let state = after(&config_and_deploy(), &execute(), NOON);
    let state = after(&state, &report(live_key(&state), StepNews::Accepted), NOON + 10);
    let plan = step(&state, &Event::TimerFired(TimerKind::Lost), state.timers[&TimerKind::Lost])
        .expect("lost");
    assert_eq!(plan.closed[0].status, AttemptStatus::Lost);
    assert!(plan.next.timers.contains_key(&TimerKind::Retry));
}

#[test]
fn a_success_of_a_lost_attempt_is_noted_and_changes_nothing_else() {
    let state = after(&config_and_deploy(), &execute(), NOON);
    let old = live_key(&state);
    let state = after(&state, &Event::AttemptLost { attempt_id: old.attempt_id }, NOON + 10);
    let plan = step(&state, &report(old.clone(), configured()), NOON + 20).expect("it is noted");
    assert_eq!(plan.entry.kind, "late_success");
    assert_eq!(WorkflowState { version: state.version, ..plan.next }, state);
    assert_eq!(
        step(&state, &report(old.clone(), failed(false)), NOON + 20),
        Err(Ignored::StaleAttempt { attempt_id: old.attempt_id })
    );
}

#[test]
fn what_cannot_be_deployed_fails_with_a_hint() {
    let state = after(&config_and_deploy(), &execute(), NOON);
    let StepNews::Succeeded { output: StepOutput::Config(mut output) } = configured() else {
        panic!("a success")
    };
    output.etcd_token = None;
    let news = StepNews::Succeeded { output: StepOutput::Config(output) };
    let failed = after(&state, &report(live_key(&state), news), NOON + 10);
    let failure = failed.failure.expect("a reason");
    assert_eq!(failure.message, "the deployment repository names no cluster");
    assert!(failure.hint.is_some());
}

#[test]
fn a_workflow_without_a_repository_fails_when_it_is_executed() {
    let mut state = config_and_deploy();
    state.spec.deployment_repo = None;
    assert_eq!(after(&state, &execute(), NOON).status, Status::Failed);
}

#[test]
fn the_deadline_ends_what_is_in_flight() {
    let state = deploying();
    let plan = step(&state, &Event::TimerFired(TimerKind::Deadline), NOON + 86_400_000)
        .expect("it is overdue");
    assert_eq!(plan.next.status, Status::Failed);
    assert!(matches!(sent(&plan)[..], [Command::Cancel(_)]));
    assert!(plan.next.failure.expect("a reason").message.contains("1 d 0 h have passed"));
}

#[test]
fn whoever_has_waited_is_believed_whatever_the_clock_says_by_then() {
    let state = after(&config_and_deploy(), &execute(), NOON);
    let state = after(&state, &report(live_key(&state), failed(true)), NOON + 10);
    let due_at_ms = state.timers[&TimerKind::Retry];
    let waited = Event::WaitedFor { kind: TimerKind::Retry, due_at_ms };
    for clock_ms in [due_at_ms, NOON - 7_200_000, NOON + 7_200_000] {
        let plan = step(&state, &waited, clock_ms).expect("the second try");
        assert_eq!(plan.next.live.map(|live| live.no), Some(2));
    }
    let moved = Event::WaitedFor { kind: TimerKind::Retry, due_at_ms: due_at_ms - 1 };
    assert!(matches!(step(&state, &moved, due_at_ms), Err(Ignored::NotDue { .. })));
}

#[test]
fn no_wait_is_longer_than_a_timer_of_its_kind_and_nobody_is_lost_before_he_could_speak() {
    let state = after(&config_and_deploy(), &execute(), NOON);
    let state = after(&state, &report(live_key(&state), StepNews::Accepted), NOON + 10);
    let due_at_ms = state.timers[&TimerKind::Lost];
    let wait = |now_ms| state.wait_for(TimerKind::Lost, due_at_ms, now_ms).expect("a duration");
    assert_eq!(wait(NOON + 10).as_millis(), (due_at_ms - NOON - 10).unsigned_abs().into());
    assert_eq!(wait(NOON + 86_400_000).as_secs(), 60, "the clock was set forward meanwhile");
    assert!(wait(NOON - 86_400_000).as_secs() <= 3600, "the clock was set back meanwhile");
    assert_eq!(state.wait_for(TimerKind::Start, due_at_ms, NOON), None);
}

#[test]
fn a_command_is_sent_again_within_an_hour_however_the_clock_was_set() {
    let state = after(&config_and_deploy(), &execute(), NOON);
    let due_at_ms = state.timers[&TimerKind::Lost];
    let waited = Event::WaitedFor { kind: TimerKind::Lost, due_at_ms };
    for clock_ms in [NOON - 7_200_000, NOON + 300_000, NOON + 86_400_000 - 1] {
        let plan = step(&state, &waited, clock_ms).expect("it is sent again");
        let rest_ms = plan.next.timers[&TimerKind::Lost] - clock_ms;
        assert!((300_000..=3_600_000).contains(&rest_ms), "{rest_ms}");
    }
}
