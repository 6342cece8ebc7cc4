//! Workflows on a real database, one after another.

use std::time::Duration;

use crate::support::{NOON, Sent, Site, cancel, configured, deployed, execute, report};
use oa_protocol::step::{StepFailure, StepNews};
use oa_protocol::{FailureCode, WorkflowId};
use oa_store::{Applied, Event, Ignored, JournalError, Status, StepStatus, TimerKind};

#[tokio::test]
async fn a_workflow_runs_from_execute_to_its_end() {
    let site = Site::open().await;
    let id = site.workflow(&["deploy"]).await;
    assert_eq!(site.get(id).await.wire(NOON).workflow_error, None);
    site.apply(id, execute()).await;
    site.apply(id, report(site.live_key(id).await, StepNews::Accepted)).await;
    site.pass(2000);
    site.apply(id, report(site.live_key(id).await, configured("app"))).await;
    site.pass(5000);
    let done = site.apply(id, report(site.live_key(id).await, deployed())).await;
    assert_eq!(done, Applied::Changed { version: 5, status: Status::Succeeded });

    let record = site.get(id).await;
    let wire = record.wire(site.now_ms());
    assert_eq!(wire.current_step.as_deref(), Some("workflow_completed"));
    assert_eq!((wire.workflow_error, wire.workflow_completed), (Some(false), true));
    assert_eq!(wire.workflow_duration.as_deref(), Some("7 s"));
    assert_eq!(wire.workflow_step_durations.get("deploy").map(String::as_str), Some("5 s"));
    let log = [
        "created by ada",
        "started by ada; starting milestone config",
        "node-1 works on it",
        "completed milestone config in 2 s; starting milestone deploy",
        "completed milestone deploy in 5 s; completed workflow in 7 s",
    ];
    assert_eq!(wire.event_log, log.map(|line| format!("[OA][{id}] {line}")));
    assert_eq!(record.source_commit_hash.as_deref(), Some("c0ffee"));
    assert!(
        record.steps.iter().all(|step| step.status == StepStatus::Done && step.output.is_some())
    );
    let sent = site.sent().await;
    let [Sent::Config(config), Sent::Deploy(deploy)] = sent.as_slice() else {
        panic!("two commands: {sent:?}")
    };
    assert!(config.needs_cluster);
    assert_eq!((deploy.generation, deploy.units.len()), (1, 1));
    site.check_journal(id).await;
    assert_eq!(site.offenders().await, 0);
    assert_eq!(site.store.journal().next_timer_at().await.expect("an answer"), None);
}

#[tokio::test]
async fn what_is_open_goes_on_after_a_restart() {
    let site = Site::open().await;
    let id = site.configured("app").await;
    let before = site.store.journal().load(id).await.expect("readable").expect("there");
    let site = site.restart().await;
    let after = site.store.journal().load(id).await.expect("readable").expect("there");
    assert_eq!(after.epoch, before.epoch + 1, "a new owner has a new epoch");
    assert_eq!(oa_store::WorkflowState { epoch: before.epoch, ..after }, before);
    assert_eq!(site.store.journal().open_workflows().await.expect("an answer"), [id]);
    let done = site.apply(id, report(site.live_key(id).await, deployed())).await;
    assert_eq!(done, Applied::Changed { version: 4, status: Status::Succeeded });
}

#[tokio::test]
async fn a_message_is_applied_once_whatever_becomes_of_the_node() {
    let site = Site::open().await;
    let id = site.running().await;
    let event = report(site.live_key(id).await, configured("app"));
    let first =
        site.store.journal().apply_message("node-1-7", id, event.clone()).await.expect("applied");
    assert_eq!(first, Applied::Changed { version: 3, status: Status::Running });
    let again =
        site.store.journal().apply_message("node-1-7", id, event.clone()).await.expect("known");
    assert_eq!(again, Applied::Duplicate);
    let site = site.restart().await;
    let later = site.store.journal().apply_message("node-1-7", id, event).await.expect("known");
    assert_eq!(later, Applied::Duplicate);
    assert_eq!(site.get(id).await.version, 3);
}

