//! Supervised actors whose mailboxes can be bridged to a transport.
