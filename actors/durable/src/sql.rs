//! Small statements that SQLite and PostgreSQL read the same way.
//!
//! States are written as literals: SQLite uses a partial index only if it sees the state in the statement.

use std::time::{SystemTime, UNIX_EPOCH};

use sea_orm::{ConnectionTrait, DbErr, ExecResult, QueryResult, Statement, Value};

/// Milliseconds since 1970, UTC, as every table of ours has them.
#[must_use]
pub fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Runs a statement with `$1`, `$2`, … for its values.
///
/// # Errors
///
/// What the database said.
pub async fn execute(
    db: &impl ConnectionTrait,
    sql: &str,
    values: impl IntoIterator<Item = Value>,
) -> Result<ExecResult, DbErr> {
    db.execute_raw(Statement::from_sql_and_values(db.get_database_backend(), sql, values)).await
}

/// Reads rows with a statement as in [`execute`].
///
/// # Errors
///
/// What the database said.
pub async fn query(
    db: &impl ConnectionTrait,
    sql: &str,
    values: impl IntoIterator<Item = Value>,
) -> Result<Vec<QueryResult>, DbErr> {
    db.query_all_raw(Statement::from_sql_and_values(db.get_database_backend(), sql, values)).await
}

/// `$3, $4, $5` for three places from the third.
#[must_use]
pub fn places(first: usize, count: usize) -> String {
    let places: Vec<String> = (first..first + count).map(|place| format!("${place}")).collect();
    places.join(", ")
}

/// `($1, $2), ($3, $4)` for two rows of two columns.
#[must_use]
pub fn rows(rows: usize, columns: usize) -> String {
    let rows: Vec<String> =
        (0..rows).map(|row| format!("({})", places(row * columns + 1, columns))).collect();
    rows.join(", ")
}