#[tokio::test]
async fn events_of_one_workflow_in_one_batch_keep_their_order() {
    let site = Site::open().await;
    let id = site.workflow(&["config"]).await;
    let journal = site.store.journal();
    let (a, b, c) = tokio::join!(
        journal.apply(id, execute()),
        journal.apply(id, execute()),
        journal.apply(id, cancel())
    );
    assert_eq!(a.expect("applied"), Applied::Changed { version: 2, status: Status::Running });
    let started = Applied::Ignored(Ignored::AlreadyStarted { status: Status::Running });
    assert_eq!(b.expect("answered"), started);
    assert_eq!(c.expect("applied"), Applied::Changed { version: 3, status: Status::Cancelled });
    let sent = site.sent().await;
    assert!(matches!(sent.as_slice(), [Sent::Config(_), Sent::Cancel(_)]), "{sent:?}");
    assert!(site.live_attempts().await.is_empty());
    site.check_journal(id).await;
}

#[tokio::test]
async fn one_message_twice_in_one_batch_is_applied_once() {
    let site = Site::open().await;
    let id = site.running().await;
    let event = report(site.live_key(id).await, configured("app"));
    let journal = site.store.journal();
    let (a, b) = tokio::join!(
        journal.apply_message("m", id, event.clone()),
        journal.apply_message("m", id, event)
    );
    assert_eq!(a.expect("applied"), Applied::Changed { version: 3, status: Status::Running });
    assert_eq!(b.expect("known"), Applied::Duplicate);
}

#[tokio::test]
async fn an_unknown_workflow_is_an_error_and_its_message_may_come_again() {
    let site = Site::open().await;
    let stranger = WorkflowId::new();
    for _ in 0..2 {
        let refusal = site
            .store
            .journal()
            .apply_message("m", stranger, execute())
            .await
            .expect_err("unknown");
        assert!(matches!(refusal, JournalError::UnknownWorkflow { id } if id == stranger));
        assert!(!refusal.is_retryable());
    }
}

#[tokio::test]
async fn a_row_that_cannot_be_read_stops_nobody_else() {
    let site = Site::open().await;
    let (bad, good) = (site.workflow(&["config"]).await, site.workflow(&["config"]).await);
    site.tamper("UPDATE workflows SET milestones = '[\"dance\"]' WHERE id = (SELECT min(id) FROM workflows)").await;
    let journal = site.store.journal();
    let (a, b) = tokio::join!(journal.apply(bad, execute()), journal.apply(good, execute()));
    let refusal = a.expect_err("it cannot be read");
    assert!(refusal.to_string().contains("`dance` at position 1 is not a milestone"), "{refusal}");
    assert_eq!(b.expect("applied"), Applied::Changed { version: 2, status: Status::Running });
}

#[tokio::test]
async fn an_owner_that_was_replaced_decides_nothing() {
    let site = Site::open().await;
    let id = site.workflow(&["config"]).await;
    site.tamper("UPDATE shard_lease SET epoch = epoch + 1, owner = 'node-2'").await;
    let refusal = site.store.journal().apply(id, execute()).await.expect_err("fenced");
    assert!(matches!(refusal, JournalError::Fenced));
    assert_eq!(site.get(id).await.version, 1);
}

#[tokio::test]
async fn the_end_of_one_rollout_starts_the_next_in_the_same_commit() {
    let site = Site::open().await;
    let first = site.configured("app").await;
    site.pass(10);
    let second = site.configured("app").await;
    site.pass(10);
    let third = site.configured("app").await;
    assert_eq!(
        (site.status(second).await, site.status(third).await),
        (Status::Waiting, Status::Waiting)
    );
    let waiting = format!("workflow {first}, which deploys to local/app");
    assert_eq!(site.get(second).await.waiting_for, Some(waiting));
    assert_eq!(site.offenders().await, 0);

    let mut changes = site.store.journal().subscribe();
    site.apply(first, cancel()).await;
    assert_eq!(changes.recv().await.expect("a change").workflow_id, first);
    assert_eq!(
        changes.recv().await.expect("a change").workflow_id,
        second,
        "who waited longest goes first"
    );
    assert!(changes.try_recv().is_err(), "who goes on waiting is not touched");
    assert_eq!(
        (site.status(second).await, site.status(third).await),
        (Status::Running, Status::Waiting)
    );
    let waiting = format!("workflow {second}, which deploys to local/app");
    let record = site.get(third).await;
    assert_eq!(record.steps[1].waiting_for, Some(waiting.clone()));
    assert_eq!(record.waiting_for, Some(waiting));
    let generations: Vec<u64> = site
        .sent()
        .await
        .iter()
        .filter_map(
            |sent| if let Sent::Deploy(deploy) = sent { Some(deploy.generation) } else { None },
        )
        .collect();
    assert_eq!(generations, [1, 2]);
    assert_eq!(site.offenders().await, 0);
}

