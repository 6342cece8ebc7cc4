//! Done, retry, park, release.

use std::time::{Duration, Instant};

use crate::fixture::{Fixture, SOON, text};

/// The end of a message.
pub async fn what_is_done_is_not_delivered_again(fixture: &Fixture) {
    let address = fixture.mailbox().await;
    fixture.publish(&address, "a").await;
    let mut consumer = fixture.consume(&address, 8).await;
    assert_eq!(consumer.next_text().await, "a");
    assert_eq!(consumer.subscription.close().await, 0);
    fixture.publish(&address, "b").await;
    let mut next = fixture.consume(&address, 8).await;
    assert_eq!(next.next_text().await, "b");
}

/// Attempts are counted from 1.
pub async fn a_retry_comes_again_as_the_next_attempt(fixture: &Fixture) {
    let address = fixture.mailbox().await;
    let sent = fixture.publish(&address, "a").await;
    let mut consumer = fixture.consume(&address, 8).await;
    for attempt in 1..=3 {
        let delivery = consumer.next().await;
        assert_eq!(delivery.envelope.attempt, attempt);
        assert_eq!(delivery.envelope.message_id, sent.message_id);
        delivery.settlement.retry(Duration::ZERO);
    }
    consumer.next().await.settlement.done();
}

/// A delay is kept, and others pass meanwhile.
pub async fn a_retry_is_held_back(fixture: &Fixture) {
    let address = fixture.mailbox().await;
    fixture.publish(&address, "a").await;
    fixture.publish(&address, "b").await;
    let mut consumer = fixture.consume(&address, 1).await;
    let (held_back, begun) = (Duration::from_millis(300), Instant::now());
    consumer.next().await.settlement.retry(held_back);
    assert_eq!(consumer.next_text().await, "b");
    let delivery = consumer.next().await;
    assert!(begun.elapsed() >= held_back, "it came after {:?}", begun.elapsed());
    assert_eq!((text(&delivery.envelope).as_str(), delivery.envelope.attempt), ("a", 2));
    delivery.settlement.done();
}

/// A consumer that forgets a delivery has crashed.
pub async fn a_dropped_settlement_is_a_retry(fixture: &Fixture) {
    let address = fixture.mailbox().await;
    fixture.publish(&address, "a").await;
    let mut consumer = fixture.consume(&address, 8).await;
    drop(consumer.next().await);
    let delivery = consumer.next().await;
    assert_eq!(delivery.envelope.attempt, 2);
    delivery.settlement.done();
}

/// Not the message's fault.
pub async fn a_release_comes_again_uncounted(fixture: &Fixture) {
    let address = fixture.mailbox().await;
    fixture.publish(&address, "a").await;
    let mut consumer = fixture.consume(&address, 8).await;
    consumer.next().await.settlement.release();
    let delivery = consumer.next().await;
    assert_eq!(delivery.envelope.attempt, 1);
    delivery.settlement.done();
}

/// Poison is set aside, and what comes behind it goes on.
pub async fn what_is_parked_is_listed_with_its_reason(fixture: &Fixture) {
    let address = fixture.mailbox().await;
    let sent = fixture.publish(&address, "a").await;
    fixture.publish(&address, "b").await;
    let mut consumer = fixture.consume(&address, 1).await;
    consumer.next().await.settlement.park("no such product");
    assert_eq!(consumer.next_text().await, "b");
    let parked = until_parked(fixture, &address, 1).await;
    assert_eq!(parked[0].envelope.message_id, sent.message_id);
    assert_eq!(parked[0].envelope.body, sent.body);
    assert_eq!(parked[0].reason, "no such product");
    assert!(parked[0].parked_at_ms > 0);
    assert!(consumer.try_next().is_none());
}

/// A person has repaired the cause.
pub async fn a_replay_begins_at_the_first_attempt(fixture: &Fixture) {
    let address = fixture.mailbox().await;
    let sent = fixture.publish(&address, "a").await;
    let mut consumer = fixture.consume(&address, 8).await;
    consumer.next().await.settlement.retry(Duration::ZERO);
    consumer.next().await.settlement.park("twice is enough");
    let parked = until_parked(fixture, &address, 1).await;
    assert_eq!(parked[0].envelope.attempt, 2);
    let replayed = fixture.transport.replay(address.clone(), sent.message_id).await;
    assert_eq!(replayed, Ok(true));
    let delivery = consumer.next().await;
    assert_eq!((delivery.envelope.attempt, delivery.envelope.message_id), (1, sent.message_id));
    delivery.settlement.done();
    assert_eq!(fixture.transport.replay(address, sent.message_id).await, Ok(false));
}

/// A person has seen enough.
pub async fn what_is_discarded_is_gone(fixture: &Fixture) {
    let address = fixture.mailbox().await;
    let (first, second) =
        (fixture.publish(&address, "a").await, fixture.publish(&address, "b").await);
    let mut consumer = fixture.consume(&address, 8).await;
    for _ in 0..2 {
        consumer.next().await.settlement.park("for the test");
    }
    until_parked(fixture, &address, 2).await;
    assert_eq!(fixture.transport.discard(address.clone(), first.message_id).await, Ok(true));
    assert_eq!(fixture.transport.discard(address.clone(), first.message_id).await, Ok(false));
    let left = fixture.transport.parked(address, 10).await.expect("it was declared");
    assert_eq!(
        left.iter().map(|mail| mail.envelope.message_id).collect::<Vec<_>>(),
        [second.message_id]
    );
}

/// Parking may take a moment, since a broker confirms it.
pub(crate) async fn until_parked(
    fixture: &Fixture,
    address: &oa_runtime::Address,
    count: usize,
) -> Vec<oa_runtime::transport::ParkedMail> {
    let begun = Instant::now();
    loop {
        let parked = fixture.transport.parked(address.clone(), 100).await.expect("it was declared");
        if parked.len() >= count {
            return parked;
        }
        assert!(begun.elapsed() < SOON, "{count} deliveries are parked soon");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
