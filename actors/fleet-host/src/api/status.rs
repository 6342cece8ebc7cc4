//! `GET /oa/v1/units/<name>/status`: how a unit does, in more words than the Fleet API has.
//!
//! What its keeper said last is read from its directory, so this works whoever keeps the unit now. A unit without a
//! keeper says what it waits for.

use std::fs;
use std::path::Path;
use std::time::UNIX_EPOCH;

use actix_web::web;
use oa_fleet::UnitName;
use oa_fleet::unit::{UnitCondition, UnitDesire};
use serde::Deserialize;

use super::error::ApiError;
use super::name::known;
use crate::cluster::Cluster;
use crate::keeper::{STATUS, UnitResult};
use crate::registry::Definition;
use crate::scheduling::Hindrance;

/// What is read of a keeper's last word. Fields of another release may be missing.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Said {
    hash: String,
    launch: u64,
    phase: String,
    was_stopped: bool,
    starts: u32,
    last_exit: Option<String>,
    result: Option<String>,
    since_ms: Option<i64>,
    note: Option<String>,
}

/// 404 if the unit is not known.
pub(super) async fn get(
    cluster: web::Data<Cluster>,
    name: web::Path<String>,
) -> Result<web::Json<UnitCondition>, ApiError> {
    let name = known(&name)?;
    let definition = cluster.registry().get(&name).cloned().ok_or_else(ApiError::no_unit)?;
    Ok(web::Json(condition(&cluster, &name, &definition)))
}

fn condition(cluster: &Cluster, name: &UnitName, definition: &Definition) -> UnitCondition {
    let view = cluster.states.get(name);
    let states = view.map(|view| (view.active.to_owned(), view.sub.to_owned()));
    let (active, sub) = states.unwrap_or_else(|| ("inactive".into(), "dead".into()));
    let bare = |phase: &str| UnitCondition {
        phase: phase.into(),
        active: active.clone(),
        sub: sub.clone(),
        ..UnitCondition::default()
    };
    if let Some(hindrance) = cluster.hindrance(name) {
        let (phase, what) = match hindrance {
            Hindrance::Machine(what) => ("no_machine", what),
            Hindrance::Conflict(unit) => ("conflict", unit),
            Hindrance::Peer(unit) => ("no_peer", unit),
        };
        return UnitCondition { waits_for: Some(what), ..bare(phase) };
    }
    if definition.desired == UnitDesire::Launched
        && let Err(why) = cluster.plan(name, &definition.options)
    {
        return UnitCondition { note: Some(why.to_string()), ..bare("refused") };
    }
    if definition.desired == UnitDesire::Launched
        && let Some((why, has_failed)) = cluster.gate.reason(name)
    {
        let result = has_failed.then(|| UnitResult::Dependency.word().to_owned());
        return UnitCondition { note: Some(why), result, ..bare("held") };
    }
    let kept = cluster.states.kept(name);
    if kept.as_ref().is_some_and(|kept| !kept.answers) {
        return bare("keeper_silent");
    }
    let lost = kept.and_then(|kept| kept.said.output.trouble);
    let said = said(&cluster.run_of(name));
    // The word about an earlier launch says nothing about this one.
    let said = said.filter(|said| match definition.desired {
        UnitDesire::Launched => said.launch == definition.launch,
        UnitDesire::Loaded => said.hash == definition.hash() && !said.was_stopped,
        UnitDesire::Inactive => false,
    });
    match said {
        Some(said) => UnitCondition {
            phase: snake_case(&said.phase),
            result: said.result,
            since_ms: said.since_ms,
            starts: said.starts,
            last_exit: said.last_exit,
            note: lost
                .map(|why| format!("its output cannot be written and is lost: {why}"))
                .or(said.note),
            ..bare("")
        },
        None if definition.desired == UnitDesire::Launched => bare("starting"),
        None => bare("not_launched"),
    }
}

/// A keeper's last word; without its own time, that of the writing.
fn said(directory: &Path) -> Option<Said> {
    let file = directory.join(STATUS);
    let mut said: Said = serde_json::from_slice(&fs::read(&file).ok()?).ok()?;
    if said.since_ms.is_none() {
        let written = fs::metadata(&file).ok()?.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
        said.since_ms = i64::try_from(written.as_millis()).ok();
    }
    Some(said)
}

/// `AutoRestart` as `auto_restart`.
fn snake_case(phase: &str) -> String {
    let mut text = String::new();
    for c in phase.chars() {
        if c.is_ascii_uppercase() && !text.is_empty() {
            text.push('_');
        }
        text.push(c.to_ascii_lowercase());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phase_is_spelled_as_words_of_the_wire_are() {
        assert_eq!(snake_case("AutoRestart"), "auto_restart");
        assert_eq!(snake_case("Running"), "running");
        assert_eq!(snake_case("auto_restart"), "auto_restart");
    }

    #[test]
    fn a_word_without_a_time_gets_that_of_its_writing() {
        let directory = tempfile::tempdir().expect("a directory");
        assert!(said(directory.path()).is_none());
        fs::write(directory.path().join(STATUS), r#"{"phase": "Failed", "starts": 3}"#)
            .expect("written");
        let said = said(directory.path()).expect("a word");
        assert_eq!((said.phase.as_str(), said.starts), ("Failed", 3));
        assert!(said.since_ms.is_some_and(|since_ms| since_ms > 1_600_000_000_000));
    }
}
