//! Small statements that SQLite and PostgreSQL read the same way.
//!
//! States are written as literals: SQLite uses a partial index only if it sees the state in the statement.

use sea_orm::{ConnectionTrait, DbErr, ExecResult, FromQueryResult, QueryResult, Statement, Value};

/// Most values that one `IN (…)` takes.
pub(crate) const CHUNK: usize = 500;

pub(crate) async fn execute(
    db: &impl ConnectionTrait,
    sql: &str,
    values: impl IntoIterator<Item = Value>,
) -> Result<ExecResult, DbErr> {
    db.execute_raw(Statement::from_sql_and_values(db.get_database_backend(), sql, values)).await
}

pub(crate) async fn query(
    db: &impl ConnectionTrait,
    sql: &str,
    values: impl IntoIterator<Item = Value>,
) -> Result<Vec<QueryResult>, DbErr> {
    db.query_all_raw(Statement::from_sql_and_values(db.get_database_backend(), sql, values)).await
}

/// Rows as models; a row that cannot be read is an error of the whole query.
pub(crate) async fn models<M: FromQueryResult>(
    db: &impl ConnectionTrait,
    sql: &str,
    values: impl IntoIterator<Item = Value>,
) -> Result<Vec<M>, DbErr> {
    query(db, sql, values).await?.iter().map(|row| M::from_query_result(row, "")).collect()
}

/// `{sql} IN ($1, …){rest}` for texts, as often as their number demands.
pub(crate) async fn models_in<M: FromQueryResult>(
    db: &impl ConnectionTrait,
    sql: &str,
    texts: &[String],
    rest: &str,
) -> Result<Vec<M>, DbErr> {
    let mut found = Vec::new();
    for chunk in texts.chunks(CHUNK) {
        let sql = format!("{sql} IN ({}){rest}", places(1, chunk.len()));
        found.extend(models(db, &sql, chunk.iter().map(|text| text.clone().into())).await?);
    }
    Ok(found)
}

/// `$3, $4, $5` for three places from the third.
pub(crate) fn places(first: usize, count: usize) -> String {
    let places: Vec<String> = (first..first + count).map(|place| format!("${place}")).collect();
    places.join(", ")
}

/// A whole number as the database keeps it.
pub(crate) fn db_int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A whole number of the database that is never negative.
pub(crate) fn from_db_int(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
