//! When units ran, and what they used: records are kept as they come and summed by day when somebody asks.

mod days;

use std::collections::BTreeMap;

use oa_durable::Database;
use oa_protocol::metering::{IntervalEnd, RecordIntervals, UnitInterval};
use oa_protocol::{EtcdToken, IntervalId};
use sea_orm::{FromQueryResult, Value};

use crate::clock::Clock;
use crate::error::{StoreError, settle};
use crate::sql;

use days::Sum;

/// Columns of a row that is written.
const COLUMNS: usize = 17;
/// Rows of one statement; databases bound the values of one.
const ROWS: usize = 50;

/// What is summed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UsageFilter {
    /// From this moment on: milliseconds since 1970, UTC.
    pub from_ms: i64,
    /// Up to this moment, which is not part of it.
    pub to_ms: i64,
    /// Only this product; `""` is what belongs to none.
    pub product: Option<String>,
    /// Only this cluster.
    pub etcd_token: Option<EtcdToken>,
    /// Whether each unit gets a row of its own.
    pub by_unit: bool,
}

/// What ran.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Usage {
    /// By day, product, cluster and unit.
    pub rows: Vec<UsageRow>,
    /// When the latest record was stored; what runs is counted up to its own latest record.
    pub as_of_ms: Option<i64>,
}

/// The use of one product on one cluster in one day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageRow {
    /// The day, UTC: days since 1970.
    pub day: i64,
    /// The product; empty for what belongs to none.
    pub product: String,
    /// The cluster.
    pub etcd_token: String,
    /// The unit, if units were asked for.
    pub unit: Option<String>,
    /// Time that units are known to have run.
    pub ran_ms: u64,
    /// Runs that have a part in this day.
    pub intervals: u64,
    /// Those of them whose end is unknown.
    pub unknown_intervals: u64,
    /// Processor time, if any of the runs could tell; spread evenly over a run that crosses midnight.
    pub cpu_ms: Option<u64>,
    /// Most memory that one process of one of the runs held.
    pub memory_peak_bytes: Option<u64>,
}

/// The runs of all units.
#[derive(Debug, Clone)]
pub struct Usages {
    db: Database,
    clock: Clock,
}

#[derive(Debug, FromQueryResult)]
struct CursorRow {
    cursor: String,
}

#[derive(Debug, FromQueryResult)]
struct LatestRow {
    latest: Option<i64>,
}

#[derive(Debug, FromQueryResult)]
struct RunRow {
    product: String,
    etcd_token: String,
    unit_name: String,
    started_at_ms: i64,
    last_seen_ms: i64,
    end_state: String,
    cpu_ms: Option<i64>,
    memory_peak_bytes: Option<i64>,
}

impl Usages {
    pub(crate) fn new(db: Database, clock: Clock) -> Self {
        Self { db, clock }
    }

    /// Keeps records together with the place up to which they go, in one transaction; the place that is kept now.
    ///
    /// A record that is known already changes nothing, and nothing that is known becomes shorter.
    ///
    /// # Errors
    ///
    /// What the database said.
    pub async fn record(&self, records: RecordIntervals) -> Result<Option<String>, StoreError> {
        let now_ms = self.clock.now_ms();
        let RecordIntervals { etcd_token, exchange, intervals, cursor } = records;
        let token = etcd_token.to_string();
        let Some(cursor) = cursor else { return self.cursor(&token).await };
        let rows = latest(intervals);
        self.db
            .write::<_, StoreError, _>(move |tx| {
                Box::pin(async move {
                    for rows in rows.chunks(ROWS) {
                        let values =
                            rows.iter().flat_map(|run| values(run, &token, &exchange, now_ms));
                        sql::execute(tx, &upsert(rows.len()), values).await?;
                    }
                    let keep = "INSERT INTO unit_interval_cursors (etcd_token, cursor, recorded_at_ms) \
                                VALUES ($1, $2, $3) ON CONFLICT (etcd_token) \
                                DO UPDATE SET cursor = excluded.cursor, recorded_at_ms = excluded.recorded_at_ms";
                    sql::execute(tx, keep, [token.into(), cursor.clone().into(), now_ms.into()])
                        .await?;
                    Ok(Some(cursor))
                })
            })
            .await
            .map_err(settle)
    }

    async fn cursor(&self, token: &str) -> Result<Option<String>, StoreError> {
        let select = "SELECT cursor FROM unit_interval_cursors WHERE etcd_token = $1";
        let rows: Vec<CursorRow> = sql::models(self.db.reader(), select, [token.into()]).await?;
        Ok(rows.into_iter().next().map(|row| row.cursor))
    }

