//! What the journal of a worker promises.

use std::time::Duration;

use futures_util::FutureExt;
use oa_durable::{Outbox, Retention};
use oa_protocol::step::{StepFailure, StepKey, StepNews, StepReport};
use oa_protocol::{AttemptId, FailureCode, WorkflowId};
use oa_runtime::Address;
use oa_test_services::disk::SmallDisk;
use oa_worker_journal::{
    Accepted, Cancelled, DoneEffect, EffectState, JournalError, JournalRetention, WorkerJournal,
};
use tempfile::TempDir;

/// A journal; the directory goes with it.
struct Desk {
    journal: WorkerJournal,
    directory: TempDir,
}

impl Desk {
    async fn open() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        Self { journal: open(&directory).await, directory }
    }

    /// The process ends without any goodbye, and a new one begins.
    async fn restart(self) -> Self {
        let Self { journal, directory } = self;
        drop(journal);
        Self { journal: open(&directory).await, directory }
    }

    async fn accept(&self, message_id: &str, step: &StepKey) -> Accepted {
        self.journal.accept(message_id, step, "{\"n\":1}", &reply()).await.expect("written")
    }

    async fn reports(&self) -> Vec<StepReport> {
        reports(self.journal.outbox()).await
    }
}

async fn open(directory: &TempDir) -> WorkerJournal {
    WorkerJournal::open(directory.path().join("worker.db"), "build-1").await.expect("a journal")
}

async fn reports(outbox: &Outbox) -> Vec<StepReport> {
    let due = outbox.due(100, i64::MAX).await.expect("read");
    let read = |row: oa_durable::OutboxRow| {
        let envelope = row.envelope().expect("readable");
        assert_eq!(envelope.to(), &reply());
        envelope.decode().expect("a report")
    };
    due.into_iter().map(read).collect()
}

fn reply() -> Address {
    Address::new("aws.us-east-1", "workflow_orchestration").expect("an address")
}

fn first_attempt() -> StepKey {
    StepKey {
        workflow_id: WorkflowId::new(),
        seq: 0,
        attempt_id: AttemptId::new(),
        attempt_no: 1,
        epoch: 1,
    }
}

fn next_attempt(step: &StepKey) -> StepKey {
    StepKey { attempt_id: AttemptId::new(), attempt_no: step.attempt_no + 1, ..step.clone() }
}

fn failed(message: &str) -> StepNews {
    StepNews::Failed {
        failure: StepFailure {
            message: message.to_owned(),
            hint: None,
            retryable: true,
            code: FailureCode::Other,
        },
    }
}

#[tokio::test]
async fn an_accepted_command_is_an_open_task_and_is_reported_in_the_same_commit() {
    let desk = Desk::open().await;
    let step = first_attempt();
    let before = desk.journal.database().counts().commits;
    assert_eq!(desk.accept("m-1", &step).await, Accepted::New);
    assert_eq!(desk.journal.database().counts().commits - before, 1);

    let tasks = desk.journal.open_tasks().await.expect("read");
    assert_eq!((tasks.len(), &tasks[0].step), (1, &step));
    assert_eq!(tasks[0].command::<serde_json::Value>().expect("readable")["n"], 1);
    let reports = desk.reports().await;
    assert_eq!(
        (reports.len(), &reports[0].step, reports[0].worker.as_str()),
        (1, &step, "build-1")
    );
    assert_eq!(reports[0].news, StepNews::Accepted);
}

#[tokio::test]
async fn a_second_delivery_is_a_duplicate_by_its_message_or_by_its_attempt() {
    let desk = Desk::open().await;
    let step = first_attempt();
    desk.accept("m-1", &step).await;
    assert_eq!(desk.accept("m-1", &step).await, Accepted::Duplicate);
    assert_eq!(desk.accept("m-2", &step).await, Accepted::Duplicate);
    desk.journal.finish(&step, failed("no")).await.expect("written");
    assert_eq!(desk.accept("m-3", &step).await, Accepted::Duplicate, "also after its end");
    assert_eq!(desk.reports().await.len(), 2, "accepted and failed, once each");
}

#[tokio::test]
async fn a_command_with_a_lower_attempt_or_epoch_is_stale() {
    let desk = Desk::open().await;
    let first = first_attempt();
    let second = StepKey { epoch: 2, ..next_attempt(&first) };
    assert_eq!(desk.accept("m-2", &second).await, Accepted::New);
    assert_eq!(desk.accept("m-1", &first).await, Accepted::Stale);
    let old_owner = StepKey { epoch: 1, seq: 1, attempt_id: AttemptId::new(), ..first.clone() };
    assert_eq!(desk.accept("m-3", &old_owner).await, Accepted::Stale);
    assert_eq!(desk.journal.open_tasks().await.expect("read").len(), 1);
}

#[tokio::test]
async fn the_next_step_starts_again_at_its_first_attempt() {
    let desk = Desk::open().await;
    let third = StepKey { attempt_no: 3, ..first_attempt() };
    desk.accept("m-1", &third).await;
    desk.journal.finish(&third, failed("no")).await.expect("written");
    let next_step = StepKey { seq: 1, attempt_no: 1, attempt_id: AttemptId::new(), ..third };
    assert_eq!(desk.accept("m-2", &next_step).await, Accepted::New);
}

