//! `/usage`: what ran for how long.

use actix_web::HttpResponse;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use oa_api::{Usage, UsageRow};
use oa_protocol::EtcdToken;
use oa_store::UsageFilter;

use crate::error::{ApiError, Problem};
use crate::request::{Call, Fields, Given};
use crate::services::store_failed;
use crate::time;
use crate::views;

/// What errors are about.
const USAGE: &str = "Usage";
/// Days that are summed unless others are asked for, and most that can be asked for.
const DEFAULT_DAYS: i32 = 7;
const MAX_DAYS: i32 = 400;
/// Longest name of a product or a cluster.
const MAX_NAME: usize = 255;

/// `GET /usage`: by day, product and cluster; with `by=unit` also by unit.
pub(crate) async fn get_usage(call: Call) -> Result<HttpResponse, ApiError> {
    let mut fields = call.fields(USAGE);
    let days = days(&mut fields);
    let product = fields.text("product", MAX_NAME).value();
    let cluster = fields.text("cluster", MAX_NAME).value().and_then(|text| {
        let token = EtcdToken::new(text);
        token.map_err(|why| fields.problem(Problem::new("cluster", why.why))).ok()
    });
    let by_unit = by_unit(&mut fields);
    fields.check()?;
    let Some((from, to)) = days else { return Err(ApiError::internal(USAGE)) };
    let filter = UsageFilter {
        from_ms: midnight(from),
        to_ms: midnight(to.saturating_add(1.day())),
        product,
        etcd_token: cluster,
        by_unit,
    };
    let usage = call.app.store.usage().sum(&filter).await;
    let usage = usage.map_err(|error| store_failed(USAGE, &error))?;
    views::ok(&Usage {
        from: from.to_string(),
        to: to.to_string(),
        as_of: usage.as_of_ms.map(time::rfc1123),
        rows: usage.rows.into_iter().map(row).collect(),
    })
}

/// First and last day; `None` if a problem was noted.
fn days(fields: &mut Fields<'_>) -> Option<(Date, Date)> {
    let today = Timestamp::now().to_zoned(TimeZone::UTC).date();
    let to = date(fields, "to", today)?;
    let from = date(fields, "from", to.saturating_sub((DEFAULT_DAYS - 1).days()))?;
    let count = (to - from).get_days() + 1;
    if !(1..=MAX_DAYS).contains(&count) {
        let problem = Problem::new("from", format!("gives {count} days"));
        fields.problem(problem.allowed(format!("a day up to `to`, 1 to {MAX_DAYS} days in all")));
        return None;
    }
    Some((from, to))
}

fn date(fields: &mut Fields<'_>, name: &'static str, default: Date) -> Option<Date> {
    let text = match fields.text(name, MAX_NAME) {
        Given::Value(text) => text,
        Given::Absent | Given::Null => return Some(default),
    };
    // Written back it must be the same: other spellings of a day are not meant to work.
    let day = text.parse::<Date>().ok().filter(|day| day.to_string() == text && day.year() >= 1970);
    if day.is_none() {
        fields.problem(Problem::new(name, "is invalid").allowed("a day such as 2026-11-25, UTC"));
    }
    day
}

fn by_unit(fields: &mut Fields<'_>) -> bool {
    match fields.text("by", MAX_NAME) {
        Given::Value(by) if by == "unit" => true,
        Given::Value(by) if by != "product" && by != "cluster" => {
            fields.problem(Problem::new("by", "is invalid").allowed("product, cluster or unit"));
            false
        }
        _ => false,
    }
}

fn midnight(day: Date) -> i64 {
    let at = day.to_zoned(TimeZone::UTC).map(|time| time.timestamp().as_millisecond());
    at.unwrap_or(i64::MAX)
}

fn row(row: oa_store::UsageRow) -> UsageRow {
    let day = Date::constant(1970, 1, 1).saturating_add(row.day.days());
    UsageRow {
        day: day.to_string(),
        product: row.product,
        cluster: row.etcd_token,
        unit: row.unit,
        unit_seconds: seconds(row.ran_ms),
        intervals: row.intervals,
        unknown_intervals: row.unknown_intervals,
        cpu_seconds: row.cpu_ms.map(seconds),
        memory_peak_bytes: row.memory_peak_bytes,
    }
}

/// Whole milliseconds up to 285,000 years are exact in this form.
fn seconds(ms: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "2^53 milliseconds are more than there will be")]
    let ms = ms as f64;
    ms / 1000.0
}
