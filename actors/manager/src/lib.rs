//! REST API and the typed manager mailbox.
