//! Restarts, groups, escalation.

use std::time::Duration;

use oa_runtime::{
    Actor, ActorState, Backoff, ChildSpec, Context, Failure, RestartPolicy, SpawnError, Strategy,
};

use crate::support::{Add, Adopt, Crash, Dismiss, Finish, Log, Panic, SOON, hold, system};

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_permanent_child_returns_from_everything_but_an_order() {
    let (mut log, system) = (Log::new(), system());
    let actor = system.spawn(log.probe("a")).expect("the name is free");
    actor.tell(Crash).expect("there is room");
    log.expect(&["a up", "a down", "a up"]).await;
    actor.tell(Finish).expect("there is room");
    log.expect(&["a stopping", "a down", "a up"]).await;
    actor.stop();
    log.expect(&["a stopping", "a down"]).await;
    actor.stopped().await;
}

#[tokio::test]
async fn a_transient_child_returns_only_from_a_failure() {
    let (mut log, system) = (Log::new(), system());
    let actor =
        system.spawn(log.probe("a").restart(RestartPolicy::Transient)).expect("the name is free");
    actor.tell(Panic).expect("there is room");
    log.expect(&["a up", "a down", "a up"]).await;
    actor.tell(Finish).expect("there is room");
    actor.stopped().await;
    log.expect(&["a stopping", "a down"]).await;
    assert_eq!(system.tree().count(), 1, "it is forgotten");
}

#[tokio::test]
async fn a_temporary_child_does_not_return() {
    let (mut log, system) = (Log::new(), system());
    let actor =
        system.spawn(log.probe("a").restart(RestartPolicy::Temporary)).expect("the name is free");
    actor.tell(Panic).expect("there is room");
    actor.stopped().await;
    log.expect(&["a up", "a down"]).await;
    system.spawn(log.probe("a")).expect("the name is free again");
}

#[tokio::test]
async fn one_for_all_halts_in_reverse_order_and_starts_in_order() {
    let (mut log, system) = (Log::new(), system());
    let children = vec![log.probe("a"), log.probe("b"), log.probe("c")];
    let parent = log.parent("top", children).strategy(Strategy::OneForAll);
    system.spawn(parent).expect("the name is free");
    log.expect_unordered(&["a up", "b up", "c up", "top up"]).await;
    let b = system.lookup::<crate::support::Probe>("/top/b").expect("it lives");
    b.tell(Crash).expect("there is room");
    log.expect(&["b down", "c stopping", "c down", "a stopping", "a down", "a up", "b up", "c up"])
        .await;
    assert_eq!(b.ask(Add(1), SOON).await, Ok(1), "its address is the same");
}

#[tokio::test]
async fn rest_for_one_spares_what_was_started_before() {
    let (mut log, system) = (Log::new(), system());
    let children = vec![log.probe("a"), log.probe("b"), log.probe("c")];
    let parent = log.parent("top", children).strategy(Strategy::RestForOne);
    system.spawn(parent).expect("the name is free");
    log.expect_unordered(&["a up", "b up", "c up", "top up"]).await;
    let b = system.lookup::<crate::support::Probe>("/top/b").expect("it lives");
    b.tell(Crash).expect("there is room");
    log.expect(&["b down", "c stopping", "c down", "b up", "c up"]).await;
    assert!(log.is_silent());
}

#[tokio::test]
async fn messages_to_a_halted_sibling_wait_for_its_return() {
    let (mut log, system) = (Log::new(), system());
    let children = vec![log.probe("a"), log.probe("b")];
    let parent = log.parent("top", children).strategy(Strategy::OneForAll);
    system.spawn(parent).expect("the name is free");
    log.expect_unordered(&["a up", "b up", "top up"]).await;
    let a = system.lookup::<crate::support::Probe>("/top/a").expect("it lives");
    let b = system.lookup::<crate::support::Probe>("/top/b").expect("it lives");
    let go = hold(&a).await;
    a.tell(Add(3)).expect("there is room");
    b.tell(Crash).expect("there is room");
    log.expect(&["b down"]).await;
    go.send(()).expect("it waits");
    log.expect(&["a stopping", "a down", "a up"]).await;
    assert_eq!(a.ask(Add(1), SOON).await, Ok(4));
}

#[tokio::test]
async fn too_many_failures_of_a_child_fail_its_parent() {
    let (mut log, system) = (Log::new(), system());
    let parent = log.parent("top", vec![log.probe("a")]).intensity(1, MINUTE);
    let top = system.spawn(parent).expect("the name is free");
    log.expect_unordered(&["a up", "top up"]).await;
    for _ in 0..2 {
        let a = system.lookup::<crate::support::Probe>("/top/a").expect("it lives");
        a.tell(Crash).expect("there is room");
        log.expect(&["a down"]).await;
        let _next = log.next().await;
    }
    // The second failure was one too many: the parent went down and came back with a child that is new.
    log.expect_unordered(&["a up", "top up"]).await;
    assert_eq!(top.ask(Add(1), SOON).await, Ok(1));
    let node = system.tree().find("/top").cloned().expect("it lives");
    assert_eq!(node.restarts, 1);
    assert!(node.last_failure.expect("it failed").contains("2 failures of children within 60s"));
}

