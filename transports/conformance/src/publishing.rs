//! Addresses, confirms, what arrives.

use oa_runtime::transport::{COMPRESS_ABOVE, MAX_BODY, MessageId, Topology};
use oa_runtime::{Address, PublishError, TransportError};

use crate::fixture::{Fixture, envelope, text};

/// A confirm says that the message is in a mailbox; without one there is an error.
pub async fn a_mailbox_that_nobody_declared_has_no_route(fixture: &Fixture) {
    let address = fixture.fresh();
    let refused = fixture.transport.publish(envelope(&address, "a")).await;
    assert_eq!(refused, Err(PublishError::NoRoute { address: address.clone() }));
    let refused = fixture.transport.parked(address.clone(), 1).await;
    assert_eq!(refused, Err(TransportError::NoRoute { address }));
}

/// Nodes declare what they need at each start.
pub async fn declaring_twice_changes_nothing(fixture: &Fixture) {
    let address = fixture.mailbox().await;
    fixture.publish(&address, "a").await;
    fixture.transport.declare(Topology::durable(address.clone())).await.expect("it exists");
    assert_eq!(fixture.consume(&address, 1).await.next_text().await, "a");
}

/// Nothing of an envelope is lost on the way.
pub async fn every_field_arrives(fixture: &Fixture) {
    let address = fixture.mailbox().await;
    let mut sent = envelope(&address, "ä \u{1f980} \"\\")
        .with_key("key")
        .with_cause(MessageId::next())
        .with_deadline(crate::fixture::SOON)
        .with_traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    sent.correlation_id = Some(MessageId::next());
    sent.reply_to = Some(fixture.fresh());
    sent.origin = Some("node-1".to_owned());
    sent.hops = 3;
    sent.issuer = Some("node-1".to_owned());
    sent.audience = Some("builder".to_owned());
    sent.signature = Some("c2lnbmF0dXJl".to_owned());
    fixture.transport.publish(sent.clone()).await.expect("the mailbox was declared");
    let delivery = fixture.consume(&address, 1).await.next().await;
    assert_eq!(delivery.envelope, sent);
    delivery.settlement.done();
}

/// A site may be away.
pub async fn messages_wait_while_nobody_consumes(fixture: &Fixture) {
    let address = fixture.mailbox().await;
    for body in ["a", "b"] {
        fixture.publish(&address, body).await;
    }
    let mut consumer = fixture.consume(&address, 8).await;
    assert_eq!(consumer.next_text().await, "a");
    assert_eq!(consumer.next_text().await, "b");
}

/// First in, first out.
pub async fn messages_of_one_publisher_keep_their_order(fixture: &Fixture) {
    let address = fixture.mailbox().await;
    let mut consumer = fixture.consume(&address, 8).await;
    for number in 0..200 {
        fixture.publish(&address, &number.to_string()).await;
    }
    for number in 0..200 {
        assert_eq!(consumer.next_text().await, number.to_string());
    }
}

/// Long bodies are compressed on the way; too long ones are refused before they leave.
pub async fn a_long_body_arrives_and_one_above_the_cap_is_refused(fixture: &Fixture) {
    let address = fixture.mailbox().await;
    let long = "0123456789abcdef".repeat(COMPRESS_ABOVE / 8);
    fixture.publish(&address, &long).await;
    let mut consumer = fixture.consume(&address, 1).await;
    assert_eq!(consumer.next_text().await, long);
    let too_long = "x".repeat(MAX_BODY);
    let refused = fixture.transport.publish(envelope(&address, &too_long)).await;
    assert!(matches!(refused, Err(PublishError::TooLarge { .. })), "{refused:?}");
}

/// Whatever [`Address`] allows must be allowed below.
pub async fn names_with_all_allowed_characters_work(fixture: &Fixture) {
    let base = fixture.fresh();
    let address =
        Address::new(base.exchange, format!("{}.A-z_0:9@x", base.mailbox)).expect("it is valid");
    fixture.transport.declare(Topology::durable(address.clone())).await.expect("it is valid");
    let sent = fixture.publish(&address, "a").await;
    let delivery = fixture.consume(&address, 1).await.next().await;
    assert_eq!(text(&delivery.envelope), text(&sent));
    delivery.settlement.done();
}

/// Health can be asked for.
pub async fn a_transport_that_works_says_so(fixture: &Fixture) {
    let mut health = fixture.transport.health();
    let up =
        tokio::time::timeout(crate::fixture::SOON, health.wait_for(|health| health.is_up())).await;
    assert!(up.expect("it is up soon").is_ok());
    assert!(fixture.transport.capabilities().max_body_bytes >= MAX_BODY);
}
