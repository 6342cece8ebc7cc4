//! An actor that does what a message says.

use oa_runtime::{
    Actor, Backoff, ChildSpec, Context, DeliveryInfo, Failure, Handler, Message, Wire,
};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use crate::fixture::Fixture;

/// What a message tells the probe to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Task {
    /// Answer with this number.
    Answer(u32),
    /// Fail, in a way that may pass.
    Fail,
    /// Fail for good.
    Refuse,
    /// Fail at the first attempt for no fault of the message, answer at the next.
    FailOnceWithoutBlame,
    /// Panic at the first attempt, answer at the next.
    PanicOnce,
    /// Panic each time.
    Panic,
    /// Never answer.
    Hang,
}

/// A message for the probe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Do(pub(crate) Task);

impl Message for Do {
    type Reply = u32;
}

impl Wire for Do {
    const NAME: &'static str = "conformance.do";
    const VERSION: u16 = 2;
}

/// What reached the probe.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) task: Task,
    pub(crate) delivery: DeliveryInfo,
}

pub(crate) struct Probe {
    seen: mpsc::UnboundedSender<Seen>,
}

impl Actor for Probe {
    const KIND: &'static str = "conformance-probe";
    type Args = mpsc::UnboundedSender<Seen>;

    async fn init(seen: &Self::Args, _: &mut Context<Self>) -> Result<Self, Failure> {
        Ok(Self { seen: seen.clone() })
    }
}

impl Handler<Do> for Probe {
    async fn handle(&mut self, Do(task): Do, ctx: &mut Context<Self>) -> Result<u32, Failure> {
        let delivery = ctx
            .delivery()
            .cloned()
            .ok_or_else(|| Failure::permanent("it came through a transport"))?;
        let attempt = delivery.attempt;
        // The case may have ended.
        drop(self.seen.send(Seen { task: task.clone(), delivery }));
        match task {
            Task::Answer(number) => Ok(number),
            Task::Fail => Err(Failure::new("not now")),
            Task::Refuse => Err(Failure::permanent("never")),
            Task::PanicOnce | Task::FailOnceWithoutBlame if attempt > 1 => Ok(0),
            Task::FailOnceWithoutBlame => Err(Failure::new("the disk is full").blameless()),
            Task::PanicOnce | Task::Panic => panic!("as told"),
            Task::Hang => std::future::pending().await,
        }
    }
}

/// What reaches the probes of a case.
pub(crate) struct Reports(mpsc::UnboundedReceiver<Seen>);

impl Reports {
    pub(crate) async fn next(&mut self) -> Seen {
        let next = tokio::time::timeout(crate::fixture::SOON, self.0.recv()).await;
        next.expect("a message comes soon").expect("the probe lives")
    }

    pub(crate) fn try_next(&mut self) -> Option<Seen> {
        self.0.try_recv().ok()
    }
}

/// Starts a probe with a mailbox of this size.
pub(crate) fn probe(fixture: &Fixture, capacity: usize) -> (oa_runtime::ActorRef<Probe>, Reports) {
    let (sender, seen) = mpsc::unbounded_channel();
    let spec = ChildSpec::<Probe>::new(sender)
        .name(format!("probe-{}", oa_runtime::MessageId::next()))
        .backoff(Backoff::none())
        .drain(std::time::Duration::from_millis(100))
        .mailbox(capacity);
    (fixture.system.spawn(spec).expect("the name is fresh"), Reports(seen))
}
