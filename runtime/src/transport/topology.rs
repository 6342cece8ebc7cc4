//! What a transport can do, and the mailboxes it is asked for.

use super::address::Address;

/// What a transport can do; code above it asks instead of knowing names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// Name, such as `memory` or `amqp`.
    pub name: &'static str,
    /// Whether messages outlive the process that published them.
    pub durable: bool,
    /// Whether a message can be held back for a time before it is delivered again.
    pub delayed_retry: bool,
    /// Longest body, in bytes.
    pub max_body_bytes: usize,
}

/// How long a mailbox and its messages live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailboxKind {
    /// Lives on while nobody consumes; messages queue up. Any number of consumers share it.
    Durable,
    /// Belongs to one consumer and goes with it: replies to a node, live logs.
    Private,
}

/// A mailbox that should exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailboxSpec {
    /// Its name.
    pub address: Address,
    /// How long it lives.
    pub kind: MailboxKind,
}

/// The mailboxes that should exist.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Topology {
    /// In the order they are declared.
    pub mailboxes: Vec<MailboxSpec>,
}

impl Topology {
    /// One durable mailbox.
    #[must_use]
    pub fn durable(address: Address) -> Self {
        Self { mailboxes: vec![MailboxSpec { address, kind: MailboxKind::Durable }] }
    }

    /// One private mailbox.
    #[must_use]
    pub fn private(address: Address) -> Self {
        Self { mailboxes: vec![MailboxSpec { address, kind: MailboxKind::Private }] }
    }
}
