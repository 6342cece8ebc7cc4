//! An envelope as bytes: a head of JSON and a body that may be compressed.

use std::io::{self, Read};
use std::mem;

use flate2::Compression;
use flate2::read::{ZlibDecoder, ZlibEncoder};
use serde::{Deserialize, Serialize};

use super::envelope::Envelope;
use super::error::{DecodeError, PublishError};

/// Bodies above this size are compressed.
pub const COMPRESS_ABOVE: usize = 16 * 1024;
/// Longest body before compression, and after decompression.
pub const MAX_BODY: usize = 4 * 1024 * 1024;

/// Name of the compression: zlib, which HTTP calls `deflate`.
const DEFLATE: &str = "deflate";

/// An envelope as a transport carries it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frame {
    /// All fields but the body, as a JSON object.
    pub head: Vec<u8>,
    /// The body, perhaps compressed.
    pub body: Vec<u8>,
    /// How the body is compressed, if it is.
    pub encoding: Option<String>,
}

impl Frame {
    /// Writes an envelope; a body above 16 KiB is compressed if that makes it shorter.
    ///
    /// # Errors
    ///
    /// [`PublishError::TooLarge`] if the body is above the cap, [`PublishError::Refused`] if it cannot be written.
    pub fn seal(mut envelope: Envelope) -> Result<Self, PublishError> {
        let body = mem::take(&mut envelope.body);
        if body.len() > MAX_BODY {
            return Err(PublishError::TooLarge { size_bytes: body.len(), limit_bytes: MAX_BODY });
        }
        let refused = |reason: String| PublishError::Refused { reason };
        let head = serde_json::to_vec(&envelope)
            .map_err(|cause| refused(format!("head is not JSON: {cause}")))?;
        if body.len() > COMPRESS_ABOVE {
            let compressed = compress(&body)
                .map_err(|cause| refused(format!("body is not compressible: {cause}")))?;
            if compressed.len() < body.len() {
                return Ok(Self { head, body: compressed, encoding: Some(DEFLATE.to_owned()) });
            }
        }
        Ok(Self { head, body, encoding: None })
    }

    /// Reads the envelope back.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] if the head is not that of an envelope or the body is damaged, unknown or too long.
    pub fn open(&self) -> Result<Envelope, DecodeError> {
        let mut envelope: Envelope = serde_json::from_slice(&self.head)
            .map_err(|cause| DecodeError::Json { name: "envelope".to_owned(), cause })?;
        envelope.body = match self.encoding.as_deref() {
            None | Some("" | "identity") => self.body.clone(),
            Some(DEFLATE) => decompress(&self.body)?,
            Some(other) => return Err(DecodeError::Content { content: other.to_owned() }),
        };
        if envelope.body.len() > MAX_BODY {
            return Err(DecodeError::TooLarge { limit_bytes: MAX_BODY });
        }
        Ok(envelope)
    }
}

fn compress(body: &[u8]) -> io::Result<Vec<u8>> {
    let mut compressed = Vec::with_capacity(body.len() / 4);
    ZlibEncoder::new(body, Compression::fast()).read_to_end(&mut compressed)?;
    Ok(compressed)
}

/// Stops one byte above the cap, however long the rest would have been.
fn decompress(body: &[u8]) -> Result<Vec<u8>, DecodeError> {
    let mut plain = Vec::with_capacity(body.len().saturating_mul(4).min(MAX_BODY));
    let limit = MAX_BODY as u64 + 1;
    ZlibDecoder::new(body).take(limit).read_to_end(&mut plain).map_err(DecodeError::Compression)?;
    Ok(plain)
}

/// In a JSON document the body is text, so that a person can read it in an outbox; other bytes are Base64.
pub(crate) mod body_as_text {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    enum Body<'a> {
        Text(std::borrow::Cow<'a, str>),
        Bytes { base64: String },
    }

    pub(crate) fn serialize<S: Serializer>(body: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(body) {
            Ok(text) => Body::Text(text.into()).serialize(serializer),
            Err(_) => Body::Bytes { base64: STANDARD.encode(body) }.serialize(serializer),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<u8>, D::Error> {
        match Body::deserialize(deserializer)? {
            Body::Text(text) => Ok(text.into_owned().into_bytes()),
            Body::Bytes { base64 } => STANDARD.decode(base64).map_err(D::Error::custom),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Address, MessageId};
    use super::*;

    fn envelope(body: Vec<u8>) -> Envelope {
        Envelope::from_parts(
            Address::new("aws.east", "builder").expect("valid"),
            "builder.config",
            3,
            body,
        )
    }

    #[test]
    fn an_envelope_is_read_back_from_its_frame() {
        let sent = envelope(b"{\"a\":1}".to_vec()).with_key("k").with_cause(MessageId::next());
        let frame = Frame::seal(sent.clone()).expect("small");
        assert_eq!(frame.encoding, None);
        assert_eq!(frame.open().expect("it was just written"), sent);
    }

    #[test]
    fn a_long_body_is_compressed() {
        let sent = envelope(vec![b'x'; COMPRESS_ABOVE + 1]);
        let frame = Frame::seal(sent.clone()).expect("below the cap");
        assert!(frame.body.len() < 1024);
        assert_eq!(frame.open().expect("it was just written"), sent);
    }

    #[test]
    fn a_body_above_the_cap_is_refused_before_it_is_published() {
        let refused = Frame::seal(envelope(vec![b'x'; MAX_BODY + 1]));
        assert!(matches!(refused, Err(PublishError::TooLarge { .. })));
    }

    #[test]
    fn a_body_that_grows_above_the_cap_is_refused() {
        let mut frame = Frame::seal(envelope(b"{}".to_vec())).expect("small");
        frame.body = compress(&vec![0; MAX_BODY + 1]).expect("compressible");
        frame.encoding = Some("deflate".to_owned());
        assert!(matches!(frame.open(), Err(DecodeError::TooLarge { .. })));
    }

    #[test]
    fn a_json_document_holds_the_body_as_text() {
        let sent = envelope(b"{\"a\":1}".to_vec());
        let json = serde_json::to_string(&sent).expect("serialisable");
        assert!(json.contains(r#""body":"{\"a\":1}""#), "{json}");
        assert_eq!(serde_json::from_str::<Envelope>(&json).expect("it was just written"), sent);
        let sent = envelope(vec![0xff, 0x00]);
        let json = serde_json::to_string(&sent).expect("serialisable");
        assert_eq!(serde_json::from_str::<Envelope>(&json).expect("it was just written"), sent);
    }
}
