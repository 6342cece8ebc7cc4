//! Messages, mailboxes, references.

use std::time::Duration;

use oa_runtime::{AskError, Switch, TellError};

use crate::support::{Add, Crash, Finish, Hold, Log, Panic, Refuse, SOON, hold, system};

#[tokio::test]
async fn messages_are_handled_in_order_and_asks_are_answered() {
    let (log, system) = (Log::new(), system());
    let actor = system.spawn(log.probe("a")).expect("the name is free");
    actor.tell(Add(1)).expect("there is room");
    actor.send(Add(2)).await.expect("it lives");
    assert_eq!(actor.ask(Add(3), SOON).await, Ok(6));
}

#[tokio::test]
async fn a_panic_keeps_the_address_and_the_queue() {
    let (mut log, system) = (Log::new(), system());
    let actor = system.spawn(log.probe("a")).expect("the name is free");
    log.expect(&["a up"]).await;
    let go = hold(&actor).await;
    actor.tell(Panic).expect("there is room");
    actor.tell(Add(5)).expect("there is room");
    go.send(()).expect("it waits");
    assert_eq!(
        actor.ask(Add(1), SOON).await,
        Ok(6),
        "the message behind the panic is counted, from zero"
    );
    log.expect(&["a down", "a up"]).await;
    assert_eq!(system.tree().find("/a").expect("it lives").restarts, 1);
}

#[tokio::test]
async fn the_asker_of_a_panic_is_told() {
    let (log, system) = (Log::new(), system());
    let actor = system.spawn(log.probe("a")).expect("the name is free");
    let error = actor.ask(Panic, SOON).await.expect_err("it panics");
    assert_eq!(error, AskError::Failed { text: "panicked: as told".into(), retryable: true });
}

#[tokio::test]
async fn an_error_fails_the_message_and_not_the_actor() {
    let (log, system) = (Log::new(), system());
    let actor = system.spawn(log.probe("a")).expect("the name is free");
    actor.tell(Add(4)).expect("there is room");
    let error = actor.ask(Refuse, SOON).await.expect_err("it refuses");
    assert_eq!(error, AskError::Failed { text: "no".into(), retryable: false });
    assert_eq!(actor.ask(Add(0), SOON).await, Ok(4));
}

#[tokio::test]
async fn a_handler_is_not_interrupted_by_the_next_message() {
    let (log, system) = (Log::new(), system());
    let actor = system.spawn(log.probe("a")).expect("the name is free");
    let go = hold(&actor).await;
    let deadline = Duration::from_millis(20);
    assert_eq!(actor.ask(Add(1), deadline).await, Err(AskError::Timeout { after: deadline }));
    go.send(()).expect("it waits");
    assert_eq!(
        actor.ask(Add(1), SOON).await,
        Ok(1),
        "nobody waited for the first question any more"
    );
}

#[tokio::test]
async fn a_full_mailbox_gives_the_message_back() {
    let (log, system) = (Log::new(), system());
    let actor = system.spawn(log.probe("a").mailbox(2)).expect("the name is free");
    let go = hold(&actor).await;
    actor.tell(Add(1)).expect("there is room");
    actor.tell(Add(1)).expect("there is room");
    let error = actor.tell(Add(7)).expect_err("there is none");
    assert!(matches!(error, TellError::Full(Add(7))));
    assert_eq!(actor.ask(Add(1), SOON).await, Err(AskError::Full));
    let waits = tokio::spawn({
        let actor = actor.clone();
        async move { actor.send(Add(5)).await }
    });
    go.send(()).expect("it waits");
    waits.await.expect("no panic").expect("room comes");
    let sum = loop {
        match actor.ask(Add(0), SOON).await {
            Err(AskError::Full) => tokio::task::yield_now().await,
            other => break other,
        }
    };
    assert_eq!(sum, Ok(7));
}

#[tokio::test]
async fn an_actor_that_has_ended_answers_at_once() {
    let (log, system) = (Log::new(), system());
    let actor = system.spawn(log.probe("a")).expect("the name is free");
    actor.stop();
    actor.stopped().await;
    assert!(actor.is_stopped());
    assert!(matches!(actor.tell(Add(1)), Err(TellError::Stopped(Add(1)))));
    assert!(matches!(actor.send(Add(1)).await, Err(TellError::Stopped(_))));
    assert_eq!(actor.ask(Add(1), SOON).await, Err(AskError::Stopped));
}

