//! Tells, asks and retries through a post office, with actors.

use std::sync::Arc;
use std::time::Duration;

use oa_runtime::transport::MessageId;
use oa_runtime::{
    Address, AskError, Backoff, Envelope, Mailbox, PostOffice, Recipient, Seal, Subscription,
};

use crate::fixture::{Fixture, SOON};
use crate::probe::{Do, Probe, Reports, Task, probe};
use crate::settling::until_parked;

const NO_TIME: Backoff = Backoff::doubling(Duration::from_millis(1), Duration::from_millis(1));

/// A probe behind a mailbox, and a node elsewhere that writes to it.
struct Served {
    address: Address,
    reports: Reports,
    subscription: Subscription,
    elsewhere: PostOffice,
    recipient: Recipient<Do>,
}

async fn serve(fixture: &Fixture) -> Served {
    serve_with(fixture, 64).await
}

async fn serve_with(fixture: &Fixture, capacity: usize) -> Served {
    let address = fixture.fresh();
    let (actor, reports) = probe(fixture, capacity);
    let mailbox =
        Mailbox::new(address.clone()).accept::<Do, Probe>(&actor).attempts(3).retry(NO_TIME);
    let subscription = fixture.office("here").serve(mailbox).await.expect("the mailbox is fresh");
    let elsewhere = fixture.office("elsewhere");
    let recipient = elsewhere.recipient(&address);
    Served { address, reports, subscription, elsewhere, recipient }
}

fn envelope(to: &Address, task: Task) -> Envelope {
    Envelope::new(to, &Do(task)).expect("it is short")
}

/// One way.
pub async fn a_tell_reaches_the_actor(fixture: &Fixture) {
    let mut served = serve(fixture).await;
    served.recipient.tell(Do(Task::Answer(1))).expect("the window is empty");
    served.recipient.send(Do(Task::Answer(2))).await.expect("the mailbox exists");
    let mut tasks = [served.reports.next().await.task, served.reports.next().await.task];
    tasks.sort_by_key(|task| format!("{task:?}"));
    assert_eq!(tasks, [Task::Answer(1), Task::Answer(2)]);
}

/// There and back.
pub async fn an_ask_is_answered(fixture: &Fixture) {
    let served = serve(fixture).await;
    for number in 0..20 {
        assert_eq!(served.recipient.ask(Do(Task::Answer(number)), SOON).await, Ok(number));
    }
    assert_eq!(served.elsewhere.in_flight(), 0);
}

/// Local and remote fail alike.
pub async fn an_ask_gets_the_failure_of_the_handler(fixture: &Fixture) {
    let served = serve(fixture).await;
    let failed = served.recipient.ask(Do(Task::Fail), SOON).await;
    assert_eq!(failed, Err(AskError::Failed { text: "not now".into(), retryable: true }));
    let refused = served.recipient.ask(Do(Task::Refuse), SOON).await;
    assert_eq!(refused, Err(AskError::Failed { text: "never".into(), retryable: false }));
}

/// No ask hangs.
pub async fn an_ask_has_a_deadline(fixture: &Fixture) {
    let served = serve(fixture).await;
    let deadline = Duration::from_millis(100);
    let late = served.recipient.ask(Do(Task::Hang), deadline).await;
    assert_eq!(late, Err(AskError::Timeout { after: deadline }));
}

/// Nobody there is an answer too.
pub async fn an_ask_to_nobody_has_no_route(fixture: &Fixture) {
    let address = fixture.fresh();
    let nobody: Recipient<Do> = fixture.office("elsewhere").recipient(&address);
    assert_eq!(nobody.ask(Do(Task::Answer(1)), SOON).await, Err(AskError::NoRoute { address }));
}

/// A panic far away is an error here.
pub async fn a_crash_answers_the_asker(fixture: &Fixture) {
    let served = serve(fixture).await;
    let crashed = served.recipient.ask(Do(Task::Panic), SOON).await;
    assert_eq!(
        crashed,
        Err(AskError::Failed { text: "panicked: as told".into(), retryable: true })
    );
    assert_eq!(served.recipient.ask(Do(Task::Answer(7)), SOON).await, Ok(7));
}

