//! Opens databases, batches writes, carries outbox and inbox.
//!
//! A [`Database`] is an SQLite file with many readers and one writer. Writes that meet share a commit, so that a
//! flush of the disk is paid once for up to sixty-four of them; a lone write is committed at once. Two kinds of
//! work can be given to the writer: closures, each in a savepoint of its own ([`Database::write`]), and jobs of one
//! kind that are written together ([`Database::lane`]).
//!
//! A message that belongs to a change is put into the [`Outbox`] in the change's transaction, and the [`Relay`]
//! hands it over right after the commit. The receiver notes its id in the [`Inbox`] in the transaction that it
//! causes. So a message is sent if and only if its change is there, and has its effect once.
//!
//! ```text
//! Database::write ─┐                              ┌─ Outbox::insert ─┐
//! Lane::submit ────┴─► writer: BEGIN … COMMIT ────┴─ Inbox::insert   ├─► Relay ──► PostOffice::publish
//! ```
//!
//! # Metrics
//!
//! Each carries the label `database`, the name of the file without its extension.
//!
//! | name | what it shows |
//! |---|---|
//! | `oa_database_batch_size` | writes that shared a commit |
//! | `oa_database_commit_seconds` | time from the begin of a batch to the end of its commit |
//! | `oa_database_failed_batches_total` | batches that the database refused as a whole |
//! | `oa_database_trouble` | 1 while it cannot be written; the label `code` says why |
//! | `oa_outbox_pending`, `oa_outbox_oldest_seconds` | messages that wait, and the age of the oldest |
//! | `oa_outbox_parked` | messages that wait for a person |
//! | `oa_outbox_closed_mailboxes` | mailboxes that cannot be reached at the moment |
//! | `oa_outbox_sent_total`, `oa_outbox_failed_tries_total`, `oa_outbox_parked_total` | what tries came to |

mod batch;
mod config;
mod connect;
mod database;
mod dead_message;
mod error;
mod flush;
mod inbox;
mod lane;
mod lock;
mod migrate;
mod outbox;
mod relay;
mod retention;
pub mod schema;
mod shared;
pub mod sql;
mod storage;
mod unit;
mod waiting;
mod writer;

pub use config::{DatabaseConfig, Synchronous};
pub use database::{Database, Written};
pub use dead_message::{DeadMessage, DeadMessages};
pub use error::{MigrateError, OpenError, WriteError};
pub use inbox::Inbox;
pub use lane::{Lane, SetError, SetOutcome, SetWriter};
pub use outbox::{Backlog, Outbox, OutboxRow};
pub use relay::{Publisher, Relay, RelayConfig};
pub use retention::Retention;
pub use shared::WriterCounts;
pub use storage::{StorageError, StorageKind, hint_of, storage_error};
pub use waiting::WaitingMessage;