#[tokio::test]
async fn what_waits_in_the_mailbox_of_an_actor_that_ends_is_answered() {
    use oa_runtime::RestartPolicy::Transient;
    let (log, system) = (Log::new(), system());
    let mut dead = system.dead_letters();
    let actor = system.spawn(log.probe("a").restart(Transient)).expect("the name is free");
    let go = hold(&actor).await;
    actor.tell(Finish).expect("there is room");
    actor.tell(Add(1)).expect("there is room");
    let asked = tokio::spawn({
        let actor = actor.clone();
        async move { actor.ask(Add(1), SOON).await }
    });
    tokio::task::yield_now().await;
    go.send(()).expect("it waits");
    assert_eq!(asked.await.expect("no panic"), Err(AskError::Stopped));
    let letter = dead.recv().await.expect("one is lost");
    assert_eq!(letter.path.as_str(), "/a");
}

#[tokio::test]
async fn a_busy_actor_leaves_its_neighbours_a_turn() {
    use oa_runtime::{Actor, ChildSpec, Context, Failure, Handler, Message, System};

    /// Sends itself messages until it is stopped.
    struct Selfish;
    #[derive(Clone)]
    struct Again;
    impl Message for Again {
        type Reply = ();
    }
    impl Actor for Selfish {
        const KIND: &'static str = "selfish";
        type Args = ();
        async fn init((): &(), ctx: &mut Context<Self>) -> Result<Self, Failure> {
            ctx.actor_ref().tell(Again)?;
            Ok(Self)
        }
    }
    impl Handler<Again> for Selfish {
        async fn handle(&mut self, _: Again, ctx: &mut Context<Self>) -> Result<(), Failure> {
            Ok(ctx.actor_ref().tell(Again)?)
        }
    }

    let (log, system) = (Log::new(), System::builder("test").arbiters(1).build());
    let selfish = system.spawn(ChildSpec::<Selfish>::new(())).expect("the name is free");
    let neighbour = system.spawn(log.probe("a")).expect("the name is free");
    assert_eq!(neighbour.ask(Add(1), SOON).await, Ok(1));
    selfish.stop();
}

#[tokio::test]
async fn a_recipient_hides_the_type_and_a_switch_exchanges_the_target() {
    let (log, system) = (Log::new(), system());
    let first = system.spawn(log.probe("a")).expect("the name is free");
    let second = system.spawn(log.probe("b")).expect("the name is free");
    let switch = Switch::new(first.recipient::<Add>());
    let recipient = switch.recipient();
    assert_eq!(recipient.ask(Add(1), SOON).await, Ok(1));
    switch.point_to(second.recipient());
    assert_eq!(recipient.ask(Add(5), SOON).await, Ok(5));
}

#[tokio::test]
async fn an_actor_is_found_by_its_path() {
    let (mut log, system) = (Log::new(), system());
    let parent = log.parent("a", vec![log.probe("b")]);
    system.spawn(parent).expect("the name is free");
    log.expect_unordered(&["a up", "b up"]).await;
    let found = system.lookup::<crate::support::Probe>("/a/b").expect("it lives");
    assert_eq!(found.path().as_str(), "/a/b");
    assert!(system.lookup::<crate::support::Probe>("/a/c").is_none());
}

#[tokio::test]
async fn the_tree_shows_the_message_in_hand() {
    let (log, system) = (Log::new(), system());
    let actor = system.spawn(log.probe("a")).expect("the name is free");
    let _go = hold(&actor).await;
    actor.tell(Add(1)).expect("there is room");
    let tree = system.tree();
    let node = tree.find("/a").expect("it lives");
    assert_eq!(node.message.as_deref(), Some("Hold"));
    assert_eq!(node.depth, 1);
    let json = serde_json::to_string(&tree).expect("serialisable");
    assert_eq!(
        serde_json::from_str::<oa_runtime::TreeNode>(&json).expect("it was just written"),
        tree
    );
    let _ = (Crash, std::any::type_name::<Hold>());
}

#[tokio::test]
async fn two_systems_know_nothing_of_one_another() {
    let (log, one, other) = (Log::new(), system(), system());
    one.spawn(log.probe("a")).expect("the name is free");
    other.spawn(log.probe("a")).expect("the name is free there too");
    one.shutdown(SOON).await;
    assert_eq!(other.tree().count(), 2);
}
