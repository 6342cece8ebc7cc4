//! Opens databases, batches writes, carries outbox and inbox.
