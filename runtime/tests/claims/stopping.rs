//! Orderly ends and their limits.

use std::time::Duration;

use oa_runtime::{Actor, AskError, ChildSpec, Context, Failure, SpawnError, TellError};

use crate::support::{Add, Log, SOON, hold, system};

#[tokio::test]
async fn an_ordered_stop_handles_what_is_queued_first() {
    let (mut log, system) = (Log::new(), system());
    let actor = system.spawn(log.probe("a")).expect("the name is free");
    let go = hold(&actor).await;
    let asked = tokio::spawn({
        let actor = actor.clone();
        async move { actor.ask(Add(2), SOON).await }
    });
    while system.tree().find("/a").expect("it lives").depth == 0 {
        tokio::task::yield_now().await;
    }
    actor.stop();
    while !matches!(actor.tell(Add(1)), Err(TellError::Stopped(_))) {
        tokio::task::yield_now().await;
    }
    go.send(()).expect("it waits");
    assert!(asked.await.expect("no panic").is_ok());
    actor.stopped().await;
    log.expect(&["a up", "a stopping", "a down"]).await;
}

#[tokio::test]
async fn a_handler_that_outlasts_the_drain_limit_is_cut_off() {
    let (mut log, system) = (Log::new(), system());
    let actor =
        system.spawn(log.probe("a").drain(Duration::from_millis(30))).expect("the name is free");
    let _go = hold(&actor).await;
    let asked = tokio::spawn({
        let actor = actor.clone();
        async move { actor.ask(Add(2), SOON).await }
    });
    while system.tree().find("/a").expect("it lives").depth == 0 {
        tokio::task::yield_now().await;
    }
    actor.stop();
    assert_eq!(asked.await.expect("no panic"), Err(AskError::Stopped));
    actor.stopped().await;
    log.expect(&["a up", "a down"]).await;
}

#[tokio::test]
async fn a_system_stops_in_reverse_order_and_children_first() {
    let (mut log, system) = (Log::new(), system());
    for name in ["a", "b"] {
        let children = vec![log.probe(&format!("{name}1")), log.probe(&format!("{name}2"))];
        system.spawn_ready(log.parent(name, children), SOON).await.expect("the name is free");
    }
    log.expect_unordered(&["a up", "a1 up", "a2 up", "b up", "b1 up", "b2 up"]).await;
    let report = system.shutdown(SOON).await;
    assert!(report.is_clean(), "{report:?}");
    log.expect(&["b stopping", "b2 stopping", "b2 down", "b1 stopping", "b1 down", "b down"]).await;
    log.expect(&["a stopping", "a2 stopping", "a2 down", "a1 stopping", "a1 down", "a down"]).await;
    assert!(matches!(system.spawn(log.probe("c")), Err(SpawnError::Stopping { .. })));
    assert_eq!(system.terminated().await.to_string(), "the system was shut down");
}

/// Never gets through `init`.
struct Stuck;

impl Actor for Stuck {
    const KIND: &'static str = "stuck";
    type Args = ();

    async fn init((): &(), _: &mut Context<Self>) -> Result<Self, Failure> {
        std::future::pending().await
    }
}

#[tokio::test]
async fn a_stop_does_not_wait_for_init() {
    let system = system();
    let stuck = system.spawn(ChildSpec::<Stuck>::new(())).expect("the name is free");
    stuck.stop();
    tokio::time::timeout(SOON, stuck.stopped()).await.expect("init is dropped");
    let within = Duration::from_millis(20);
    let refused =
        system.spawn_ready(ChildSpec::<Stuck>::new(()), within).await.expect_err("it is stuck");
    assert!(matches!(refused, SpawnError::NotReady { .. }));
}

/// Panics when it is dropped.
struct Grudge;

impl Actor for Grudge {
    const KIND: &'static str = "grudge";
    type Args = ();

    async fn init((): &(), _: &mut Context<Self>) -> Result<Self, Failure> {
        Ok(Self)
    }

    async fn stopping(&mut self, _: &mut Context<Self>) {
        panic!("in stopping")
    }
}

impl Drop for Grudge {
    fn drop(&mut self) {
        panic!("in drop")
    }
}

#[tokio::test]
async fn panics_in_stopping_and_in_drop_do_not_get_out() {
    let system = system();
    let actor =
        system.spawn_ready(ChildSpec::<Grudge>::new(()), SOON).await.expect("the name is free");
    actor.stop();
    tokio::time::timeout(SOON, actor.stopped()).await.expect("it ends");
    assert!(system.shutdown(SOON).await.is_clean());
}

#[tokio::test]
async fn dropping_the_last_handle_ends_the_actors() {
    let (mut log, system) = (Log::new(), system());
    let actor = system.spawn(log.probe("a")).expect("the name is free");
    log.expect(&["a up"]).await;
    drop(system);
    tokio::time::timeout(SOON, actor.stopped()).await.expect("it ends");
    log.expect(&["a down"]).await;
    assert_eq!(actor.ask(Add(1), SOON).await, Err(AskError::Stopped));
}

/// Blocks its thread.
struct Blocker;

impl Actor for Blocker {
    const KIND: &'static str = "blocker";
    type Args = std::sync::Arc<(tokio::sync::Notify, std::sync::Barrier)>;

    async fn init(args: &Self::Args, ctx: &mut Context<Self>) -> Result<Self, Failure> {
        let args = args.clone();
        ctx.spawn_task(async move {
            args.0.notify_one();
            args.1.wait();
        });
        Ok(Self)
    }
}

#[tokio::test]
async fn a_thread_that_is_blocked_is_given_up_and_named() {
    use oa_runtime::Affinity;
    let system = system();
    let args = std::sync::Arc::new((tokio::sync::Notify::new(), std::sync::Barrier::new(2)));
    let spec =
        ChildSpec::<Blocker>::new(args.clone()).drain(Duration::ZERO).arbiter(Affinity::Dedicated);
    system.spawn_ready(spec, SOON).await.expect("the name is free");
    args.0.notified().await;
    let report = system.shutdown(SOON).await;
    assert_eq!(report.abandoned, ["/blocker"]);
    args.1.wait();
}