/// What an inbox table needs.
pub async fn a_handler_knows_its_delivery(fixture: &Fixture) {
    let mut served = serve(fixture).await;
    let cause = MessageId::next();
    let sent = envelope(&served.address, Task::Answer(1)).with_key("key").with_cause(cause);
    served.elsewhere.publish(sent.clone()).await.expect("the mailbox exists");
    let delivery = served.reports.next().await.delivery;
    assert_eq!(delivery.message_id, sent.message_id);
    assert_eq!(delivery.idempotency_key, "key");
    assert_eq!(delivery.attempt, 1);
    assert_eq!(delivery.from_node.as_deref(), Some("elsewhere"));
    assert_eq!(delivery.cause, Some(cause));
}

/// Counted attempts, then a person.
pub async fn a_failed_delivery_is_retried_then_parked(fixture: &Fixture) {
    let mut served = serve(fixture).await;
    served.recipient.send(Do(Task::Fail)).await.expect("the mailbox exists");
    for attempt in 1..=3 {
        assert_eq!(served.reports.next().await.delivery.attempt, attempt);
    }
    let parked = until_parked(fixture, &served.address, 1).await;
    assert_eq!((parked[0].reason.as_str(), parked[0].envelope.attempt), ("not now", 3));
}

/// A full disk parks no message, however few attempts it has.
pub async fn a_failure_without_blame_is_retried_beyond_the_attempts(fixture: &Fixture) {
    let address = fixture.fresh();
    let (actor, mut reports) = probe(fixture, 8);
    let mailbox = Mailbox::new(address.clone()).accept::<Do, Probe>(&actor).attempts(1);
    let _subscription = fixture.office("here").serve(mailbox).await.expect("the mailbox is fresh");
    let recipient: Recipient<Do> = fixture.office("elsewhere").recipient(&address);
    recipient.send(Do(Task::FailOnceWithoutBlame)).await.expect("the mailbox exists");
    for attempt in 1..=2 {
        assert_eq!(reports.next().await.delivery.attempt, attempt);
    }
}

/// Trying again would not help.
pub async fn a_permanent_failure_is_parked_at_once(fixture: &Fixture) {
    let served = serve(fixture).await;
    served.recipient.send(Do(Task::Refuse)).await.expect("the mailbox exists");
    let parked = until_parked(fixture, &served.address, 1).await;
    assert_eq!((parked[0].reason.as_str(), parked[0].envelope.attempt), ("never", 1));
}

/// The message in hand is not lost with the state.
pub async fn a_crash_is_retried(fixture: &Fixture) {
    let mut served = serve(fixture).await;
    served.recipient.send(Do(Task::PanicOnce)).await.expect("the mailbox exists");
    assert_eq!(served.reports.next().await.delivery.attempt, 1);
    assert_eq!(served.reports.next().await.delivery.attempt, 2);
}

/// A relay publishes again when it does not know.
pub async fn the_same_key_is_handled_once(fixture: &Fixture) {
    let mut served = serve(fixture).await;
    let sent = envelope(&served.address, Task::Answer(1));
    for _ in 0..3 {
        served.elsewhere.publish(sent.clone()).await.expect("the mailbox exists");
    }
    let last = envelope(&served.address, Task::Answer(2));
    served.elsewhere.publish(last).await.expect("the mailbox exists");
    assert_eq!(served.reports.next().await.task, Task::Answer(1));
    assert_eq!(served.reports.next().await.task, Task::Answer(2));
    assert!(served.reports.try_next().is_none());
}

/// A checksum with a key: enough to see that what is signed arrives unchanged.
struct Checksum {
    key: u64,
}

impl Checksum {
    fn of(&self, envelope: &Envelope) -> String {
        let step = |sum: u64, byte: &u8| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        format!("{:x}", envelope.signed_content().iter().fold(self.key, step))
    }
}

