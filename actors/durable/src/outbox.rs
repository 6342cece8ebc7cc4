//! Messages that were decided together with a change and are handed over after its commit.

use std::sync::Arc;

use oa_runtime::Envelope;
use sea_orm::{ConnectionTrait, DbErr, QueryResult, Value};

use crate::database::{Database, Written};
use crate::shared;
use crate::sql;

/// The longest that a message rests before it is tried again.
pub(crate) const LONGEST_REST_MS: i64 = 120_000;
/// Rows written with one statement.
const CHUNK: usize = 100;

/// The outbox table of a database; the migration makes it with [`crate::schema::outbox_table`].
///
/// Rows are chosen by their state, never by position: with several writers an earlier row may become visible after
/// a later one.
#[derive(Debug, Clone)]
pub struct Outbox {
    db: Database,
}

/// A message that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxRow {
    /// Id of the message.
    pub id: String,
    /// Place that it goes to.
    pub exchange: String,
    /// Mailbox in that place.
    pub mailbox: String,
    /// Failed tries so far.
    pub tries: u32,
    /// Why the last one failed.
    pub why: Option<String>,
    /// When it was decided: milliseconds since 1970, UTC.
    pub created_at_ms: i64,
    envelope: String,
}

impl OutboxRow {
    /// The message.
    ///
    /// # Errors
    ///
    /// If another release wrote what this one cannot read.
    pub fn envelope(&self) -> Result<Envelope, serde_json::Error> {
        serde_json::from_str(&self.envelope)
    }

    fn read(row: &QueryResult) -> Result<Self, DbErr> {
        Ok(Self {
            id: row.try_get("", "id")?,
            exchange: row.try_get("", "exchange")?,
            mailbox: row.try_get("", "mailbox")?,
            tries: row.try_get("", "tries")?,
            why: row.try_get("", "why")?,
            created_at_ms: row.try_get("", "created_at_ms")?,
            envelope: row.try_get("", "envelope")?,
        })
    }
}

/// How much waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Backlog {
    /// Messages that are still to be handed over.
    pub pending: u64,
    /// When the oldest of them was decided.
    pub oldest_at_ms: Option<i64>,
    /// Messages that were set aside and wait for a person.
    pub parked: u64,
}

impl Outbox {
    /// The outbox of `db`.
    pub fn new(db: Database) -> Self {
        Self { db }
    }

    /// The database that it is in.
    pub fn database(&self) -> &Database {
        &self.db
    }

    /// Puts a message into the outbox of the running transaction.
    ///
    /// # Errors
    ///
    /// What the database said; the same message twice is an error.
    pub async fn insert(tx: &impl ConnectionTrait, envelope: &Envelope) -> Result<(), DbErr> {
        Self::insert_all(tx, std::slice::from_ref(envelope)).await
    }

    /// Puts messages into the outbox with as few statements as possible.
    ///
    /// # Errors
    ///
    /// As [`Outbox::insert`].
    pub async fn insert_all(
        tx: &impl ConnectionTrait,
        envelopes: &[Envelope],
    ) -> Result<(), DbErr> {
        let now_ms = sql::now_ms();
        for chunk in envelopes.chunks(CHUNK) {
            let mut values: Vec<Value> = Vec::with_capacity(chunk.len() * 6);
            for envelope in chunk {
                let json = serde_json::to_string(envelope).map_err(|cause| {
                    DbErr::Json(format!("message {}: {cause}", envelope.message_id()))
                })?;
                let to = envelope.to();
                values.extend([
                    envelope.message_id().to_string().into(),
                    to.exchange.clone().into(),
                    to.mailbox.clone().into(),
                    json.into(),
                    now_ms.into(),
                    now_ms.into(),
                ]);
            }
            let rows: Vec<String> = (0..chunk.len())
                .map(|row| format!("({}, 'pending', 0)", sql::places(row * 6 + 1, 6)))
                .collect();
            let insert = format!(
                "INSERT INTO outbox (id, exchange, mailbox, envelope, next_at_ms, created_at_ms, state, tries) \
                 VALUES {}",
                rows.join(", ")
            );
            sql::execute(tx, &insert, values).await?;
        }
        shared::note_outbox_rows(envelopes.len() as u64);
        Ok(())
    }

    /// Pending messages whose time has come, the longest due first.
    ///
    /// No message rests for longer than two minutes. One whose time is further away was put in before the clock was set
    /// back, and is due, too.
    ///
    /// # Errors
    ///
    /// What the database said.
    pub async fn due(&self, limit: u64, now_ms: i64) -> Result<Vec<OutboxRow>, DbErr> {
        const COLUMNS: &str = "id, exchange, mailbox, tries, why, created_at_ms, envelope";
        let mut found = Vec::new();
        for (is_due, than_ms) in [("<=", now_ms), (">", now_ms.saturating_add(LONGEST_REST_MS))] {
            let room = limit.saturating_sub(found.len() as u64);
            if room == 0 {
                break;
            }
            let select = format!(
                "SELECT {COLUMNS} FROM outbox WHERE state = 'pending' AND next_at_ms {is_due} $1 \
                 ORDER BY next_at_ms LIMIT $2"
            );
            let rows = sql::query(self.db.reader(), &select, [than_ms.into(), room.into()]).await?;
            for row in &rows {
                found.push(OutboxRow::read(row)?);
            }
        }
        Ok(found)
    }