#[tokio::test]
async fn the_system_is_terminated_when_the_root_gives_up() {
    let (mut log, system) =
        (Log::new(), oa_runtime::System::builder("test").intensity(0, MINUTE).build());
    let a = system.spawn(log.probe("a")).expect("the name is free");
    let b = system.spawn(log.probe("b")).expect("the name is free");
    log.expect_unordered(&["a up", "b up"]).await;
    a.tell(Panic).expect("there is room");
    let failure = tokio::time::timeout(SOON, system.terminated()).await.expect("it gives up");
    assert!(failure.to_string().contains("panicked: as told"), "{failure}");
    b.stopped().await;
    log.expect(&["a down", "b stopping", "b down"]).await;
    assert!(matches!(system.spawn(log.probe("c")), Err(SpawnError::Stopping { .. })));
}

#[tokio::test]
async fn a_child_rests_between_failures_and_its_messages_wait() {
    let (mut log, system) = (Log::new(), system());
    let rest = Duration::from_millis(60);
    let spec = log.probe("a").backoff(Backoff::doubling(rest, rest));
    let actor = system.spawn(spec).expect("the name is free");
    log.expect(&["a up"]).await;
    let begun = std::time::Instant::now();
    actor.tell(Panic).expect("there is room");
    log.expect(&["a down"]).await;
    assert_eq!(actor.ask(Add(1), SOON).await, Ok(1));
    assert!(begun.elapsed() >= rest / 2);
}

#[tokio::test]
async fn a_stop_does_not_wait_for_a_rest() {
    let (mut log, system) = (Log::new(), system());
    let long = Backoff::doubling(MINUTE, MINUTE);
    let actor = system.spawn(log.probe("a").backoff(long)).expect("the name is free");
    actor.tell(Panic).expect("there is room");
    log.expect(&["a up", "a down"]).await;
    while system.tree().children[0].state != ActorState::BackingOff {
        tokio::task::yield_now().await;
    }
    let asked = tokio::spawn({
        let actor = actor.clone();
        async move { actor.ask(Add(1), SOON).await }
    });
    actor.stop();
    actor.stopped().await;
    assert_eq!(asked.await.expect("no panic"), Err(oa_runtime::AskError::Stopped));
    assert!(system.shutdown(SOON).await.is_clean());
}

/// Fails in `init` as often as told.
struct Reluctant;

impl Actor for Reluctant {
    const KIND: &'static str = "reluctant";
    type Args = std::sync::Arc<std::sync::atomic::AtomicU32>;

    async fn init(failures: &Self::Args, _: &mut Context<Self>) -> Result<Self, Failure> {
        let less = |left: u32| left.checked_sub(1);
        let order = std::sync::atomic::Ordering::SeqCst;
        match failures.fetch_update(order, order, less) {
            Ok(_) => Err(Failure::new("not yet")),
            Err(_) => Ok(Self),
        }
    }
}

#[tokio::test]
async fn a_failed_init_is_a_failure_of_the_actor() {
    let system = system();
    let spec = ChildSpec::<Reluctant>::new(std::sync::Arc::new(2.into())).backoff(Backoff::none());
    system.spawn(spec).expect("the name is free");
    let deadline = std::time::Instant::now() + SOON;
    while system.tree().children[0].state != ActorState::Running {
        assert!(std::time::Instant::now() < deadline, "it starts at the third time");
        tokio::task::yield_now().await;
    }
    assert_eq!(system.tree().children[0].restarts, 2);
}

#[tokio::test]
async fn whoever_waits_for_the_first_start_gets_its_failure() {
    let system = system();
    let spec = ChildSpec::<Reluctant>::new(std::sync::Arc::new(1.into())).backoff(Backoff::none());
    let refused = system.spawn_ready(spec.clone(), SOON).await.expect_err("it fails");
    assert!(
        matches!(refused, SpawnError::Init { failure, .. } if failure.to_string() == "not yet")
    );
    system.spawn_ready(spec, SOON).await.expect("the name is free, and there is no failure left");
}

#[tokio::test]
async fn children_are_named_once_and_stopped_by_name() {
    let (log, system) = (Log::new(), system());
    let top = system.spawn(log.probe("top")).expect("the name is free");
    let child = top.ask(Adopt(log.probe("a")), SOON).await.expect("the name is free");
    assert_eq!(child.path().as_str(), "/top/a");
    let again = top.ask(Adopt(log.probe("a")), SOON).await.expect_err("it is taken");
    assert_eq!(again.to_string(), "`/top/a` exists already");
    assert_eq!(top.ask(Dismiss("a"), SOON).await, Ok(1));
    child.stopped().await;
    top.ask(Adopt(log.probe("a")), SOON).await.expect("the name is free again");
    assert!(matches!(system.spawn(log.probe("x/y")), Err(SpawnError::InvalidName { .. })));
}

#[tokio::test]
async fn a_parent_that_fails_takes_its_children_with_it() {
    let (mut log, system) = (Log::new(), system());
    let top = system
        .spawn(log.parent("top", vec![log.probe("a"), log.probe("b")]))
        .expect("the name is free");
    log.expect_unordered(&["a up", "b up", "top up"]).await;
    top.tell(Crash).expect("there is room");
    log.expect(&["b stopping", "b down", "a stopping", "a down", "top down"]).await;
    log.expect_unordered(&["a up", "b up", "top up"]).await;
}
