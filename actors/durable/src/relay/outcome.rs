//! What tries came to, on the way to the table.

use std::time::Duration;

use sea_orm::{ConnectionTrait, DbErr};

use crate::database::{Database, Written};
use crate::sql;

/// What one try came to.
#[derive(Debug, Clone)]
pub(super) enum Outcome {
    /// The other side has it.
    Sent { id: String },
    /// Later again; `counted` is 1 if the try speaks against the message, 0 if its way was closed.
    Postponed { id: String, at_ms: i64, why: String, counted: u32 },
    /// Never again by itself.
    Parked { id: String, why: String },
    /// A mailbox takes messages again: what waited for it is due now.
    Reopened { exchange: String, mailbox: String },
}

impl Outcome {
    /// The message, if the outcome is that of one.
    pub(super) fn id(&self) -> Option<&str> {
        match self {
            Self::Sent { id } | Self::Postponed { id, .. } | Self::Parked { id, .. } => Some(id),
            Self::Reopened { .. } => None,
        }
    }

    /// How long from now a message of it becomes due, if one does.
    pub(super) fn rest(&self, now_ms: i64) -> Option<Duration> {
        match self {
            Self::Sent { .. } | Self::Parked { .. } => None,
            Self::Postponed { at_ms, .. } => Some(Duration::from_millis(
                u64::try_from(at_ms.saturating_sub(now_ms)).unwrap_or(0),
            )),
            Self::Reopened { .. } => Some(Duration::ZERO),
        }
    }
}

/// Writes outcomes with the next commit that somebody causes; gives them back for another try if that fails.
pub(super) async fn write(
    db: Database,
    outcomes: Vec<Outcome>,
    patience: Duration,
) -> (Vec<Outcome>, Written<()>) {
    let mut marks = outcomes.clone();
    let written = db.write_relaxed(patience, move |tx| {
        Box::pin(async move {
            // First the messages, so that one which has just been postponed is due again with the rest.
            marks.sort_by_key(|mark| matches!(mark, Outcome::Reopened { .. }));
            mark_sent(tx, &marks).await?;
            for mark in &marks {
                write_one(tx, mark).await?;
            }
            Ok(())
        })
    });
    let written = written.await;
    (outcomes, written)
}

async fn mark_sent(tx: &impl ConnectionTrait, marks: &[Outcome]) -> Result<(), DbErr> {
    let sent =
        |mark: &Outcome| if let Outcome::Sent { id } = mark { Some(id.clone()) } else { None };
    let ids: Vec<String> = marks.iter().filter_map(sent).collect();
    crate::outbox::mark_sent(tx, &ids, sql::now_ms()).await
}

async fn write_one(tx: &impl ConnectionTrait, mark: &Outcome) -> Result<(), DbErr> {
    match mark {
        Outcome::Sent { .. } => Ok(()),
        Outcome::Postponed { id, at_ms, why, counted } => {
            crate::outbox::mark_postponed(tx, id, *at_ms, why, *counted).await
        }
        Outcome::Parked { id, why } => crate::outbox::mark_parked(tx, id, why).await,
        Outcome::Reopened { exchange, mailbox } => {
            let update = "UPDATE outbox SET next_at_ms = $1 \
                          WHERE state = 'pending' AND next_at_ms > $1 AND exchange = $2 AND mailbox = $3";
            let values = [sql::now_ms().into(), exchange.clone().into(), mailbox.clone().into()];
            sql::execute(tx, update, values).await.map(drop)
        }
    }
}