#[tokio::test]
async fn a_later_attempt_cancels_the_earlier_one_that_still_runs() {
    let desk = Desk::open().await;
    let first = first_attempt();
    desk.accept("m-1", &first).await;
    let token = desk.journal.cancelled(first.attempt_id);
    desk.accept("m-2", &next_attempt(&first)).await;
    assert_eq!(token.cancelled().await, "replaced by attempt 2");
}

#[tokio::test]
async fn open_tasks_and_reports_survive_the_end_of_the_process() {
    let desk = Desk::open().await;
    let (open, ended) = (first_attempt(), first_attempt());
    desk.accept("m-1", &open).await;
    desk.accept("m-2", &ended).await;
    desk.journal.finish(&ended, failed("no")).await.expect("written");

    let desk = desk.restart().await;
    let tasks = desk.journal.open_tasks().await.expect("read");
    assert_eq!(tasks.iter().map(|task| &task.step).collect::<Vec<_>>(), [&open]);
    assert_eq!(desk.reports().await.len(), 3);
    assert_eq!(desk.accept("m-1", &open).await, Accepted::Duplicate);
}

#[tokio::test]
async fn a_task_ends_once_with_one_report() {
    let desk = Desk::open().await;
    let step = first_attempt();
    desk.accept("m-1", &step).await;
    let before = desk.journal.database().counts().commits;
    assert!(desk.journal.finish(&step, failed("first")).await.expect("written"));
    assert_eq!(desk.journal.database().counts().commits - before, 1);
    assert!(!desk.journal.finish(&step, failed("second")).await.expect("nothing to write"));

    let ends: Vec<_> = desk
        .reports()
        .await
        .into_iter()
        .filter(|report| report.news != StepNews::Accepted)
        .collect();
    assert_eq!(ends.iter().map(|report| &report.news).collect::<Vec<_>>(), [&failed("first")]);
    assert_eq!(desk.journal.open_tasks().await.expect("read"), []);
}

#[tokio::test]
async fn only_success_and_failure_end_a_task() {
    let desk = Desk::open().await;
    let step = first_attempt();
    desk.accept("m-1", &step).await;
    let refused = desk.journal.finish(&step, StepNews::Accepted).await.expect_err("not an end");
    assert!(matches!(refused, JournalError::NotAnEnd { .. }) && !refused.is_retryable());
}

#[tokio::test]
async fn progress_is_reported_while_the_task_is_open_and_not_after() {
    let desk = Desk::open().await;
    let step = first_attempt();
    desk.accept("m-1", &step).await;
    let waiting_for = Some("a free builder".to_owned());
    assert!(
        desk.journal.report_progress(&step, "waits", waiting_for.clone()).await.expect("written")
    );
    desk.journal.finish(&step, failed("no")).await.expect("written");
    assert!(!desk.journal.report_progress(&step, "late", None).await.expect("nothing to write"));

    let reports = desk.reports().await;
    let progress: Vec<_> =
        reports.iter().filter(|report| matches!(report.news, StepNews::Progress { .. })).collect();
    assert_eq!(progress.len(), 1);
    assert_eq!(progress[0].news, StepNews::Progress { message: "waits".to_owned(), waiting_for });
}

#[tokio::test]
async fn an_effect_that_an_earlier_run_began_is_to_be_probed() {
    let desk = Desk::open().await;
    let key = first_attempt().effect_key();
    assert_eq!(desk.journal.begin(&key).await.expect("written"), EffectState::Fresh);
    let desk = desk.restart().await;
    assert_eq!(desk.journal.begin(&key).await.expect("written"), EffectState::Begun);
    assert!(desk.journal.done(&key, Some("app@1".to_owned())).await.expect("written"));
    let done = EffectState::Done { external_ref: Some("app@1".to_owned()) };
    assert_eq!(desk.journal.begin(&key).await.expect("written"), done);
}

#[tokio::test]
async fn a_tombstone_refuses_a_late_effect() {
    let desk = Desk::open().await;
    let key = first_attempt().effect_key();
    desk.journal.begin(&key).await.expect("written");
    assert_eq!(desk.journal.tombstone(&key).await.expect("written"), EffectState::Begun);
    assert_eq!(desk.journal.begin(&key).await.expect("written"), EffectState::Tombstoned);
    assert!(!desk.journal.done(&key, None).await.expect("written"), "it has to be undone");
    assert_eq!(desk.journal.tombstone("never begun").await.expect("written"), EffectState::Fresh);
    assert_eq!(desk.journal.begin("never begun").await.expect("written"), EffectState::Tombstoned);
}

