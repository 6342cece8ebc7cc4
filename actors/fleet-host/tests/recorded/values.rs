//! Values that go on over several lines are kept as they are and acted upon with their lines joined.

use serde_json::{Value, json};

use crate::play::{Play, json_of};
use crate::scenarios::Place;
use crate::support::{output, raw, reaches};

fn options(options: &[(&str, &str, &str)]) -> Vec<Value> {
    let one = |(section, name, value): &(&str, &str, &str)| json!({ "section": section, "name": name, "value": value });
    options.iter().map(one).collect()
}

#[tokio::test]
async fn a_value_over_several_lines_is_kept_and_run_joined() {
    let play = Play::start(Place::Three).await;
    let lines = options(&[
        ("Service", "Type", "oneshot"),
        ("Service", "RemainAfterExit", "\\\n yes"),
        ("Service", "Environment", "ONE=1 \\\n  TWO=2"),
        ("Service", "ExecStart", "/bin/echo \\\n  ${ONE}\\\n${TWO} \"three \\\nfour\""),
        ("X-Fleet", "MachineMetadata", "\"disk=hdd\" \\\n\"disk=ssd\""),
    ]);

    play.put("joined.service", &json!({ "desiredState": "launched", "options": lines })).await;

    reaches(&play.stage.client(), "joined.service", "active", "exited").await;
    let printed = output(&play.stage.client(), "joined.service").await;
    assert!(printed.contains("1 2 three  four\n"), "{printed}");
    let shown = play.send(&raw::request("GET", "/fleet/v1/units/joined.service", "")).await;
    assert_eq!(json_of(&shown.body)["options"], Value::from(lines), "as it was sent");
    play.end().await;
}
