//! Drives workflows from their journal.
