//! The actor above all others.

use crate::actor::Actor;
use crate::context::Context;
use crate::failure::Failure;

/// Supervises the top level and handles nothing.
pub(super) struct Root;

impl Actor for Root {
    const KIND: &'static str = "root";
    type Args = ();

    async fn init((): &(), _: &mut Context<Self>) -> Result<Self, Failure> {
        Ok(Self)
    }
}
