//! Runs of units are kept exactly, however their records arrive.

use oa_protocol::metering::{IntervalEnd, RecordIntervals, UnitInterval};
use oa_protocol::{EtcdToken, IntervalId, UnitName};
use oa_store::{Usage, UsageFilter};

use crate::support::{NOON, Site};

const DAY_MS: i64 = 86_400_000;

fn run(product: Option<&str>, started_at_ms: i64, ran_ms: u64) -> UnitInterval {
    UnitInterval {
        id: IntervalId::new(),
        unit: UnitName::new("app@0.service").expect("a valid name"),
        unit_hash: "d8a8".into(),
        product: product.map(str::to_owned),
        generation: Some(7),
        workflow_id: None,
        machine_id: "m1".into(),
        boot_id: "b1".into(),
        started_at_ms,
        ran_ms,
        end: IntervalEnd::Running,
        cpu_ms: None,
        memory_peak_bytes: None,
    }
}

fn records(cluster: &str, cursor: &str, intervals: &[&UnitInterval]) -> RecordIntervals {
    RecordIntervals {
        etcd_token: EtcdToken::new(cluster).expect("a valid token"),
        exchange: "aws".into(),
        intervals: intervals.iter().map(|&interval| interval.clone()).collect(),
        cursor: Some(cursor.into()),
    }
}

async fn record(site: &Site, records: RecordIntervals) -> Option<String> {
    site.store.usage().record(records).await.expect("it is kept")
}

async fn sum(site: &Site, filter: UsageFilter) -> Usage {
    site.store.usage().sum(&filter).await.expect("an answer")
}

fn everything() -> UsageFilter {
    UsageFilter { from_ms: 0, to_ms: i64::MAX, ..UsageFilter::default() }
}

#[tokio::test]
async fn records_that_come_twice_and_in_any_order_count_once() {
    let site = Site::open().await;
    let begun = run(Some("shop"), NOON, 0);
    let seen = UnitInterval { ran_ms: 60_000, cpu_ms: Some(10), ..begun.clone() };
    let lost = UnitInterval { end: IntervalEnd::Unknown, ..seen.clone() };
    let ended = UnitInterval {
        ran_ms: 90_000,
        cpu_ms: Some(25),
        memory_peak_bytes: Some(4096),
        end: IntervalEnd::Known { how: "exit status: 0".into() },
        ..begun.clone()
    };
    for batch in [vec![&seen, &begun], vec![&lost], vec![&ended, &seen], vec![&begun], vec![&lost]]
    {
        record(&site, records("local", "c:1", &batch)).await;
    }

    let usage = sum(&site, everything()).await;
    assert_eq!(usage.rows.len(), 1, "{usage:?}");
    let row = &usage.rows[0];
    assert_eq!((row.product.as_str(), row.etcd_token.as_str()), ("shop", "local"));
    assert_eq!((row.day, row.ran_ms, row.intervals), (NOON / DAY_MS, 90_000, 1));
    assert_eq!((row.cpu_ms, row.memory_peak_bytes), (Some(25), Some(4096)));
    assert_eq!(row.unknown_intervals, 0, "its end was seen after all");
    assert_eq!(usage.as_of_ms, Some(NOON));
}

#[tokio::test]
async fn a_run_across_midnight_is_split_to_the_millisecond_and_can_be_filtered() {
    let site = Site::open().await;
    let midnight = (NOON / DAY_MS + 1) * DAY_MS;
    let shop = run(Some("shop"), midnight - 1_500, 4_000);
    let lost = UnitInterval { end: IntervalEnd::Unknown, ..run(None, midnight, 10_000) };
    record(&site, records("local", "c:1", &[&shop])).await;
    record(&site, records("east", "c:1", &[&lost])).await;

    let rows = |usage: Usage| -> Vec<(i64, String, String, u64, u64)> {
        let row = |row: oa_store::UsageRow| {
            let day = row.day - midnight / DAY_MS;
            (day, row.product, row.etcd_token, row.ran_ms, row.unknown_intervals)
        };
        usage.rows.into_iter().map(row).collect()
    };
    let all = [
        (-1, "shop".to_owned(), "local".to_owned(), 1_500, 0),
        (0, String::new(), "east".to_owned(), 10_000, 1),
        (0, "shop".to_owned(), "local".to_owned(), 2_500, 0),
    ];
    assert_eq!(rows(sum(&site, everything()).await), all);
    let today = UsageFilter { from_ms: midnight, to_ms: midnight + 1_000, ..everything() };
    assert_eq!(
        rows(sum(&site, today).await).iter().map(|row| row.3).collect::<Vec<_>>(),
        [1_000, 1_000]
    );
    let of_shop = UsageFilter { product: Some("shop".into()), ..everything() };
    assert_eq!(rows(sum(&site, of_shop).await), [all[0].clone(), all[2].clone()]);
    let of_none = UsageFilter { product: Some(String::new()), by_unit: true, ..everything() };
    let of_none = sum(&site, of_none).await;
    assert_eq!(of_none.rows[0].unit.as_deref(), Some("app@0.service"));
    let east = UsageFilter { etcd_token: EtcdToken::new("east").ok(), ..everything() };
    assert_eq!(rows(sum(&site, east).await), [all[1].clone()]);
}

#[tokio::test]
async fn the_place_is_kept_with_the_records_and_outlives_a_restart() {
    let site = Site::open().await;
    let ask = |cluster: &str| RecordIntervals { cursor: None, ..records(cluster, "", &[]) };
    assert_eq!(record(&site, ask("local")).await, None);
    let many: Vec<UnitInterval> = (0..120).map(|at| run(Some("shop"), NOON + at, 1)).collect();
    let many: Vec<&UnitInterval> = many.iter().collect();
    assert_eq!(record(&site, records("local", "c:9", &many)).await.as_deref(), Some("c:9"));

    let site = site.restart().await;
    assert_eq!(record(&site, ask("local")).await.as_deref(), Some("c:9"));
    assert_eq!(record(&site, ask("east")).await, None);
    assert_eq!(sum(&site, everything()).await.rows[0].intervals, 120);
}
