//! The directory of the host takes no writes: units are refused, nothing is half-written, and it passes by itself.

mod support;

use std::path::Path;

use oa_fleet::unit::{UnitDesire, UnitOption};
use oa_fleet::{Engine, EngineError, FleetClient};
use oa_test_services::disk::SmallDisk;
use support::{Stage, name};

fn files(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).expect("a directory").flatten();
    let mut names: Vec<String> =
        entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    names
}

/// Puts a unit whose definition has about 40 kB.
async fn put(client: &FleetClient, unit: &str) -> Result<(), EngineError> {
    let text = "x".repeat(1_000);
    let options: Vec<UnitOption> = (0..40)
        .map(|_| UnitOption::new("Unit", "Description", text.as_str()))
        .chain([UnitOption::new("Service", "ExecStart", "/bin/true")])
        .collect();
    client.put(&name(unit), &options, UnitDesire::Inactive).await
}

fn refusal(result: Result<(), EngineError>) -> String {
    match result.expect_err("it takes no writes") {
        EngineError::Refused { status: 503, message, .. } => message,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_full_directory_refuses_units_and_keeps_what_is_there() {
    let stage = Stage::new();
    let units = stage.config().data_dir.join("units");
    let Some(disk) = SmallDisk::mount(&units, 1024) else { return };
    let (host, client) = (stage.start().await, stage.client());
    put(&client, "first.service").await.expect("there is room");
    let before = std::fs::read(stage.definition_of("first.service")).expect("its definition");

    disk.fill();
    let said = refusal(put(&client, "second.service").await);
    assert!(said.starts_with("storage_full: failed to store the unit"), "{said}");
    assert!(said.contains("free some space"), "{said}");
    assert_eq!(files(&units), ["ballast", "first.service.json"]);
    let after = std::fs::read(stage.definition_of("first.service")).expect("its definition");
    assert_eq!(before, after);
    assert_eq!(client.units().await.expect("reading goes on").len(), 1);

    disk.free();
    put(&client, "second.service").await.expect("there is room again");
    stage.end(host).await;
}

#[tokio::test]
async fn a_read_only_directory_refuses_units_with_a_name_of_its_own() {
    let stage = Stage::new();
    let units = stage.config().data_dir.join("units");
    let Some(disk) = SmallDisk::mount(&units, 1024) else { return };
    let (host, client) = (stage.start().await, stage.client());
    put(&client, "first.service").await.expect("it is writable");

    disk.make_read_only();
    let said = refusal(put(&client, "second.service").await);
    assert!(said.starts_with("storage_read_only: "), "{said}");
    let said = refusal(client.remove(&name("first.service")).await.map(drop));
    assert!(said.contains("failed to forget the unit"), "{said}");
    assert_eq!(files(&units), ["first.service.json"]);

    disk.make_writable();
    put(&client, "second.service").await.expect("it is writable again");
    stage.end(host).await;
}
