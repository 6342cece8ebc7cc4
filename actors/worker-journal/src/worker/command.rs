//! A command of one craft, as a message of its own.
//!
//! A worker handles the commands of its craft and [`CancelStep`](oa_protocol::step::CancelStep). The compiler cannot
//! know that no craft calls `CancelStep` its command, so commands come in this wrapping, which the wire does not show.

use oa_runtime::{Message, Wire};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::craft::Craft;

/// A command for the worker of `C`.
pub struct CommandOf<C: Craft>(pub(super) C::Command);

impl<C: Craft> Message for CommandOf<C> {
    type Reply = ();
}

impl<C: Craft> Wire for CommandOf<C> {
    const NAME: &'static str = C::Command::NAME;
    const VERSION: u16 = C::Command::VERSION;
}

impl<C: Craft> Serialize for CommandOf<C> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de, C: Craft> Deserialize<'de> for CommandOf<C> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        C::Command::deserialize(deserializer).map(Self)
    }
}
