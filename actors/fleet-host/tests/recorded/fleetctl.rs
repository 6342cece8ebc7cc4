//! What the real fleetctl asks is answered so that it goes on as it did.
//!
//! Each file holds the requests of one command, in the order of their numbers, on one cluster. Where a unit lies and how
//! far it is depends on machines and moments; status, names, options and desired states do not.

use std::fs;

use serde_json::Value;

use crate::play::{Play, json_of};
use crate::recordings;
use crate::scenarios::Place;
use crate::support::raw::{self, Exchange};

fn exchanges(text: &str) -> Vec<Exchange> {
    // A run of the same exchange is shown once, with a note.
    let parts = text
        .split("--- request\n")
        .skip(1)
        .map(|part| part.split("\n--- (").next().unwrap_or(part));
    parts
        .map(|part| {
            let (request, answer) = part.split_once("--- response\n").expect("an answer");
            raw::exchange(request, answer)
        })
        .collect()
}

/// A body without what depends on machines and moments.
fn lasting(body: &str) -> Value {
    let mut body = if body.is_empty() { Value::Null } else { json_of(body) };
    let units = body.get_mut("units").and_then(Value::as_array_mut).map(std::mem::take);
    let mut units = units.unwrap_or_else(|| vec![std::mem::take(&mut body)]);
    for fields in units.iter_mut().filter_map(Value::as_object_mut) {
        fields.remove("currentState");
        fields.remove("machineID");
    }
    units.into()
}

#[tokio::test]
async fn the_requests_of_fleetctl_are_answered_as_it_knows_it() {
    let play = Play::start(Place::One).await;
    let directory = recordings().join("fleetctl");
    let entries = fs::read_dir(&directory).expect("the recordings are there").flatten();
    let mut names: Vec<_> = entries.map(|entry| entry.file_name()).collect();
    names.sort();
    let mut compared = 0;
    for name in names {
        let text = fs::read_to_string(directory.join(&name)).expect("a readable recording");
        for Exchange { request, answer: recorded } in exchanges(&text) {
            let (method, path) = request.method_and_path();
            // Which machines there are, and how instances that exclude one another do on several of them.
            if path.contains("/machines") || path.contains("/state") {
                continue;
            }
            let answer = play.send(&request).await;
            let what = format!("{}: {method} {path}", name.display());
            assert_eq!(answer.status, recorded.status, "{what}: {}", answer.body);
            assert_eq!(lasting(&answer.body), lasting(&recorded.body), "{what}");
            compared += 1;
        }
    }
    assert!(compared > 50, "{compared} requests");
    play.end().await;
}
