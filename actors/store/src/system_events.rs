//! What operators should know, who looks after it, and who has put it away.

use oa_durable::{Database, WriteError};
use sea_orm::{ActiveValue, ConnectionTrait, EntityTrait, Value as DbValue};
use serde_json::Value;

use crate::clock::Clock;
use crate::entities::system_events;
use crate::error::{StoreError, refuse, settle};
use crate::record::json;
use crate::sql;

/// Events of the same kind within so long can be the same event.
const UNIQUE_WITHIN_MS: i64 = 3_600_000;
/// Longest message, in characters; the rest is cut.
const LONGEST_MESSAGE: usize = 16_384;
/// Longest data, in bytes of JSON.
const LONGEST_DATA: usize = 65_536;

/// A system event as it is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct SystemEvent {
    /// Its number.
    pub id: i64,
    /// Kind, such as `unhandled_exception`.
    pub kind: String,
    /// Such as `info`, `warning` or `error`.
    pub severity: String,
    /// The text.
    pub message: Option<String>,
    /// More, for programs.
    pub data: Option<Value>,
    /// Who looks after it.
    pub assignee_id: Option<i64>,
    /// Who said so.
    pub assigned_by_id: Option<i64>,
    /// When.
    pub assigned_at_ms: Option<i64>,
    /// Who has put it away.
    pub dismissed_by_id: Option<i64>,
    /// When.
    pub dismissed_at_ms: Option<i64>,
    /// Why.
    pub dismissed_reason: Option<String>,
    /// When it was made.
    pub inserted_at_ms: i64,
    /// When it changed last.
    pub updated_at_ms: i64,
}

/// What a component or a client sends.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct NewSystemEvent {
    /// Kind; not empty.
    pub kind: String,
    /// Severity; not empty.
    pub severity: String,
    /// The text.
    pub message: Option<String>,
    /// More, for programs.
    pub data: Option<Value>,
    /// Refuse it if an event of the last hour has the same kind and data, or if data is missing on either side.
    pub unique: bool,
}

/// Which events are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SystemEventFilter {
    /// All.
    All,
    /// Those made at this time or later.
    Since(i64),
    /// Those that this user looks after.
    AssignedTo(i64),
}

/// Why an event was not made or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SystemEventError {
    /// There is one like it.
    #[error("event {id} of the last hour says the same")]
    Duplicate {
        /// The other one.
        id: i64,
    },
    /// A field holds what it must not.
    #[error("{field}: {why}")]
    Invalid {
        /// Which field.
        field: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// There is no such event.
    #[error("there is no system event {id}")]
    NotFound {
        /// The number.
        id: i64,
    },
    /// There is no such user.
    #[error("there is no user {id}")]
    UnknownUser {
        /// The number.
        id: i64,
    },
    /// The store said no.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl SystemEventError {
    /// Whether the same request may succeed later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Store(cause) if cause.is_retryable())
    }
}

/// The system events of the store.
#[derive(Debug, Clone)]
pub struct SystemEvents {
    db: Database,
    clock: Clock,
}

impl SystemEvents {
    pub(crate) fn new(db: Database, clock: Clock) -> Self {
        Self { db, clock }
    }

    /// Makes an event.
    ///
    /// # Errors
    ///
    /// [`SystemEventError::Duplicate`] if it must be unique and is not; [`SystemEventError::Invalid`].
    pub async fn create(&self, new: NewSystemEvent) -> Result<SystemEvent, SystemEventError> {
        for (field, text) in [("type", &new.kind), ("severity", &new.severity)] {
            if text.is_empty() || text.chars().count() > 255 {
                let why = "it must have 1 to 255 characters".to_owned();
                return Err(SystemEventError::Invalid { field, why });
            }
        }
        if new.data.as_ref().is_some_and(|data| data.to_string().len() > LONGEST_DATA) {
            let why = format!("it has more than {LONGEST_DATA} bytes");
            return Err(SystemEventError::Invalid { field: "data", why });
        }
        let now_ms = self.clock.now_ms();
        self.db
            .write::<_, SystemEventError, _>(move |tx| {
                Box::pin(async move { create(tx, new, now_ms).await })
            })
            .await
            .map_err(settle)
    }

    /// Events that pass `filter`, the oldest first.
    ///
    /// # Errors
    ///
    /// What the database said.
    pub async fn list(&self, filter: SystemEventFilter) -> Result<Vec<SystemEvent>, StoreError> {
        let (condition, values): (&str, Vec<DbValue>) = match filter {
            SystemEventFilter::All => ("", Vec::new()),
            SystemEventFilter::Since(at_ms) => ("WHERE inserted_at_ms >= $1", vec![at_ms.into()]),
            SystemEventFilter::AssignedTo(user) => ("WHERE assignee_id = $1", vec![user.into()]),
        };
        let select = format!("{SELECT} {condition} ORDER BY id");
        sql::models(self.db.reader(), &select, values).await?.into_iter().map(read).collect()
    }

    /// One event.
    ///
    /// # Errors
    ///
    /// What the database said.
    pub async fn get(&self, id: i64) -> Result<Option<SystemEvent>, StoreError> {
        find(self.db.reader(), id).await
    }

