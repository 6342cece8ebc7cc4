//! The promises of this crate, each a test.

mod outbox;
mod relay;
mod support;
mod trouble;
mod writer;
