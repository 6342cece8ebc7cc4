//! The order in which a unit changes, seen from outside.
//!
//! Times are not compared: an agent of the original looks every 5 s, this host acts at once. What this host passes
//! through must be what the original passed through, in its order and to the same end; a state that the original was in
//! may be over here before anybody looks. The two answers are looked at each for itself, since they are two requests.

use std::fs;

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::play::{Play, json_of};
use crate::recordings;
use crate::scenarios::Place;
use crate::support::raw;
use crate::support::{PATIENCE, reaches};

const UNIT: &str = "app.service";
const LOOP: &str = "/bin/sh -c \"while true; do echo Hello from %n; sleep 1; done\"";

#[derive(Debug, Clone, Copy)]
enum Action {
    Put(&'static str),
    /// With other options than before.
    Replace,
    Delete,
    DeleteAndPut,
}

pub(crate) struct Timeline {
    pub(crate) file: &'static str,
    /// What the unit is before: nothing, or a desired state that it has reached.
    before: Option<(&'static str, (&'static str, &'static str))>,
    start: &'static str,
    /// Shorter than the recorded 12 s, in which nothing else happens.
    stop: Option<&'static str>,
    action: Action,
}

const RUNNING: (&str, &str) = ("active", "running");
const DEAD: (&str, &str) = ("inactive", "dead");

const fn timeline(
    file: &'static str,
    before: Option<(&'static str, (&'static str, &'static str))>,
    action: Action,
) -> Timeline {
    Timeline { file, before, start: LOOP, stop: None, action }
}

const fn slow(file: &'static str, action: Action) -> Timeline {
    Timeline {
        file,
        before: Some(("launched", RUNNING)),
        start: LOOP,
        stop: Some("/bin/sleep 0.3"),
        action,
    }
}

pub(crate) const ALL: &[Timeline] = &[
    timeline("timeline-create-launched.jsonl", None, Action::Put("launched")),
    Timeline {
        start: "/bin/false",
        ..timeline("timeline-create-failing.jsonl", None, Action::Put("launched"))
    },
    timeline(
        "timeline-launched-to-loaded.jsonl",
        Some(("launched", RUNNING)),
        Action::Put("loaded"),
    ),
    timeline("timeline-loaded-to-launched.jsonl", Some(("loaded", DEAD)), Action::Put("launched")),
    timeline(
        "timeline-launched-to-inactive.jsonl",
        Some(("launched", RUNNING)),
        Action::Put("inactive"),
    ),
    timeline(
        "timeline-inactive-to-launched.jsonl",
        Some(("inactive", ("", ""))),
        Action::Put("launched"),
    ),
    timeline("timeline-replace-options.jsonl", Some(("launched", RUNNING)), Action::Replace),
    timeline("timeline-delete.jsonl", Some(("launched", RUNNING)), Action::Delete),
    timeline(
        "timeline-delete-and-recreate.jsonl",
        Some(("launched", RUNNING)),
        Action::DeleteAndPut,
    ),
    slow("timeline-slow-stop.jsonl", Action::Delete),
    slow("timeline-slow-stop-loaded.jsonl", Action::Put("loaded")),
    timeline("timeline-launch-after-mass-delete.jsonl", None, Action::Put("launched")),
];

/// What was seen one after the other, each once: current states, and states with a letter for each hash.
#[derive(Debug, Default, PartialEq, Eq)]
struct Seen {
    current: Vec<String>,
    states: Vec<String>,
    hashes: Vec<String>,
}

impl Seen {
    fn look(&mut self, unit: &Value, states: &Value) {
        let current = match (&unit["httpStatus"], unit["machineID"].is_string()) {
            (Value::Null, has_machine) => {
                let current = unit["currentState"].as_str().unwrap_or_default();
                if has_machine { current.to_owned() } else { "on no machine".to_owned() }
            }
            (status, _) => status.to_string(),
        };
        let states: Vec<String> =
            states.as_array().into_iter().flatten().map(|one| self.state(one)).collect();
        for (list, now) in [(&mut self.current, current), (&mut self.states, states.join(" "))] {
            if list.last() != Some(&now) {
                list.push(now);
            }
        }
    }

    fn state(&mut self, state: &Value) -> String {
        let text = |name: &str| state[name].as_str().unwrap_or_default();
        let hash = text("hash").to_owned();
        let at = self.hashes.iter().position(|known| *known == hash).unwrap_or_else(|| {
            self.hashes.push(hash);
            self.hashes.len() - 1
        });
        format!("{}/{}#{at}", text("systemdActiveState"), text("systemdSubState"))
    }
}

fn recorded(file: &str) -> Seen {
    let text = fs::read_to_string(recordings().join(file)).expect("a readable recording");
    let mut seen = Seen::default();
    for line in text.lines().filter(|line| !line.is_empty()) {
        let line = json_of(line);
        seen.look(&line["unit"], &line["states"]);
    }
    seen
}

/// Whether `ours` is a way through `theirs` to the same end.
fn is_a_way_through(ours: &[String], theirs: &[String]) -> bool {
    let mut rest = theirs.iter();
    ours.last() == theirs.last() && ours.iter().all(|step| rest.any(|other| other == step))
}

fn body(timeline: &Timeline, description: &str, desired: &str) -> Value {
    let mut options = vec![
        json!({ "section": "Unit", "name": "Description", "value": description }),
        json!({ "section": "Service", "name": "ExecStart", "value": timeline.start }),
    ];
    options.extend(
        timeline
            .stop
            .map(|stop| json!({ "section": "Service", "name": "ExecStop", "value": stop })),
    );
    json!({ "desiredState": desired, "options": options })
}

async fn act(play: &Play, timeline: &Timeline) {
    let path = format!("/fleet/v1/units/{UNIT}");
    let put = |description, desired| {
        raw::request("PUT", &path, &body(timeline, description, desired).to_string())
    };
    let requests = match timeline.action {
        Action::Put(desired) => vec![put("before", desired)],
        Action::Replace => vec![put("after", "launched")],
        Action::Delete => vec![raw::request("DELETE", &path, "")],
        Action::DeleteAndPut => vec![raw::request("DELETE", &path, ""), put("before", "launched")],
    };
    for request in &requests {
        let answer = play.send(request).await;
        assert!([201, 204].contains(&answer.status), "{}: {}", timeline.file, answer.body);
    }
}

async fn observe(play: &Play, seen: &mut Seen) {
    let unit = play.send(&raw::request("GET", &format!("/fleet/v1/units/{UNIT}"), "")).await;
    let state =
        play.send(&raw::request("GET", &format!("/fleet/v1/state?unitName={UNIT}"), "")).await;
    let unit = match unit.status {
        200 => json_of(&unit.body),
        status => json!({ "httpStatus": status }),
    };
    seen.look(&unit, &json_of(&state.body)["states"]);
}

async fn same_order(timeline: &Timeline) {
    let theirs = recorded(timeline.file);
    let play = Play::start(Place::One).await;
    if timeline.file.contains("mass-delete") {
        for number in 0..6 {
            let name = format!("gone-{number}.service");
            play.put(&name, &body(timeline, "before", "loaded")).await;
            reaches(&play.stage.client(), &name, "inactive", "dead").await;
            play.send(&raw::request("DELETE", &format!("/fleet/v1/units/{name}"), "")).await;
        }
    }
    let mut seen = Seen::default();
    if let Some((desired, (active, sub))) = timeline.before {
        play.put(UNIT, &body(timeline, "before", desired)).await;
        if !active.is_empty() {
            reaches(&play.stage.client(), UNIT, active, sub).await;
            // So that the letters begin as in the recording, whatever is seen first.
            observe(&play, &mut seen).await;
            seen = Seen { hashes: seen.hashes, ..Seen::default() };
        }
    }

    act(&play, timeline).await;
    let started = Instant::now();
    let is_over = |seen: &Seen| {
        seen.current.last() == theirs.current.last() && seen.states.last() == theirs.states.last()
    };
    while !is_over(&seen) {
        assert!(
            started.elapsed() < PATIENCE,
            "{}: {seen:?} where recorded is {theirs:?}",
            timeline.file
        );
        observe(&play, &mut seen).await;
    }

    // What an agent of the original, which looks seldom, did not catch; a program that fails at once runs for a moment.
    let fails = theirs.states.last().is_some_and(|state| state.starts_with("failed"));
    let between = |state: &String| {
        let is_short = state.starts_with("activating")
            || state.starts_with("deactivating")
            || (fails && state.starts_with("active/running"));
        is_short && !theirs.states.contains(state)
    };
    seen.states.retain(|state| !between(state));
    seen.states.dedup();
    assert!(
        is_a_way_through(&seen.current, &theirs.current),
        "{}: {seen:?} {theirs:?}",
        timeline.file
    );
    assert!(
        is_a_way_through(&seen.states, &theirs.states),
        "{}: {seen:?} {theirs:?}",
        timeline.file
    );
    play.end().await;
}

#[tokio::test]
async fn units_change_in_the_order_of_the_original() {
    let mut plays: Vec<_> = ALL.iter().map(|timeline| tokio::spawn(same_order(timeline))).collect();
    for play in plays.drain(..) {
        play.await.expect("the same order");
    }
}

#[test]
fn another_order_or_another_end_is_noticed() {
    let states = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let theirs = states(&["a", "b", "c"]);
    assert!(is_a_way_through(&states(&["a", "c"]), &theirs));
    for other in [&["b", "a", "c"][..], &["a", "b"], &["a", "x", "c"], &["c", "a"]] {
        assert!(!is_a_way_through(&states(other), &theirs), "{other:?}");
    }
}