    /// Gives an event to `assignee`.
    ///
    /// # Errors
    ///
    /// [`SystemEventError::NotFound`]; [`SystemEventError::UnknownUser`].
    pub async fn assign(
        &self,
        id: i64,
        assignee: i64,
        assigned_by: i64,
    ) -> Result<SystemEvent, SystemEventError> {
        let set = "assignee_id = $1, assigned_by_id = $2, assigned_at_ms = $3, updated_at_ms = $3";
        let values = vec![assignee.into(), assigned_by.into(), self.clock.now_ms().into()];
        self.change(id, &[assignee, assigned_by], set, values).await
    }

    /// Puts an event away.
    ///
    /// # Errors
    ///
    /// As [`SystemEvents::assign`].
    pub async fn dismiss(
        &self,
        id: i64,
        dismissed_by: i64,
        reason: Option<String>,
    ) -> Result<SystemEvent, SystemEventError> {
        let set =
            "dismissed_by_id = $1, dismissed_reason = $2, dismissed_at_ms = $3, updated_at_ms = $3";
        let values = vec![dismissed_by.into(), reason.into(), self.clock.now_ms().into()];
        self.change(id, &[dismissed_by], set, values).await
    }

    async fn change(
        &self,
        id: i64,
        users: &[i64],
        set: &'static str,
        mut values: Vec<DbValue>,
    ) -> Result<SystemEvent, SystemEventError> {
        let users = users.to_vec();
        self.db
            .write::<_, SystemEventError, _>(move |tx| {
                Box::pin(async move {
                    if find(tx, id).await.or_else(|cause| refuse(cause.into()))?.is_none() {
                        return refuse(SystemEventError::NotFound { id });
                    }
                    for id in users {
                        let select = "SELECT 1 FROM users WHERE id = $1";
                        if sql::query(tx, select, [id.into()]).await?.is_empty() {
                            return refuse(SystemEventError::UnknownUser { id });
                        }
                    }
                    values.push(id.into());
                    sql::execute(
                        tx,
                        &format!("UPDATE system_events SET {set} WHERE id = $4"),
                        values,
                    )
                    .await?;
                    let event = find(tx, id).await.or_else(|cause| refuse(cause.into()))?;
                    event.map_or_else(|| refuse(SystemEventError::NotFound { id }), Ok)
                })
            })
            .await
            .map_err(settle)
    }
}

/// Every column.
const SELECT: &str = "SELECT * FROM system_events";

async fn find(db: &impl ConnectionTrait, id: i64) -> Result<Option<SystemEvent>, StoreError> {
    let rows = sql::models(db, &format!("{SELECT} WHERE id = $1"), [id.into()]).await?;
    rows.into_iter().next().map(read).transpose()
}

async fn create(
    tx: &impl ConnectionTrait,
    new: NewSystemEvent,
    now_ms: i64,
) -> Result<SystemEvent, WriteError<SystemEventError>> {
    if new.unique {
        let select = format!("{SELECT} WHERE type = $1 AND inserted_at_ms >= $2 ORDER BY id");
        let values = [new.kind.clone().into(), (now_ms - UNIQUE_WITHIN_MS).into()];
        for row in sql::models(tx, &select, values).await? {
            let other = read(row).or_else(|cause| refuse(cause.into()))?;
            if other.data.is_none() || new.data.is_none() || other.data == new.data {
                return refuse(SystemEventError::Duplicate { id: other.id });
            }
        }
    }
    let row = system_events::ActiveModel {
        id: ActiveValue::NotSet,
        kind: ActiveValue::Set(new.kind),
        severity: ActiveValue::Set(new.severity),
        message: ActiveValue::Set(
            new.message.map(|message| message.chars().take(LONGEST_MESSAGE).collect()),
        ),
        data: ActiveValue::Set(new.data.map(|data| data.to_string())),
        dismissed_at_ms: ActiveValue::Set(None),
        assigned_at_ms: ActiveValue::Set(None),
        dismissed_by_id: ActiveValue::Set(None),
        assignee_id: ActiveValue::Set(None),
        assigned_by_id: ActiveValue::Set(None),
        dismissed_reason: ActiveValue::Set(None),
        inserted_at_ms: ActiveValue::Set(now_ms),
        updated_at_ms: ActiveValue::Set(now_ms),
    };
    let row = system_events::Entity::insert(row).exec_with_returning(tx).await?;
    read(row).or_else(|cause| refuse(cause.into()))
}

fn read(row: system_events::Model) -> Result<SystemEvent, StoreError> {
    let data = json(row.data.as_deref())
        .map_err(|why| StoreError::corrupt("system event", row.id, why))?;
    Ok(SystemEvent {
        id: row.id,
        kind: row.kind,
        severity: row.severity,
        message: row.message,
        data,
        assignee_id: row.assignee_id,
        assigned_by_id: row.assigned_by_id,
        assigned_at_ms: row.assigned_at_ms,
        dismissed_by_id: row.dismissed_by_id,
        dismissed_at_ms: row.dismissed_at_ms,
        dismissed_reason: row.dismissed_reason,
        inserted_at_ms: row.inserted_at_ms,
        updated_at_ms: row.updated_at_ms,
    })
}