#[tokio::test]
async fn effects_are_noted_in_the_commit_that_ends_the_task() {
    let desk = Desk::open().await;
    let step = first_attempt();
    desk.accept("m-1", &step).await;
    desk.journal.begin(&step.effect_key()).await.expect("written");
    let effects = vec![DoneEffect { key: step.effect_key(), external_ref: None }];
    let before = desk.journal.database().counts().commits;
    desk.journal.finish_with(&step, failed("half"), effects).await.expect("written");
    assert_eq!(desk.journal.database().counts().commits - before, 1);
    let known = desk.journal.begin(&step.effect_key()).await.expect("read");
    assert_eq!(known, EffectState::Done { external_ref: None });
}

#[tokio::test]
async fn a_running_job_learns_that_it_is_cancelled_also_after_a_restart() {
    let desk = Desk::open().await;
    let step = first_attempt();
    desk.accept("m-1", &step).await;
    let token = desk.journal.cancelled(step.attempt_id);
    assert_eq!(token.cancelled().now_or_never(), None);
    assert_eq!(desk.journal.cancel(&step, "ada asked").await.expect("written"), Cancelled::Told);
    assert_eq!(token.cancelled().await, "ada asked");

    let desk = desk.restart().await;
    assert_eq!(desk.journal.cancelled(step.attempt_id).reason().as_deref(), Some("ada asked"));
    assert_eq!(
        desk.journal.open_tasks().await.expect("read")[0].cancel_reason.as_deref(),
        Some("ada asked")
    );
    desk.journal.finish(&step, failed("cancelled")).await.expect("written");
    assert_eq!(desk.journal.cancel(&step, "again").await.expect("written"), Cancelled::TooLate);
}

#[tokio::test]
async fn a_command_that_comes_after_its_cancellation_is_stale_and_the_next_attempt_is_not() {
    let desk = Desk::open().await;
    let step = first_attempt();
    assert_eq!(
        desk.journal.cancel(&step, "ada asked").await.expect("written"),
        Cancelled::BeforeItCame
    );
    assert_eq!(desk.accept("m-1", &step).await, Accepted::Stale);
    assert_eq!(desk.accept("m-2", &next_attempt(&step)).await, Accepted::New);
}

#[tokio::test]
async fn pruning_keeps_what_is_open() {
    let desk = Desk::open().await;
    let (open, ended) = (first_attempt(), first_attempt());
    desk.accept("m-1", &open).await;
    desk.accept("m-2", &ended).await;
    desk.journal.finish(&ended, failed("no")).await.expect("written");
    desk.journal.begin("begun").await.expect("written");

    let nothing = Duration::ZERO;
    let messages = Retention { sent: nothing, received: nothing, every: nothing };
    let keep = JournalRetention { tasks: nothing, effects: nothing, messages };
    // Ages count in milliseconds, so what was written in this one is not old yet.
    let mut deleted = 0;
    while deleted < 5 {
        deleted += desk.journal.prune(&keep).await.expect("pruned");
    }
    assert_eq!(deleted, 5, "two messages, one task, two fences");
    assert_eq!(desk.journal.open_tasks().await.expect("read").len(), 1);
    assert_eq!(desk.journal.begin("begun").await.expect("read"), EffectState::Begun);
    assert_eq!(desk.reports().await.len(), 3, "none of them was handed over");
}

#[tokio::test]
async fn a_journal_in_use_is_refused() {
    let desk = Desk::open().await;
    let refused = WorkerJournal::open(desk.directory.path().join("worker.db"), "build-2")
        .await
        .expect_err("in use");
    assert!(matches!(refused, JournalError::Open(_)) && refused.is_retryable());
}

#[tokio::test]
async fn a_journal_without_space_takes_no_command_and_says_so_and_a_result_waits_for_it() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let Some(disk) = SmallDisk::mount(&directory.path().join("disk"), 2048) else { return };
    let journal = WorkerJournal::open(disk.path().join("worker.db"), "build-1");
    let journal = journal.await.expect("a journal");
    let taken = first_attempt();
    journal.accept("m-0", &taken, "{}", &reply()).await.expect("there is room");

    disk.fill();
    let mut refused = None;
    for attempt in 1..200 {
        // A log that is used again may have room for a few more.
        let command = format!("{{\"text\":\"{}\"}}", "x".repeat(20_000));
        let other = first_attempt();
        match journal.accept(&format!("m-{attempt}"), &other, command, &reply()).await {
            Ok(_) => {}
            Err(error) => {
                refused = Some((format!("m-{attempt}"), other, error));
                break;
            }
        }
    }
    let (message_id, other, error) = refused.expect("a full disk refuses");
    assert_eq!(error.storage().map(|storage| storage.kind().code()), Some("storage_full"));
    assert!(error.is_retryable());
    assert_eq!(journal.open_task(other.attempt_id).await.expect("reading goes on"), None);

    // The result of what was taken before waits, and is there once there is space.
    let finish = journal.finish_patiently(&taken, failed(&"x".repeat(8_000)));
    let free = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        disk.free();
    };
    let limit = Duration::from_secs(20);
    let (finished, ()) = tokio::join!(tokio::time::timeout(limit, finish), free);
    finished.expect("in time").expect("it is written");
    let again = journal.accept(&message_id, &other, "{}", &reply()).await.expect("there is room");
    assert_eq!(again, Accepted::New, "nothing of the refused command was there");
    journal.close().await;
}
