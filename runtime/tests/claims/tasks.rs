//! Timers and tasks.

use std::time::Duration;

use oa_runtime::{Actor, Backoff, ChildSpec, Context, Failure, Handler, Message, TimerHandle};
use tokio::sync::mpsc;

use crate::support::{SOON, system};

/// Reports what reaches it.
struct Clock {
    said: mpsc::UnboundedSender<&'static str>,
    timer: Option<TimerHandle>,
}

#[derive(Clone)]
struct Say(&'static str);
struct After(Duration, &'static str);
struct Every(Duration, &'static str);
struct Pipe(&'static str);
struct PanicInTask;
struct Cancel;
struct Fail;

macro_rules! tells {
    ($($name:ident),*) => { $(impl Message for $name { type Reply = (); })* };
}
tells!(Say, After, Every, Pipe, PanicInTask, Cancel, Fail);

/// Says `dropped` when the task that holds it is dropped.
struct Held(mpsc::UnboundedSender<&'static str>);

impl Drop for Held {
    fn drop(&mut self) {
        let _ = self.0.send("dropped");
    }
}

impl Actor for Clock {
    const KIND: &'static str = "clock";
    type Args = mpsc::UnboundedSender<&'static str>;

    async fn init(said: &Self::Args, ctx: &mut Context<Self>) -> Result<Self, Failure> {
        let held = Held(said.clone());
        ctx.spawn_task(async move {
            let _held = held;
            std::future::pending().await
        });
        said.send("up")?;
        Ok(Self { said: said.clone(), timer: None })
    }
}

impl Handler<Say> for Clock {
    async fn handle(&mut self, Say(what): Say, _: &mut Context<Self>) -> Result<(), Failure> {
        Ok(self.said.send(what)?)
    }
}

impl Handler<After> for Clock {
    async fn handle(
        &mut self,
        After(after, what): After,
        ctx: &mut Context<Self>,
    ) -> Result<(), Failure> {
        self.timer = Some(ctx.notify_after(after, Say(what)));
        Ok(())
    }
}

impl Handler<Every> for Clock {
    async fn handle(
        &mut self,
        Every(every, what): Every,
        ctx: &mut Context<Self>,
    ) -> Result<(), Failure> {
        self.timer = Some(ctx.notify_every(every, Say(what)));
        Ok(())
    }
}

impl Handler<Pipe> for Clock {
    async fn handle(&mut self, Pipe(what): Pipe, ctx: &mut Context<Self>) -> Result<(), Failure> {
        ctx.pipe(async move { Say(what) });
        Ok(())
    }
}

impl Handler<PanicInTask> for Clock {
    async fn handle(&mut self, _: PanicInTask, ctx: &mut Context<Self>) -> Result<(), Failure> {
        ctx.spawn_task(async { panic!("in a task") });
        Ok(())
    }
}

impl Handler<Cancel> for Clock {
    async fn handle(&mut self, _: Cancel, _: &mut Context<Self>) -> Result<(), Failure> {
        if let Some(timer) = self.timer.take() {
            timer.cancel();
        }
        Ok(())
    }
}

impl Handler<Fail> for Clock {
    async fn handle(&mut self, _: Fail, ctx: &mut Context<Self>) -> Result<(), Failure> {
        ctx.fail(Failure::new("as told"));
        Ok(())
    }
}

struct Test {
    said: mpsc::UnboundedReceiver<&'static str>,
    clock: oa_runtime::ActorRef<Clock>,
    system: oa_runtime::System,
}

async fn clock() -> Test {
    let (sender, said) = mpsc::unbounded_channel();
    let system = system();
    let spec = ChildSpec::<Clock>::new(sender).backoff(Backoff::none()).mailbox(1);
    let clock = system.spawn(spec).expect("the name is free");
    let mut test = Test { said, clock, system };
    test.expect("up").await;
    test
}

impl Test {
    async fn expect(&mut self, what: &str) {
        let said = tokio::time::timeout(SOON, self.said.recv()).await;
        assert_eq!(said.expect("something is said soon"), Some(what));
    }

    async fn tell<M: Message>(&self, message: M)
    where
        Clock: Handler<M>,
    {
        self.clock.send(message).await.expect("it lives");
    }
}

#[tokio::test]
async fn a_timer_sends_once() {
    let mut test = clock().await;
    test.tell(After(Duration::from_millis(1), "tick")).await;
    test.expect("tick").await;
}

#[tokio::test]
async fn a_timer_sends_again_and_again_until_it_is_cancelled() {
    let mut test = clock().await;
    test.tell(Every(Duration::from_millis(1), "tick")).await;
    for _ in 0..3 {
        test.expect("tick").await;
    }
    test.clock.ask(Cancel, SOON).await.expect("it lives");
    while test.said.try_recv().is_ok() {}
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(test.said.try_recv().is_err());
}

#[tokio::test]
async fn timers_and_tasks_end_with_the_incarnation_before_the_next_begins() {
    let mut test = clock().await;
    test.tell(After(Duration::from_millis(30), "late")).await;
    test.tell(Fail).await;
    test.expect("dropped").await;
    test.expect("up").await;
    tokio::time::sleep(Duration::from_millis(60)).await;
    assert!(test.said.try_recv().is_err(), "the timer of the first incarnation is gone");
    assert!(test.system.shutdown(SOON).await.is_clean());
    test.expect("dropped").await;
}

#[tokio::test]
async fn the_result_of_a_task_comes_back_as_a_message() {
    let mut test = clock().await;
    test.tell(Pipe("done")).await;
    test.expect("done").await;
}

#[tokio::test]
async fn a_panic_in_a_task_fails_the_actor() {
    let mut test = clock().await;
    test.tell(PanicInTask).await;
    test.expect("dropped").await;
    test.expect("up").await;
    assert_eq!(test.system.tree().find("/clock").expect("it lives").restarts, 1);
}
