//! A message with everything that a receiver must know about it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::address::Address;
use super::error::{DecodeError, EncodeError};
use super::frame::{self, MAX_BODY};
use super::message_id::MessageId;
use crate::message::Wire;

/// Content type of every body that this release writes.
const JSON: &str = "application/json";

/// How often an envelope may be published again by a receiver before it counts as going in circles.
pub const MAX_HOPS: u8 = 16;

/// A message on its way to a mailbox. Fields are only added.
///
/// It serialises as one JSON object, with the body as text, for outboxes; transports carry it as a
/// [`Frame`](super::Frame).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Envelope {
    /// Where it goes.
    pub to: Address,
    /// Names this message for ever.
    pub message_id: MessageId,
    /// Two messages with the same key are seen once by the receiver. Default: the message id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
    /// Joins a reply to its question.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<MessageId>,
    /// The message whose handler sent this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<MessageId>,
    /// Where an answer is expected, if one is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<Address>,
    /// [`Wire::NAME`] of the message.
    pub name: String,
    /// [`Wire::VERSION`] of the message.
    pub version: u16,
    /// What the body is. Default: `application/json`.
    #[serde(default = "json")]
    pub content_type: String,
    /// After this instant nobody waits for it: milliseconds since 1970, UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline_ms: Option<i64>,
    /// W3C trace context.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// How often it was delivered for handling, from 1.
    #[serde(default = "first")]
    pub attempt: u32,
    /// Name of the node that published it first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// How often it was published.
    #[serde(default)]
    pub hops: u8,
    /// When it was made: milliseconds since 1970, UTC.
    #[serde(default)]
    pub sent_at_ms: i64,
    /// Who signed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// Whom it was signed for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
    /// Signature over [`signed_content`](Envelope::signed_content).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
    /// The message; JSON text in this release.
    #[serde(default, with = "frame::body_as_text", skip_serializing_if = "Vec::is_empty")]
    pub body: Vec<u8>,
}

impl Envelope {
    /// Puts a message into an envelope.
    ///
    /// # Errors
    ///
    /// [`EncodeError`] if the address is not valid, the message cannot be written as JSON, or its body is above the
    /// cap of 4 MiB.
    pub fn new<M: Wire>(to: &Address, message: &M) -> Result<Self, EncodeError> {
        to.check().map_err(|cause| EncodeError::Address { name: M::NAME.to_owned(), cause })?;
        let body = serde_json::to_vec(message)
            .map_err(|cause| EncodeError::Json { name: M::NAME.to_owned(), cause })?;
        if body.len() > MAX_BODY {
            let (size_bytes, limit_bytes) = (body.len(), MAX_BODY);
            return Err(EncodeError::TooLarge {
                name: M::NAME.to_owned(),
                size_bytes,
                limit_bytes,
            });
        }
        Ok(Self::from_parts(to.clone(), M::NAME, M::VERSION, body))
    }

    /// An envelope around a body that is JSON already.
    #[must_use]
    pub fn from_parts(to: Address, name: &str, version: u16, body: Vec<u8>) -> Self {
        Self {
            to,
            message_id: MessageId::next(),
            idempotency_key: None,
            correlation_id: None,
            cause: None,
            reply_to: None,
            name: name.to_owned(),
            version,
            content_type: json(),
            deadline_ms: None,
            traceparent: None,
            attempt: first(),
            origin: None,
            hops: 0,
            sent_at_ms: now_ms(),
            issuer: None,
            audience: None,
            signature: None,
            body,
        }
    }

    /// Where it goes.
    #[must_use]
    pub fn to(&self) -> &Address {
        &self.to
    }

    /// Names this message for ever.
    #[must_use]
    pub fn message_id(&self) -> MessageId {
        self.message_id
    }

    /// The key under which the receiver sees it once.
    #[must_use]
    pub fn idempotency_key(&self) -> String {
        self.idempotency_key.clone().unwrap_or_else(|| self.message_id.to_string())
    }

    /// Sets the key under which the receiver sees it once.
    #[must_use]
    pub fn with_key(mut self, key: impl Into<String>) -> Self {
        self.idempotency_key = Some(key.into());
        self
    }

    /// Says which message caused it.
    #[must_use]
    pub fn with_cause(mut self, cause: MessageId) -> Self {
        self.cause = Some(cause);
        self
    }

    /// Says for how long from now somebody waits for it.
    #[must_use]
    pub fn with_deadline(mut self, within: Duration) -> Self {
        let within = i64::try_from(within.as_millis()).unwrap_or(i64::MAX);
        self.deadline_ms = Some(now_ms().saturating_add(within));
        self
    }

    /// Joins it to a W3C trace.
    #[must_use]
    pub fn with_traceparent(mut self, traceparent: impl Into<String>) -> Self {
        self.traceparent = Some(traceparent.into());
        self
    }

