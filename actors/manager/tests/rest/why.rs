//! Asking why: how the tests read an answer, and that no reason is without a test.

use std::collections::BTreeSet;

use oa_api::{Finding, ReasonCode};

use crate::manager::TestManager;

/// What the Manager answers to `GET {path}`.
pub(crate) async fn findings(manager: &TestManager, path: &str) -> Vec<Finding> {
    let answer = manager.get(path).await.expect_status(200);
    serde_json::from_str(&answer.body).expect("a list of findings")
}

/// The only finding, which has this code and says all of `words`.
pub(crate) async fn only(manager: &TestManager, path: &str, code: &str, words: &[&str]) -> Finding {
    let found = findings(manager, path).await;
    assert_eq!(found.len(), 1, "{found:#?}");
    check(&found[0], code, words);
    found[0].clone()
}

/// Checks a finding: its code, its words, and that nothing of it is empty.
pub(crate) fn check(finding: &Finding, code: &str, words: &[&str]) {
    assert_eq!(finding.reason_code, code, "{finding:#?}");
    let text =
        format!("{} {} {}", finding.reason, finding.next, finding.evidence.log_lines.join(" "));
    for word in words {
        assert!(text.contains(word), "`{word}` is missing in {finding:#?}");
    }
    for part in [&finding.subject, &finding.state, &finding.reason, &finding.owner, &finding.next] {
        assert!(!part.is_empty(), "{finding:#?}");
    }
}

#[test]
fn every_reason_is_produced_by_a_test_that_reads_the_answer() {
    let sources = [
        include_str!("why_cluster.rs"),
        include_str!("why_node.rs"),
        include_str!("why_workflow.rs"),
        // What needs another unit or another machine than a test has.
        include_str!("../../src/why/unit.rs"),
        include_str!("../../../../tests/system/why.rs"),
        include_str!("../../../../tests/system/why_units.rs"),
    ];
    let quoted: BTreeSet<&str> = sources.iter().flat_map(|text| text.split('"')).collect();
    let missing: Vec<&str> = ReasonCode::ALL
        .iter()
        .map(|code| code.as_str())
        .filter(|word| !quoted.contains(word))
        .collect();
    assert_eq!(missing, Vec::<&str>::new());
}
