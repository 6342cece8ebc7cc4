//! The host answers as a real Fleet 1.0 did, except where the list of differences says why not.
//!
//! `tests/recordings/` holds what a Fleet of three machines answered. [`scenarios`] says which of it is sent again here,
//! in which order; [`differences`] says what cannot be shown or ends otherwise, and why. Nothing may be in neither.

mod differences;
mod fleetctl;
mod play;
mod scenarios;
#[path = "../support/mod.rs"]
mod support;
mod timelines;
mod values;

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use differences::{DIFFERENCES, Kind};

fn recordings() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings")
}

fn names_in(directory: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(directory).expect("the recordings are there").flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| name != "README.md").collect()
}

/// Numbers of all recorded exchanges.
fn exchanges() -> BTreeSet<u16> {
    let names = names_in(&recordings()).into_iter().filter(|name| name.ends_with(".http"));
    names.map(|name| name[..3].parse().expect("its name begins with its number")).collect()
}

#[test]
fn every_exchange_is_played_or_listed_with_its_reason() {
    let played: BTreeSet<u16> =
        scenarios::ALL.iter().flat_map(|scenario| scenario.played()).collect();
    let mut unplayed = BTreeSet::new();
    let mut otherwise = BTreeSet::new();
    for difference in DIFFERENCES {
        for number in difference.exchanges {
            let list = match difference.kind {
                Kind::NotSent => &mut unplayed,
                _ => &mut otherwise,
            };
            assert!(list.insert(*number), "{number:03} is listed twice");
        }
    }
    assert_eq!(exchanges().len(), 284, "all of them are here");
    for number in exchanges() {
        let (is_played, is_listed) = (played.contains(&number), unplayed.contains(&number));
        assert!(is_played || is_listed, "{number:03} is neither played nor listed");
        assert!(!(is_played && is_listed), "{number:03} is played, and listed as one that is not");
    }
    let unknown: Vec<_> = otherwise.difference(&played).collect();
    assert!(unknown.is_empty(), "listed as answered otherwise, and never sent: {unknown:?}");
}

#[test]
fn every_other_recording_is_compared_or_listed_with_its_reason() {
    let listed = |name: &str| DIFFERENCES.iter().filter(|one| one.others.contains(&name)).count();
    for name in names_in(&recordings()).iter().filter(|name| name.starts_with("timeline-")) {
        let compared = timelines::ALL.iter().any(|timeline| timeline.file == name);
        assert_eq!(usize::from(compared) + listed(name), 1, "{name}");
    }
    assert_eq!(listed("ssh-journal.txt"), 1);
    // All of these are compared.
    assert_eq!(names_in(&recordings().join("fleetctl")).len(), 16);
}

/// The recordings lie here as copies; where the originals are at hand, none may be missing or changed.
#[test]
fn the_copies_are_the_recordings() {
    let roots = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let mut places = roots.map(|root| root.join("shared/reference/fleet-recordings"));
    let Some(originals) = places.find(|place| place.is_dir()) else { return };
    for directory in ["", "fleetctl"] {
        let (originals, copies) = (originals.join(directory), recordings().join(directory));
        assert_eq!(names_in(&originals), names_in(&copies));
        for name in names_in(&copies).iter().filter(|name| copies.join(name).is_file()) {
            let same = fs::read(originals.join(name)).ok() == fs::read(copies.join(name)).ok();
            assert!(same, "{name} differs from its original");
        }
    }
}

#[test]
fn the_document_lists_exactly_these_differences() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/fleet-api.md");
    let document = fs::read_to_string(&path).expect("the document is there");
    let (before, rest) =
        document.split_once("<!-- begin -->\n").expect("the mark of the beginning");
    let (_, after) = rest.split_once("<!-- end -->").expect("the mark of the end");
    let wanted = format!("{before}<!-- begin -->\n{}<!-- end -->{after}", differences::document());
    if env::var_os("OA_WRITE_DOCS").is_some() {
        fs::write(&path, &wanted).expect("it is written");
    }
    assert!(
        document == wanted || env::var_os("OA_WRITE_DOCS").is_some(),
        "docs/fleet-api.md does not say what the tests say; run this test with OA_WRITE_DOCS=1"
    );
}