    /// Marks messages as handed over.
    ///
    /// # Errors
    ///
    /// What the database said.
    pub async fn sent(&self, ids: Vec<String>) -> Written<()> {
        self.db
            .write(|tx| Box::pin(async move { Ok(mark_sent(tx, &ids, sql::now_ms()).await?) }))
            .await
    }

    /// Counts a failed try and sets the time of the next.
    ///
    /// # Errors
    ///
    /// What the database said.
    pub async fn postpone(&self, id: String, at_ms: i64, why: String) -> Written<()> {
        self.db
            .write(move |tx| {
                Box::pin(async move { Ok(mark_postponed(tx, &id, at_ms, &why, 1).await?) })
            })
            .await
    }

    /// Sets a message aside, for a person.
    ///
    /// # Errors
    ///
    /// What the database said.
    pub async fn park(&self, id: String, why: String) -> Written<()> {
        self.db
            .write(move |tx| Box::pin(async move { Ok(mark_parked(tx, &id, &why).await?) }))
            .await
    }

    /// Messages that were set aside, the oldest first.
    ///
    /// # Errors
    ///
    /// What the database said.
    pub async fn parked(&self, limit: u64) -> Result<Vec<OutboxRow>, DbErr> {
        let select = "SELECT id, exchange, mailbox, tries, why, created_at_ms, envelope FROM outbox \
                      WHERE state = 'parked' ORDER BY created_at_ms LIMIT $1";
        let rows = sql::query(self.db.reader(), select, [limit.into()]).await?;
        rows.iter().map(OutboxRow::read).collect()
    }

    /// Gives a parked message another set of tries; false if none of that id is parked.
    ///
    /// # Errors
    ///
    /// What the database said.
    pub async fn unpark(&self, id: String) -> Written<bool> {
        self.db
            .write(|tx| {
                Box::pin(async move {
                    let update = "UPDATE outbox SET state = 'pending', tries = 0, next_at_ms = $1 \
                                  WHERE id = $2 AND state = 'parked'";
                    let done = sql::execute(tx, update, [sql::now_ms().into(), id.into()]).await?;
                    shared::note_outbox_rows(done.rows_affected());
                    Ok(done.rows_affected() == 1)
                })
            })
            .await
    }

    /// Deletes up to `limit` messages that were handed over before `before_ms`; returns how many.
    ///
    /// # Errors
    ///
    /// What the database said.
    pub async fn prune(&self, before_ms: i64, limit: u64) -> Written<u64> {
        let delete = "DELETE FROM outbox WHERE id IN \
                      (SELECT id FROM outbox WHERE state = 'sent' AND sent_at_ms < $1 LIMIT $2)";
        self.db
            .write(move |tx| {
                Box::pin(async move {
                    Ok(sql::execute(tx, delete, [before_ms.into(), limit.into()])
                        .await?
                        .rows_affected())
                })
            })
            .await
    }

    /// How much waits.
    ///
    /// # Errors
    ///
    /// What the database said.
    pub async fn backlog(&self) -> Result<Backlog, DbErr> {
        let select = "SELECT (SELECT count(*) FROM outbox WHERE state = 'pending') AS pending, \
                      (SELECT min(created_at_ms) FROM outbox WHERE state = 'pending') AS oldest, \
                      (SELECT count(*) FROM outbox WHERE state = 'parked') AS parked";
        let rows = sql::query(self.db.reader(), select, []).await?;
        let Some(row) = rows.first() else { return Ok(Backlog::default()) };
        let (pending, parked): (i64, i64) =
            (row.try_get("", "pending")?, row.try_get("", "parked")?);
        Ok(Backlog {
            pending: pending.unsigned_abs(),
            oldest_at_ms: row.try_get("", "oldest")?,
            parked: parked.unsigned_abs(),
        })
    }

    /// Resolves after a commit that put rows in, also after one that nobody has waited for yet. It is for one
    /// waiter: the relay.
    pub async fn notified(&self) {
        Arc::clone(self.db.shared()).outbox.notified().await;
    }
}

/// Marks what was handed over; a row that is pending no longer is left alone.
pub(crate) async fn mark_sent(
    tx: &impl ConnectionTrait,
    ids: &[String],
    now_ms: i64,
) -> Result<(), DbErr> {
    for chunk in ids.chunks(CHUNK) {
        let update = format!(
            "UPDATE outbox SET state = 'sent', why = NULL, sent_at_ms = $1 WHERE state = 'pending' AND id IN ({})",
            sql::places(2, chunk.len())
        );
        let values = std::iter::once(now_ms.into()).chain(chunk.iter().map(|id| id.clone().into()));
        sql::execute(tx, &update, values).await?;
    }
    Ok(())
}

/// `counted` is 1 if the try speaks against the message, 0 if nobody could have handed it over.
pub(crate) async fn mark_postponed(
    tx: &impl ConnectionTrait,
    id: &str,
    at_ms: i64,
    why: &str,
    counted: u32,
) -> Result<(), DbErr> {
    let update = "UPDATE outbox SET tries = tries + $1, next_at_ms = $2, why = $3 WHERE state = 'pending' AND id = $4";
    sql::execute(tx, update, [counted.into(), at_ms.into(), why.into(), id.into()]).await?;
    Ok(())
}

pub(crate) async fn mark_parked(
    tx: &impl ConnectionTrait,
    id: &str,
    why: &str,
) -> Result<(), DbErr> {
    let update = "UPDATE outbox SET state = 'parked', tries = tries + 1, why = $1 WHERE state = 'pending' AND id = $2";
    sql::execute(tx, update, [why.into(), id.into()]).await?;
    Ok(())
}
