//! Signatures of envelopes that leave the process.

use crate::transport::Envelope;

/// Signs what a node publishes and checks what it receives. Within one process none is needed.
pub trait Seal: Send + Sync + 'static {
    /// Fills in issuer, audience and signature, over [`Envelope::signed_content`].
    ///
    /// # Errors
    ///
    /// Why it cannot be signed; it is not published then.
    fn sign(&self, envelope: &mut Envelope) -> Result<(), String>;

    /// Checks signature and audience.
    ///
    /// # Errors
    ///
    /// Why it must not be trusted; the delivery is parked then.
    fn verify(&self, envelope: &Envelope) -> Result<(), String>;
}
