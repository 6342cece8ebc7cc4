//! The host answers as a real Fleet 1.0 did, except where the list of differences says why not.

mod support;

use std::fs;
use std::path::Path;

use serde_json::Value;
use support::raw::{self, Exchange};
use support::{Stage, reaches};

/// The machines of the recordings; every one of them is this host's machine here.
const RECORDED_MACHINES: [&str; 3] = [
    "8b01ebf28c7e9b63baa13265973e8781",
    "da24b76e11f8371232fe21a2201e0366",
    "df100dedb76499b2621531bf5a3fb08c",
];

/// Exchanges that end otherwise here: the status of this host, and why.
const DIFFERENCES: &[(&str, u16, &str)] = &[
    ("084", 400, "the original answers 500 to a state that does not exist"),
    ("126", 400, "the original lets a value add a line to the unit file"),
    ("128", 400, "the original stores an option without section and name"),
    (
        "163",
        400,
        "systemd ignores options that it does not know; this host refuses what it cannot do",
    ),
    ("162", 400, "the original stores a service that can never start"),
];

/// Exchanges whose error has other words here: those of the original name types of Go, or do not name the option.
const OTHER_WORDS: &[&str] = &["020", "032", "044", "047", "048", "049", "083"];

fn recording(number: &str) -> Exchange {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings");
    let entries = fs::read_dir(directory).expect("the recordings are there").flatten();
    let path = entries
        .map(|entry| entry.path())
        .find(|path| {
            path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(number))
        })
        .expect("a recording with this number");
    raw::parse(&fs::read(path).expect("a readable recording"))
}

/// Sends the request of a recording and compares what comes with what came.
async fn replay(stage: &Stage, number: &str) {
    let recorded = recording(number);
    let answer = raw::send(&stage.socket(), &recorded.request).await;
    if let Some((_, status, why)) = DIFFERENCES.iter().find(|(other, ..)| *other == number) {
        assert_eq!(answer.status, *status, "{number}, where {why}: {}", answer.body);
        return;
    }
    assert_eq!(answer.status, recorded.answer.status, "{number}: {}", answer.body);
    assert!(
        answer.header("server").is_some_and(|server| server.starts_with("fleetd/")),
        "{number}"
    );
    if recorded.answer.body.is_empty() {
        assert_eq!(answer.body, "", "{number}");
        return;
    }
    assert_eq!(answer.header("content-type"), recorded.answer.header("content-type"), "{number}");
    if !OTHER_WORDS.contains(&number) {
        let own = stage.machine_id().await;
        let mut wanted = recorded.answer.body.clone();
        for machine in RECORDED_MACHINES {
            wanted = wanted.replace(machine, &own);
        }
        assert_eq!(json(&answer.body), json(&wanted), "{number}");
    }
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|why| panic!("`{text}` is no JSON: {why}"))
}

async fn replay_all(stage: &Stage, numbers: &[&str]) {
    for number in numbers {
        replay(stage, number).await;
    }
}

#[tokio::test]
async fn paths_methods_and_an_empty_cluster() {
    let stage = Stage::new();
    let host = stage.start().await;
    replay_all(&stage, &["001", "002", "003", "004", "005", "006", "007", "008", "012", "013"])
        .await;
    replay_all(&stage, &["016", "017", "018", "019", "062", "063", "064", "065", "066", "067"])
        .await;
    replay_all(&stage, &["068", "069", "070", "071", "072", "073", "074"]).await;
    stage.end(host).await;
}

#[tokio::test]
async fn a_path_that_is_not_clean_leads_to_the_clean_one() {
    let stage = Stage::new();
    let host = stage.start().await;
    for number in ["009", "010", "011"] {
        let recorded = recording(number);

        let answer = raw::send(&stage.socket(), &recorded.request).await;

        assert_eq!(answer.header("location"), recorded.answer.header("location"), "{number}");
        assert_eq!((answer.status, answer.body), (301, recorded.answer.body), "{number}");
    }
    stage.end(host).await;
}

#[tokio::test]
async fn changes_of_machines_that_are_refused() {
    let stage = Stage::new();
    let host = stage.start().await;
    replay_all(&stage, &["020", "028", "029", "030", "031", "032"]).await;
    stage.end(host).await;
}

