//! Deliveries that were set aside.

use serde::{Deserialize, Serialize};

use super::envelope::Envelope;

/// A delivery that waits for a person.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ParkedMail {
    /// What was delivered; its attempt is the last one.
    pub envelope: Envelope,
    /// Why it was set aside.
    pub reason: String,
    /// When: milliseconds since 1970, UTC.
    pub parked_at_ms: i64,
}