    /// Sums what ran. The days of a period add up to exactly what the period has as a whole.
    ///
    /// # Errors
    ///
    /// What the database said.
    pub async fn sum(&self, filter: &UsageFilter) -> Result<Usage, StoreError> {
        let (select, values) = runs_of(filter);
        // One statement: a run that goes on meanwhile is not met twice.
        let runs: Vec<RunRow> = sql::models(self.db.reader(), &select, values).await?;
        let mut sum = Sum::new(filter);
        runs.iter().for_each(|run| sum.add(run));
        let latest = "SELECT max(recorded_at_ms) AS latest FROM unit_interval_cursors";
        let latest: Vec<LatestRow> = sql::models(self.db.reader(), latest, []).await?;
        let as_of_ms = latest.into_iter().next().and_then(|row| row.latest);
        Ok(Usage { rows: sum.into_rows(), as_of_ms })
    }
}

/// Asks for the runs that have a part in the period.
fn runs_of(filter: &UsageFilter) -> (String, Vec<Value>) {
    // A run without length has a part in the day in which it began.
    let mut select =
        "SELECT product, etcd_token, unit_name, started_at_ms, last_seen_ms, end_state, cpu_ms, \
                      memory_peak_bytes FROM unit_intervals \
                      WHERE last_seen_ms >= $1 AND started_at_ms < $2"
            .to_owned();
    let mut values: Vec<Value> = vec![filter.from_ms.into(), filter.to_ms.into()];
    let mut also = |column: &str, value: Option<String>| {
        let Some(value) = value else { return };
        values.push(value.into());
        select.push_str(&format!(" AND {column} = ${}", values.len()));
    };
    also("product", filter.product.clone());
    also("etcd_token", filter.etcd_token.as_ref().map(ToString::to_string));
    (select, values)
}

/// One record a run: a statement must not meet the same row twice.
fn latest(records: Vec<UnitInterval>) -> Vec<UnitInterval> {
    let mut runs: BTreeMap<IntervalId, UnitInterval> = BTreeMap::new();
    for record in records {
        runs.entry(record.id).and_modify(|run| run.merge(&record)).or_insert(record);
    }
    runs.into_values().collect()
}

/// [`UnitInterval::merge`], in the words of a database.
fn upsert(rows: usize) -> String {
    let places: Vec<String> =
        (0..rows).map(|row| format!("({})", sql::places(1 + row * COLUMNS, COLUMNS))).collect();
    let larger = |column: &str| {
        format!(
            "{column} = CASE WHEN unit_intervals.{column} IS NULL OR excluded.{column} > unit_intervals.{column} \
             THEN excluded.{column} ELSE unit_intervals.{column} END"
        )
    };
    let certain = |column: &str| {
        format!(
            "{column} = CASE WHEN unit_intervals.end_state = 'running' OR excluded.end_state = 'known' \
             THEN excluded.{column} ELSE unit_intervals.{column} END"
        )
    };
    format!(
        "INSERT INTO unit_intervals (id, unit_name, unit_hash, product, etcd_token, exchange, machine_id, boot_id, \
         workflow_id, generation, started_at_ms, last_seen_ms, end_state, end_how, cpu_ms, memory_peak_bytes, \
         recorded_at_ms) VALUES {} ON CONFLICT (id) DO UPDATE SET {}, {}, {}, {}, {}, \
         recorded_at_ms = excluded.recorded_at_ms",
        places.join(", "),
        larger("last_seen_ms"),
        larger("cpu_ms"),
        larger("memory_peak_bytes"),
        certain("end_state"),
        certain("end_how"),
    )
}

fn values(run: &UnitInterval, token: &str, exchange: &str, now_ms: i64) -> [Value; COLUMNS] {
    let (state, how) = match &run.end {
        IntervalEnd::Running => ("running", None),
        IntervalEnd::Unknown => ("unknown", None),
        IntervalEnd::Known { how } => ("known", Some(how.clone())),
    };
    [
        run.id.to_string().into(),
        run.unit.to_string().into(),
        run.unit_hash.clone().into(),
        run.product.clone().unwrap_or_default().into(),
        token.into(),
        exchange.into(),
        run.machine_id.clone().into(),
        run.boot_id.clone().into(),
        run.workflow_id.map(|id| id.to_string()).into(),
        run.generation.map(sql::db_int).into(),
        run.started_at_ms.into(),
        run.started_at_ms.saturating_add(sql::db_int(run.ran_ms)).into(),
        state.into(),
        how.into(),
        run.cpu_ms.map(sql::db_int).into(),
        run.memory_peak_bytes.map(sql::db_int).into(),
        now_ms.into(),
    ]
}
