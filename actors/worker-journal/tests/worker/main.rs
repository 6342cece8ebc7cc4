//! What a worker does with commands, from the mailbox to the report.

mod site;

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use oa_protocol::step::{CancelStep, StepNews};
use tokio::sync::mpsc::unbounded_channel;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::site::{AsTold, SOON, Site, command, directory, done, journal};

#[tokio::test]
async fn a_command_that_comes_twice_is_carried_out_once() {
    let (directory, runs) = (directory(), Arc::new(AtomicUsize::new(0)));
    let counter = Arc::clone(&runs);
    let craft = AsTold::to(move |_| {
        counter.fetch_add(1, Ordering::SeqCst);
        async { done() }
    });
    let mut site = Site::start(&journal(&directory).await, craft).await;
    let first = command("org/name");
    let envelope = site.deliver(&first).await;
    site.end().await.expect("done");
    // The same message once more, and the same command in another message.
    site.post_office.publish(envelope).await.expect("published");
    site.deliver(&first).await;
    site.deliver(&command("org/other")).await;
    site.end().await.expect("the other one is done");
    assert_eq!(runs.load(Ordering::SeqCst), 2);
    site.shut_down().await;
}

#[tokio::test]
async fn a_step_that_panics_is_reported_as_failed_and_the_worker_goes_on() {
    let directory = directory();
    let craft = AsTold::to(|hands| async move {
        hands.progress.say("about to panic");
        panic!("a bug in a milestone")
    });
    let mut site = Site::start(&journal(&directory).await, craft).await;
    for _ in 0..2 {
        site.deliver(&command("org/name")).await;
        let failure = site.end().await.expect_err("a panic");
        assert!(failure.retryable && failure.message.contains("crashed"), "{failure:?}");
    }
    assert!(!site.worker.is_stopped());
    site.shut_down().await;
}

/// Tells when it is dropped.
struct Canary(Option<oneshot::Sender<()>>);

impl Drop for Canary {
    fn drop(&mut self) {
        if let Some(sender) = self.0.take() {
            let _ = sender.send(());
        }
    }
}

#[tokio::test]
async fn a_cancelled_step_is_dropped_and_says_who_cancelled_it() {
    let directory = directory();
    let (sender, dropped) = oneshot::channel();
    let canary = Arc::new(std::sync::Mutex::new(Some(sender)));
    let craft = AsTold::to(move |hands| {
        let canary = Canary(canary.lock().expect("one holder").take());
        async move {
            hands.progress.say("at work");
            let _canary = canary;
            pending().await
        }
    });
    let mut site = Site::start(&journal(&directory).await, craft).await;
    let command = command("org/name");
    site.deliver(&command).await;
    assert_eq!(site.news().await, StepNews::Accepted);
    assert!(
        matches!(site.news().await, StepNews::Progress { message, .. } if message == "at work")
    );

    site.deliver(&CancelStep { step: command.step, reason: "by ann: wrong branch".into() }).await;
    let failure = site.end().await.expect_err("cancelled");
    assert_eq!(failure.message, "cancelled: by ann: wrong branch");
    timeout(SOON, dropped).await.expect("the work is dropped").expect("by its drop");
    site.shut_down().await;
}

#[tokio::test]
async fn steps_beyond_the_limit_wait_and_can_be_cancelled_meanwhile() {
    let directory = directory();
    let mut site = Site::start_with(&journal(&directory).await, AsTold::to_wait(), 1).await;
    let (first, second) = (command("org/first"), command("org/second"));
    site.deliver(&first).await;
    site.deliver(&second).await;
    for _ in 0..2 {
        assert_eq!(site.news().await, StepNews::Accepted);
    }
    assert!(matches!(site.news().await, StepNews::Progress { waiting_for: Some(what), .. }
        if what == "one of the 1 steps of the tester that run"));
    site.deliver(&CancelStep { step: second.step, reason: "not needed".into() }).await;
    assert_eq!(site.end().await.expect_err("cancelled").message, "cancelled: not needed");
    site.deliver(&CancelStep { step: first.step, reason: "neither".into() }).await;
    assert_eq!(site.end().await.expect_err("cancelled").message, "cancelled: neither");
    site.shut_down().await;
}

#[tokio::test]
async fn a_command_that_was_cancelled_before_it_came_is_left_out() {
    let directory = directory();
    let craft = AsTold::to(|_| async { done() });
    let mut site = Site::start(&journal(&directory).await, craft).await;
    let (cancelled, other) = (command("org/cancelled"), command("org/other"));
    site.deliver(&CancelStep { step: cancelled.step.clone(), reason: "too late".into() }).await;
    site.deliver(&cancelled).await;
    site.deliver(&other).await;
    let report =
        timeout(SOON, site.reports.recv()).await.expect("a report").expect("management lives");
    assert_eq!(report.step, other.step);
    site.shut_down().await;
}

#[tokio::test]
async fn a_step_that_was_cut_off_begins_again_at_the_next_start() {
    let directory = directory();
    let journal = journal(&directory).await;
    let mut site = Site::start(&journal, AsTold::to_wait()).await;
    site.deliver(&command("org/name")).await;
    assert_eq!(site.news().await, StepNews::Accepted);
    site.shut_down().await;
    assert_eq!(
        journal.open_tasks().await.expect("readable").len(),
        1,
        "a stop is no end of the step"
    );

    let mut site = Site::start(&journal, AsTold::to(|_| async { done() })).await;
    site.end().await.expect("done");
    site.shut_down().await;
}

#[tokio::test]
async fn commands_that_need_the_same_run_one_after_the_other_and_the_others_beside_them() {
    let directory = directory();
    let (sender, mut begun) = unbounded_channel();
    let craft = AsTold::to(move |_| {
        sender.send(()).expect("the test listens");
        pending()
    });
    let mut site = Site::start(&journal(&directory).await, craft).await;
    let (first, second, other) = (command("org/a"), command("org/a"), command("org/b"));
    for command in [&first, &second, &other] {
        site.deliver(command).await;
    }
    let waits = loop {
        if let StepNews::Progress { waiting_for: Some(what), .. } = site.news().await {
            break what;
        }
    };
    assert_eq!(waits, format!("the work on org/a by workflow {}", first.step.workflow_id));
    for _ in 0..2 {
        timeout(SOON, begun.recv()).await.expect("it begins").expect("the craft lives");
    }
    assert!(begun.try_recv().is_err(), "the second one waits");

    site.deliver(&CancelStep { step: first.step, reason: "done with it".into() }).await;
    timeout(SOON, begun.recv()).await.expect("its turn comes").expect("the craft lives");
    site.shut_down().await;
}

#[tokio::test]
async fn heartbeats_say_what_is_at_work_and_goodbye() {
    let directory = directory();
    let journal = journal(&directory).await;
    let site = Site::start(&journal, AsTold::to_wait()).await;
    site.deliver(&command("org/name")).await;
    site.shut_down().await;

    // What is open begins before the first heartbeat.
    let mut site = Site::start(&journal, AsTold::to_wait()).await;
    let first = site.heartbeat().await;
    assert_eq!(
        (first.hostname.as_str(), first.kind.as_str(), first.status.as_str()),
        ("site-1", "tester", "active")
    );
    assert!(first.workload[0].starts_with("config of org/name for workflow "), "{first:?}");
    site.worker.stop();
    assert_eq!(site.heartbeat().await.status, "inactive");
    site.shut_down().await;
}