#[tokio::test]
async fn rollouts_of_different_units_do_not_wait_for_each_other() {
    let site = Site::open().await;
    let (app, db) = (site.configured("app").await, site.configured("db").await);
    assert_eq!((site.status(app).await, site.status(db).await), (Status::Running, Status::Running));
}

#[tokio::test]
async fn timers_fire_when_they_are_due() {
    let site = Site::open().await;
    let id = site.workflow(&["scheduled", "config"]).await;
    site.apply(id, execute()).await;
    let journal = site.store.journal();
    assert_eq!(journal.next_timer_at().await.expect("an answer"), Some(NOON + 60_000));
    assert!(journal.due_timers(NOON + 59_999).await.expect("an answer").is_empty());
    assert_eq!(
        journal.due_timers(NOON + 60_000).await.expect("an answer"),
        [(id, TimerKind::Start)]
    );
    site.pass(60_000);
    site.apply(id, Event::TimerFired(TimerKind::Start)).await;
    assert_eq!(site.status(id).await, Status::Running);

    let failure = StepFailure {
        message: "git does not answer".into(),
        hint: None,
        retryable: true,
        code: FailureCode::RepositoryUnreachable,
    };
    site.apply(id, report(site.live_key(id).await, StepNews::Failed { failure })).await;
    assert_eq!(journal.next_timer_at().await.expect("an answer"), Some(site.now_ms() + 1000));
    let early = site.apply(id, Event::TimerFired(TimerKind::Retry)).await;
    assert!(matches!(early, Applied::Ignored(Ignored::NotDue { .. })));
    site.pass(1000);
    site.apply(id, Event::TimerFired(TimerKind::Retry)).await;
    assert_eq!(site.live_key(id).await.attempt_no, 2);
    assert_eq!(site.offenders().await, 0);
}

#[tokio::test]
async fn a_command_above_the_cap_fails_the_workflow_with_the_reason() {
    let site = Site::open().await;
    let id = site.running().await;
    let StepNews::Succeeded { output: oa_protocol::step::StepOutput::Config(mut output) } =
        configured("app")
    else {
        panic!("a success")
    };
    output.units[0].options[0].value = "x".repeat(5 << 20);
    let news = StepNews::Succeeded { output: oa_protocol::step::StepOutput::Config(output) };
    site.apply(id, report(site.live_key(id).await, news)).await;
    let record = site.get(id).await;
    assert_eq!(record.status, Status::Failed);
    let failure = record.failure.expect("a reason");
    assert!(failure.message.starts_with("the command cannot be sent"), "{}", failure.message);
}

#[tokio::test]
async fn whoever_waits_for_news_gets_it_when_it_is_written() {
    let site = Site::open().await;
    let id = site.workflow(&["config"]).await;
    let journal = site.store.journal();
    let (news, _) = tokio::join!(journal.wait_for_events(id, 1, Duration::from_secs(60)), async {
        tokio::task::yield_now().await;
        journal.apply(id, execute()).await
    });
    let versions: Vec<u64> = news.expect("an answer").iter().map(|entry| entry.version).collect();
    assert_eq!(versions, [2]);
}

#[tokio::test]
async fn a_second_opener_is_told_who_has_the_store() {
    let site = Site::open().await;
    let config = oa_store::StoreConfig::new(site.dir.path().join("openaperture.db"), "node-2");
    let refusal = oa_store::Store::open(&config).await.expect_err("it is in use");
    assert!(refusal.to_string().contains("is in use by process"), "{refusal}");
}
