//! Windows, several consumers, ends of subscriptions.

use std::time::Duration;

use oa_runtime::transport::{Delivery, MailboxKind, Sink};
use oa_runtime::{PublishError, TransportError};

use crate::fixture::{Consumer, Fixture, SOON, envelope, text};

/// Long enough for a delivery that must not come to show itself.
const A_WHILE: Duration = Duration::from_millis(50);

async fn nothing_comes(consumer: &mut Consumer) {
    tokio::time::sleep(A_WHILE).await;
    assert!(consumer.try_next().is_none(), "no delivery is due");
}

/// The bound of a mailbox reaches the wire.
pub async fn no_more_than_a_window_is_unsettled(fixture: &Fixture) {
    let address = fixture.mailbox().await;
    for number in 0..5 {
        fixture.publish(&address, &number.to_string()).await;
    }
    let mut consumer = fixture.consume(&address, 2).await;
    let (first, second) = (consumer.next().await, consumer.next().await);
    nothing_comes(&mut consumer).await;
    assert_eq!(consumer.subscription.in_flight(), 2);
    first.settlement.done();
    let third = consumer.next().await;
    assert_eq!(text(&third.envelope), "2");
    nothing_comes(&mut consumer).await;
    second.settlement.done();
    third.settlement.done();
    assert_eq!(consumer.next_text().await, "3");
    assert_eq!(consumer.next_text().await, "4");
}

/// Nodes share the work.
pub async fn two_consumers_share_a_mailbox(fixture: &Fixture) {
    let address = fixture.mailbox().await;
    let (mut one, mut other) =
        (fixture.consume(&address, 1).await, fixture.consume(&address, 1).await);
    fixture.publish(&address, "a").await;
    fixture.publish(&address, "b").await;
    let (first, second) = (one.next().await, other.next().await);
    let mut texts = [text(&first.envelope), text(&second.envelope)];
    texts.sort();
    assert_eq!(texts, ["a", "b"]);
    first.settlement.done();
    second.settlement.done();
}

/// An orderly end loses nothing and repeats nothing.
pub async fn a_close_waits_for_what_is_in_hand(fixture: &Fixture) {
    let address = fixture.mailbox().await;
    fixture.publish(&address, "a").await;
    fixture.publish(&address, "b").await;
    let mut consumer = fixture.consume(&address, 1).await;
    let delivery = consumer.next().await;
    let closing = tokio::spawn(consumer.subscription.close_within(SOON));
    tokio::time::sleep(A_WHILE).await;
    assert!(!closing.is_finished());
    delivery.settlement.done();
    assert_eq!(closing.await.expect("no panic"), 0);
    assert_eq!(fixture.consume(&address, 1).await.next_text().await, "b");
}

/// The limit of an orderly end.
pub async fn a_close_gives_back_what_is_not_settled_in_time(fixture: &Fixture) {
    let address = fixture.mailbox().await;
    fixture.publish(&address, "a").await;
    let mut consumer = fixture.consume(&address, 8).await;
    let delivery = consumer.next().await;
    assert_eq!(consumer.subscription.close_within(A_WHILE).await, 1);
    let mut next = fixture.consume(&address, 8).await;
    let again = next.next().await;
    assert_eq!((text(&again.envelope).as_str(), again.envelope.attempt), ("a", 1));
    // A settlement that comes too late changes nothing.
    delivery.settlement.done();
    again.settlement.done();
}

/// A node that dies gives back what it had.
pub async fn a_dropped_subscription_gives_everything_back(fixture: &Fixture) {
    let address = fixture.mailbox().await;
    for body in ["a", "b", "c"] {
        fixture.publish(&address, body).await;
    }
    let mut consumer = fixture.consume(&address, 2).await;
    let unsettled = (consumer.next().await, consumer.next().await);
    drop(consumer);
    let mut next = fixture.consume(&address, 8).await;
    let mut texts = [next.next_text().await, next.next_text().await, next.next_text().await];
    texts.sort();
    assert_eq!(texts, ["a", "b", "c"]);
    drop(unsettled);
}

/// A reply to a node that is gone is nobody's.
pub async fn a_private_mailbox_goes_with_its_consumer(fixture: &Fixture) {
    let address = fixture.mailbox_of(MailboxKind::Private).await;
    let mut consumer = fixture.consume(&address, 8).await;
    fixture.publish(&address, "a").await;
    assert_eq!(consumer.next_text().await, "a");
    consumer.subscription.close().await;
    let begun = std::time::Instant::now();
    loop {
        match fixture.transport.publish(envelope(&address, "b")).await {
            Err(PublishError::NoRoute { .. }) => return,
            other => assert!(begun.elapsed() < SOON, "the mailbox goes soon: {other:?}"),
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

struct Nobody;

impl Sink for Nobody {
    fn deliver(&self, delivery: Delivery) {
        delivery.settlement.release();
    }
}

/// Replies are for one.
pub async fn a_private_mailbox_has_one_consumer(fixture: &Fixture) {
    let address = fixture.mailbox_of(MailboxKind::Private).await;
    let _consumer = fixture.consume(&address, 8).await;
    let refused =
        fixture.transport.subscribe(address.clone(), 1, std::sync::Arc::new(Nobody)).await;
    assert_eq!(refused.map(drop), Err(TransportError::InUse { address }));
}

/// Work waits for its worker.
pub async fn a_durable_mailbox_outlives_its_consumer(fixture: &Fixture) {
    let address = fixture.mailbox().await;
    let consumer = fixture.consume(&address, 8).await;
    consumer.subscription.close().await;
    fixture.publish(&address, "a").await;
    assert_eq!(fixture.consume(&address, 8).await.next_text().await, "a");
}