#[tokio::test]
async fn units_that_are_refused_and_leave_nothing() {
    let stage = Stage::new();
    let host = stage.start().await;
    replay_all(&stage, &["033", "034", "035", "036", "037", "038", "039", "040", "041", "042"])
        .await;
    replay_all(&stage, &["043", "044", "045", "046", "047", "048", "049", "050", "051", "052"])
        .await;
    replay_all(&stage, &["053", "054", "055", "056", "057", "058", "059", "060", "061"]).await;
    replay_all(&stage, &["075", "076", "077", "078", "079", "080", "081", "082", "083"]).await;
    replay_all(&stage, &["084", "085", "126", "128", "162", "163", "012"]).await;
    stage.end(host).await;
}

#[tokio::test]
async fn the_life_of_a_unit() {
    let stage = Stage::new();
    let host = stage.start().await;
    replay(&stage, "086").await;
    reaches(&stage.client(), "hello.service", "active", "running").await;
    replay_all(&stage, &["088", "089", "090", "091", "093", "094", "095", "096"]).await;
    reaches(&stage.client(), "hello.service", "inactive", "dead").await;
    replay_all(&stage, &["098", "099", "100"]).await;
    stage.is_off_the_machine("hello.service").await;
    replay_all(&stage, &["101", "102", "103"]).await;
    reaches(&stage.client(), "hello.service", "active", "running").await;
    replay(&stage, "104").await;
    stage.runs_hash("hello.service", "4aa24a6de946667a746a3edef2d576e866c8e0c0").await;
    replay_all(&stage, &["105", "106", "107", "109"]).await;
    reaches(&stage.client(), "hello.service", "active", "running").await;
    replay_all(&stage, &["110", "111", "112", "114"]).await;
    stage.is_off_the_machine("hello.service").await;
    replay(&stage, "115").await;
    stage.end(host).await;
}

#[tokio::test]
async fn the_state_of_a_unit_that_is_on_no_machine_is_not_found() {
    let stage = Stage::new();
    let host = stage.start().await;

    // The original closes the connection without an answer.
    let answer = raw::send(&stage.socket(), &recording("092").request).await;

    assert_eq!(answer.status, 404);
    stage.end(host).await;
}

#[tokio::test]
async fn what_is_stored_is_what_was_sent() {
    let stage = Stage::new();
    let host = stage.start().await;
    replay_all(&stage, &["116", "117", "118", "119", "120", "121", "122", "123"]).await;
    replay_all(&stage, &["124", "125", "130"]).await;
    stage.end(host).await;
}

#[tokio::test]
async fn templates_are_kept_and_never_run() {
    let stage = Stage::new();
    let host = stage.start().await;
    replay_all(&stage, &["132", "133", "134", "135", "136", "137"]).await;
    stage.end(host).await;
}

#[tokio::test]
async fn units_that_fail_or_end() {
    let stage = Stage::new();
    let host = stage.start().await;
    replay_all(&stage, &["155", "156", "157", "158", "159", "160", "161"]).await;
    for (unit, active, sub, state) in [
        ("fail-exit.service", "failed", "failed", "168"),
        ("fail-nocmd.service", "failed", "failed", "170"),
        ("fail-restart.service", "activating", "auto-restart", "172"),
        ("oneshot.service", "inactive", "dead", "174"),
        ("oneshot-stay.service", "active", "exited", "176"),
        ("slowstart.service", "activating", "start-pre", "178"),
        ("startpre-fail.service", "failed", "failed", "180"),
    ] {
        reaches(&stage.client(), unit, active, sub).await;
        replay(&stage, state).await;
    }
    replay(&stage, "191").await;
    stage.is_loaded("fail-exit.service").await;
    replay(&stage, "192").await;
    stage.end(host).await;
}

#[tokio::test]
async fn page_tokens_that_are_refused() {
    let stage = Stage::new();
    let host = stage.start().await;
    replay_all(&stage, &["239", "240", "241", "242", "243", "244", "247", "248"]).await;
    stage.end(host).await;
}