    /// Whether its deadline has passed.
    #[must_use]
    pub fn is_expired(&self) -> bool {
        self.deadline_ms.is_some_and(|deadline| deadline <= now_ms())
    }

    /// Reads the message.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] if it is another type, a newer version, or not the JSON that it should be.
    pub fn decode<M: Wire>(&self) -> Result<M, DecodeError> {
        if self.name != M::NAME {
            return Err(DecodeError::WrongType {
                expected: M::NAME.to_owned(),
                found: self.name.clone(),
            });
        }
        if self.version > M::VERSION {
            return Err(DecodeError::NewerVersion {
                name: self.name.clone(),
                found: self.version,
                known: M::VERSION,
            });
        }
        if self.content_type != JSON {
            return Err(DecodeError::Content { content: self.content_type.clone() });
        }
        serde_json::from_slice(&self.body)
            .map_err(|cause| DecodeError::Json { name: self.name.clone(), cause })
    }

    /// What a signature covers: every field that says what the message is, for whom and from whom, and the body.
    ///
    /// Attempt and hops change on the way and are left out. Each field is preceded by its length, so that no two
    /// envelopes have the same content.
    #[must_use]
    pub fn signed_content(&self) -> Vec<u8> {
        let optional = |value: &Option<String>| value.clone().unwrap_or_default();
        let fields = [
            self.to.to_string(),
            self.message_id.to_string(),
            optional(&self.idempotency_key),
            self.correlation_id.map(|id| id.to_string()).unwrap_or_default(),
            self.reply_to.as_ref().map(ToString::to_string).unwrap_or_default(),
            self.name.clone(),
            self.version.to_string(),
            self.content_type.clone(),
            self.deadline_ms.map(|ms| ms.to_string()).unwrap_or_default(),
            optional(&self.origin),
            optional(&self.issuer),
            optional(&self.audience),
            self.sent_at_ms.to_string(),
        ];
        let mut content = Vec::with_capacity(self.body.len() + 512);
        for field in fields.iter().map(String::as_bytes).chain([self.body.as_slice()]) {
            content.extend_from_slice(&(field.len() as u64).to_be_bytes());
            content.extend_from_slice(field);
        }
        content
    }
}

fn json() -> String {
    JSON.to_owned()
}

fn first() -> u32 {
    1
}

/// Milliseconds since 1970, UTC.
pub(crate) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Note {
        text: String,
    }

    impl crate::Message for Note {
        type Reply = ();
    }

    impl Wire for Note {
        const NAME: &'static str = "test.note";
        const VERSION: u16 = 2;
    }

    fn note() -> Envelope {
        let to = Address::new("", "notes").expect("valid");
        Envelope::new(&to, &Note { text: "a".into() }).expect("short")
    }

    #[test]
    fn an_envelope_of_another_release_is_read() {
        let json = r#"{"to": "/notes", "message_id": "00000000000000ff-1", "name": "test.note", "version": 1,
            "body": "{\"text\":\"a\"}", "a_field_of_a_later_release": true}"#;
        let envelope: Envelope = serde_json::from_str(json).expect("it has all that is needed");
        assert_eq!(envelope.decode::<Note>().expect("it is older"), Note { text: "a".into() });
        assert_eq!((envelope.attempt, envelope.hops, envelope.content_type.as_str()), (1, 0, JSON));
        assert_eq!(envelope.idempotency_key(), "00000000000000ff-1");
    }

    #[test]
    fn a_newer_version_is_refused() {
        let envelope = Envelope { version: 3, ..note() };
        let refused = envelope.decode::<Note>().expect_err("it is newer");
        assert_eq!(refused.to_string(), "`test.note` has version 3, newer than 2");
    }

    #[test]
    fn an_address_that_is_none_is_refused() {
        let to = Address { exchange: "*".into(), mailbox: "notes".into() };
        assert!(matches!(
            Envelope::new(&to, &Note { text: "a".into() }),
            Err(EncodeError::Address { .. })
        ));
    }

    #[test]
    fn a_deadline_passes() {
        assert!(!note().is_expired());
        assert!(!note().with_deadline(Duration::from_secs(60)).is_expired());
        assert!(note().with_deadline(Duration::ZERO).is_expired());
    }

    #[test]
    fn a_signature_covers_what_the_message_is_and_not_how_it_travels() {
        let sent = note();
        let content = sent.signed_content();
        let travelled = Envelope { attempt: 3, hops: 4, ..sent.clone() };
        assert_eq!(travelled.signed_content(), content);
        let changed = Envelope { body: b"{}".to_vec(), ..sent.clone() };
        assert_ne!(changed.signed_content(), content);
        let moved = Envelope { audience: sent.issuer.clone().or(Some("x".into())), ..sent };
        assert_ne!(moved.signed_content(), content);
    }
}