impl Seal for Checksum {
    fn sign(&self, envelope: &mut Envelope) -> Result<(), String> {
        envelope.issuer = Some("somebody".to_owned());
        envelope.audience = Some(envelope.to.mailbox.clone());
        envelope.signature = Some(self.of(envelope));
        Ok(())
    }

    fn verify(&self, envelope: &Envelope) -> Result<(), String> {
        let holds = envelope.signature.as_deref() == Some(self.of(envelope).as_str());
        if holds { Ok(()) } else { Err("the signature does not hold".to_owned()) }
    }
}

/// Signatures survive the way; what has none does not get through.
pub async fn an_envelope_that_is_not_trusted_is_parked(fixture: &Fixture) {
    let address = fixture.fresh();
    let (actor, mut reports) = probe(fixture, 8);
    let seal = Arc::new(Checksum { key: 7 });
    let mailbox = Mailbox::new(address.clone()).accept::<Do, Probe>(&actor);
    let here = fixture.sealed_office("here", seal.clone());
    let _subscription = here.serve(mailbox).await.expect("the mailbox is fresh");
    let trusted: Recipient<Do> = fixture.sealed_office("elsewhere", seal).recipient(&address);
    assert_eq!(trusted.ask(Do(Task::Answer(1)), SOON).await, Ok(1));
    let seen = reports.next().await;
    assert_eq!(seen.delivery.issuer.as_deref(), Some("somebody"));
    let forger = fixture.sealed_office("forger", Arc::new(Checksum { key: 8 }));
    forger.recipient::<Do>(&address).send(Do(Task::Answer(2))).await.expect("the mailbox exists");
    let parked = until_parked(fixture, &address, 1).await;
    assert_eq!(parked[0].reason, "not trusted: the signature does not hold");
    assert!(reports.try_next().is_none());
}

/// A message for another release.
pub async fn what_nobody_accepts_is_parked(fixture: &Fixture) {
    let served = serve(fixture).await;
    let mut unknown = envelope(&served.address, Task::Answer(1));
    unknown.name = "conformance.unknown".to_owned();
    served.elsewhere.publish(unknown).await.expect("the mailbox exists");
    let parked = until_parked(fixture, &served.address, 1).await;
    assert!(
        parked[0].reason.contains("no handler for `conformance.unknown`"),
        "{}",
        parked[0].reason
    );
}

/// A message from a newer release.
pub async fn a_newer_version_is_parked(fixture: &Fixture) {
    let served = serve(fixture).await;
    let mut newer = envelope(&served.address, Task::Answer(1));
    newer.version = 3;
    served.elsewhere.publish(newer).await.expect("the mailbox exists");
    let parked = until_parked(fixture, &served.address, 1).await;
    assert!(parked[0].reason.contains("version 3, newer than 2"), "{}", parked[0].reason);
}

/// A mailbox of two and hundreds of messages.
pub async fn a_slow_actor_loses_nothing_and_keeps_the_order(fixture: &Fixture) {
    let mut served = serve_with(fixture, 2).await;
    for number in 0..200 {
        served.recipient.send(Do(Task::Answer(number))).await.expect("the mailbox exists");
    }
    for number in 0..200 {
        assert_eq!(served.reports.next().await.task, Task::Answer(number));
    }
}

/// A node leaves and another comes.
pub async fn a_closed_mailbox_keeps_what_comes_for_the_next(fixture: &Fixture) {
    let mut served = serve(fixture).await;
    served.recipient.send(Do(Task::Answer(1))).await.expect("the mailbox exists");
    assert_eq!(served.reports.next().await.task, Task::Answer(1));
    assert_eq!(served.subscription.close().await, 0);
    served.recipient.send(Do(Task::Answer(2))).await.expect("the mailbox exists");
    let (actor, mut reports) = probe(fixture, 8);
    let mailbox = Mailbox::new(served.address).accept::<Do, Probe>(&actor);
    let _next = fixture.office("next").serve(mailbox).await.expect("the mailbox exists");
    assert_eq!(reports.next().await.task, Task::Answer(2));
}
