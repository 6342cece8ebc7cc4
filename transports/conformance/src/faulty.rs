//! What must hold when messages are lost, doubled and delayed.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use oa_runtime::{AskError, Backoff, Envelope, Mailbox, PostOffice};

use crate::fixture::{Fixture, SOON};
use crate::probe::{Do, Probe, Reports, Task, probe};

const COUNT: u32 = 200;

async fn serve(fixture: &Fixture) -> (oa_runtime::Address, Reports, oa_runtime::Subscription) {
    let address = fixture.fresh();
    let (actor, reports) = probe(fixture, 64);
    let no_time = Backoff::doubling(Duration::from_millis(1), Duration::from_millis(1));
    let mailbox = Mailbox::new(address.clone()).accept::<Do, Probe>(&actor).retry(no_time);
    let subscription = fixture.office("here").serve(mailbox).await.expect("the mailbox is fresh");
    (address, reports, subscription)
}

/// Publishes until it is confirmed, as a relay does.
async fn deliver(office: &PostOffice, envelope: &Envelope) {
    let begun = Instant::now();
    while office.publish(envelope.clone()).await.is_err() {
        assert!(begun.elapsed() < SOON, "a publish is confirmed soon");
    }
}

async fn numbers(reports: &mut Reports, count: u32) -> BTreeSet<u32> {
    let mut seen = BTreeSet::new();
    while seen.len() < count as usize {
        let Task::Answer(number) = reports.next().await.task else { continue };
        assert!(seen.insert(number), "{number} is handled once");
    }
    seen
}

/// Effects are seen once, whatever happens on the way.
pub async fn what_was_confirmed_is_handled_once(fixture: &Fixture) {
    let (address, mut reports, _subscription) = serve(fixture).await;
    let office = fixture.office("elsewhere");
    for number in 0..COUNT {
        let envelope = Envelope::new(&address, &Do(Task::Answer(number))).expect("it is short");
        deliver(&office, &envelope).await;
    }
    assert_eq!(numbers(&mut reports, COUNT).await.len(), COUNT as usize);
}

/// An error says "unknown", and the same envelope may be published again.
pub async fn a_publish_that_failed_can_be_repeated(fixture: &Fixture) {
    let (address, mut reports, _subscription) = serve(fixture).await;
    let office = fixture.office("elsewhere");
    let envelope = Envelope::new(&address, &Do(Task::Answer(1))).expect("it is short");
    for _ in 0..20 {
        deliver(&office, &envelope).await;
    }
    let last = Envelope::new(&address, &Do(Task::Answer(2))).expect("it is short");
    deliver(&office, &last).await;
    assert_eq!(numbers(&mut reports, 2).await, BTreeSet::from([1, 2]));
}

/// No ask hangs, and an answer belongs to its question.
pub async fn an_ask_ends_with_an_answer_or_an_error(fixture: &Fixture) {
    let (address, _reports, _subscription) = serve(fixture).await;
    let recipient = fixture.office("elsewhere").recipient::<Do>(&address);
    let mut answered = 0;
    for number in 0..50 {
        match recipient.ask(Do(Task::Answer(number)), Duration::from_millis(200)).await {
            Ok(answer) => {
                assert_eq!(answer, number);
                answered += 1;
            }
            Err(AskError::Timeout { .. } | AskError::Transport { .. }) => {}
            Err(other) => panic!("{other}"),
        }
    }
    assert!(answered > 0, "most questions are answered");
}
