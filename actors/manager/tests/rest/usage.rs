//! `/usage`: what records of runs become for a client.

use std::time::Duration;

use oa_protocol::metering::{IntervalEnd, RecordIntervals, UnitInterval};
use oa_protocol::{EtcdToken, IntervalId, RefusalCode, UnitName, mailbox};
use serde_json::json;

use crate::manager::TestManager;

/// 2026-11-25T00:00:00Z.
const MIDNIGHT: i64 = 1_795_564_800_000;

async fn record(
    manager: &TestManager,
    records: RecordIntervals,
) -> Result<Option<String>, RefusalCode> {
    let address = manager.post_office().address(mailbox::MANAGER);
    let recipient = manager.post_office().recipient::<RecordIntervals>(&address);
    let answer = recipient.ask(records, Duration::from_secs(10)).await.expect("an answer");
    answer.map_err(|refusal| refusal.code)
}

fn records(intervals: Vec<UnitInterval>) -> RecordIntervals {
    RecordIntervals {
        etcd_token: EtcdToken::new("local").expect("a token"),
        exchange: String::new(),
        intervals,
        cursor: Some("c:7".into()),
    }
}

fn run(started_at_ms: i64, ran_ms: u64, end: IntervalEnd) -> UnitInterval {
    UnitInterval {
        id: IntervalId::new(),
        unit: UnitName::new("app@0.service").expect("a name"),
        unit_hash: String::new(),
        product: Some("shop".into()),
        generation: None,
        workflow_id: None,
        machine_id: "m1".into(),
        boot_id: "b1".into(),
        started_at_ms,
        ran_ms,
        end,
        cpu_ms: Some(1_500),
        memory_peak_bytes: None,
    }
}

#[tokio::test]
async fn runs_are_shown_by_day_product_and_cluster() {
    let manager = TestManager::start().await;
    let how = IntervalEnd::Known { how: "exit status: 0".into() };
    let across = run(MIDNIGHT - 1_500, 3_000, how);
    let lost = run(MIDNIGHT + 10, 1, IntervalEnd::Unknown);
    assert_eq!(record(&manager, records(vec![across, lost])).await, Ok(Some("c:7".into())));

    let answer = manager.get("/usage?from=2026-11-24&to=2026-11-25").await.expect_status(200);
    let body = answer.json();
    assert_eq!(body["from"], "2026-11-24");
    assert!(body["as_of"].is_string());
    assert_eq!(
        body["rows"],
        json!([
            {
                "day": "2026-11-24", "product": "shop", "cluster": "local", "unit_seconds": 1.5,
                "intervals": 1, "unknown_intervals": 0, "cpu_seconds": 0.75, "memory_peak_bytes": null
            },
            {
                "day": "2026-11-25", "product": "shop", "cluster": "local", "unit_seconds": 1.501,
                "intervals": 2, "unknown_intervals": 1, "cpu_seconds": 2.25, "memory_peak_bytes": null
            },
        ])
    );
    let path = "/usage?from=2026-11-25&to=2026-11-25&by=unit&product=shop&cluster=local";
    let by_unit = manager.get(path).await.expect_status(200).json();
    assert_eq!(by_unit["rows"][0]["unit"], "app@0.service");
    for other in ["product=till", "cluster=east", "product="] {
        let path = format!("/usage?from=2026-11-24&to=2026-11-25&{other}");
        assert_eq!(
            manager.get(&path).await.expect_status(200).json()["rows"],
            json!([]),
            "{other}"
        );
    }
}

#[tokio::test]
async fn a_week_is_shown_unless_asked_otherwise_and_what_is_no_day_is_refused() {
    let manager = TestManager::start().await;
    let usage = manager.get("/usage").await.expect_status(200).json();
    assert_eq!((&usage["rows"], &usage["as_of"]), (&json!([]), &json!(null)));
    assert!(usage["from"].as_str() < usage["to"].as_str(), "{usage}");
    for (query, field) in [
        ("from=yesterday", "from"),
        ("to=2026-13-01", "to"),
        ("from=2026-1-1", "from"),
        ("from=2026-11-02&to=2026-11-01", "from"),
        ("from=2020-01-01&to=2026-11-01", "from"),
        ("cluster=a/b", "cluster"),
        ("by=colour", "by"),
    ] {
        let answer = manager.get(&format!("/usage?{query}")).await.expect_status(400);
        assert!(answer.body.contains(&format!("\"{field}\"")), "{query}: {}", answer.body);
    }
}

#[tokio::test]
async fn records_that_no_host_makes_are_refused_whole() {
    let manager = TestManager::start().await;
    let long = UnitInterval { unit_hash: "x".repeat(2_000), ..run(0, 1, IntervalEnd::Running) };
    for bad in [vec![long], vec![run(-1, 1, IntervalEnd::Running)]] {
        assert_eq!(record(&manager, records(bad)).await, Err(RefusalCode::Invalid));
    }
    let many = (0..1_001).map(|at| run(at, 1, IntervalEnd::Running)).collect();
    assert_eq!(record(&manager, records(many)).await, Err(RefusalCode::Invalid));
    let nothing = RecordIntervals { cursor: None, ..records(Vec::new()) };
    assert_eq!(record(&manager, nothing).await, Ok(None), "nothing was kept");
}
