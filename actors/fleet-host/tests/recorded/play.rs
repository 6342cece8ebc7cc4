//! Sends recorded requests to a host that stands for one of the recorded machines, and compares the answers.

use std::fs;

use oa_fleet::UnitName;
use oa_fleet_host::{FleetHost, FleetHostConfig};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::differences::{self, Kind};
use crate::recordings;
use crate::scenarios::{Place, Scenario, Step};
use crate::support::raw::{self, Answer, Exchange};
use crate::support::{PATIENCE, Stage, processes, reaches};

/// The recorded exchange with this number.
pub(crate) fn recording(number: u16) -> Exchange {
    let begin = format!("{number:03}-");
    let entries = fs::read_dir(recordings()).expect("the recordings are there").flatten();
    let mut paths = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(&begin));
    let path = paths.next().expect("a recording with this number").path();
    raw::parse(&fs::read(path).expect("a readable recording"))
}

pub(crate) fn json_of(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|why| panic!("`{text}` is no JSON: {why}"))
}

/// The three machines, as exchange 014 shows them.
fn machines() -> Vec<Value> {
    json_of(&recording(14).answer.body)["machines"].as_array().cloned().expect("a list")
}

/// A host that is one of the recorded machines.
pub(crate) struct Play {
    pub(crate) stage: Stage,
    host: FleetHost,
    place: Place,
    /// Id of the machine that this host is.
    own: String,
}

impl Play {
    pub(crate) async fn start(place: Place) -> Self {
        let stage = Stage::new();
        let mut config = stage.config();
        if let Some(at) = place.index() {
            let machine = &machines()[at];
            let text = |name: &str| machine[name].as_str().expect("a text").to_owned();
            fs::create_dir_all(&config.data_dir).expect("a directory");
            fs::write(config.data_dir.join("machine-id"), text("id")).expect("its id");
            fs::write(config.data_dir.join("metadata.json"), machine["metadata"].to_string())
                .expect("its labels");
            config = FleetHostConfig { primary_ip: text("primaryIP"), ..config };
        }
        let host = FleetHost::start(config).await.expect("the host starts");
        let own = stage.machine_id().await;
        Self { stage, host, place, own }
    }

    pub(crate) async fn end(self) {
        self.stage.end(self.host).await;
    }

    pub(crate) async fn send(&self, request: &raw::Message) -> Answer {
        raw::send(&self.stage.socket(), request).await
    }

    /// Sends a request of our own, which is no part of what is compared.
    pub(crate) async fn put(&self, name: &str, body: &Value) {
        let path = format!("/fleet/v1/units/{name}");
        let answer = self.send(&raw::request("PUT", &path, &body.to_string())).await;
        assert_eq!(answer.status, 201, "{name}: {}", answer.body);
    }

    async fn step(&self, step: &Step) {
        match *step {
            Step::Once(numbers) => {
                for number in numbers {
                    self.once(*number).await.unwrap_or_else(|why| panic!("{number:03}: {why}"));
                }
            }
            Step::Soon(numbers) => {
                for number in numbers {
                    self.soon(*number).await;
                }
            }
            Step::Reaches(unit, active, sub) => {
                reaches(&self.stage.client(), unit, active, sub).await
            }
            Step::Make(number) => self.make(&json_of(&recording(number).answer.body)).await,
            Step::MakeLike(name, number) => {
                let unit = json_of(&recording(number).answer.body);
                let options = unit["units"][0]["options"].clone();
                self.put(name, &json!({ "desiredState": "inactive", "options": options })).await;
            }
            Step::MakeStates(states, units) => {
                let options = &json_of(&recording(units).answer.body)["units"][0]["options"];
                let states = json_of(&recording(states).answer.body)["states"].clone();
                for state in states.as_array().expect("a list") {
                    let runs = state["systemdActiveState"] == "active";
                    let desired = if runs { "launched" } else { "loaded" };
                    let body = json!({ "desiredState": desired, "options": options });
                    self.put(state["name"].as_str().expect("a name"), &body).await;
                }
            }
            Step::Freeze(unit) => self.signal_keeper(unit, Signal::STOP),
            Step::Thaw(unit) => self.signal_keeper(unit, Signal::CONT),
        }
    }

    /// Makes the units that an answer shows and that are not there yet, with the desired states that it shows.
    async fn make(&self, shown: &Value) {
        let one = [shown.clone()];
        for unit in shown["units"].as_array().map_or(one.as_slice(), Vec::as_slice) {
            let name = unit["name"].as_str().expect("a name");
            let unit_name = UnitName::new(name).expect("a valid name");
            if oa_fleet::Engine::unit(&self.stage.client(), &unit_name)
                .await
                .expect("units")
                .is_none()
            {
                let body =
                    json!({ "desiredState": unit["desiredState"], "options": unit["options"] });
                self.put(name, &body).await;
            }
        }
    }

    /// What the keeper of a unit does not see, it does not do: such is an agent between two of its looks.
    fn signal_keeper(&self, unit: &str, signal: Signal) {
        let keepers = processes(&self.stage.run_of(unit).display().to_string());
        assert_eq!(keepers.len(), 1, "{unit} has a keeper");
        for pid in keepers.into_iter().filter_map(Pid::from_raw) {
            kill_process(pid, signal).expect("the keeper is there");
        }
    }

    /// Sends a recorded request and compares the answer with the recorded one.
    async fn once(&self, number: u16) -> Result<(), String> {
        let recorded = recording(number);
        let answer = self.send(&recorded.request).await;
        let wanted = self.as_here(&recorded.answer);
        let whole = compare(&answer, &wanted);
        let Some(difference) = differences::of(number) else { return whole };
        if whole.is_ok() {
            return Err(format!(
                "it is answered as recorded now; list it no more ({})",
                difference.why
            ));
        }
        match difference.kind {
            Kind::NotSent => Err("it is listed as one that is not sent".into()),
            Kind::Status(status) if answer.status == status => Ok(()),
            Kind::Status(status) => {
                Err(format!("status {} where {status} is listed: {}", answer.status, answer.body))
            }
            Kind::Words | Kind::Body => same_head(&answer, &wanted),
            Kind::Part(without) => {
                let part = |answer: &Answer| Answer {
                    body: self.part_here(&json_of(&answer.body), without).to_string(),
                    ..answer.clone()
                };
                compare(&part(&answer), &part(&wanted))
            }
        }
    }

    async fn soon(&self, number: u16) {
        let started = Instant::now();
        while let Err(why) = self.once(number).await {
            assert!(started.elapsed() < PATIENCE, "{number:03}: it did not come to that: {why}");
            sleep(std::time::Duration::from_millis(2)).await;
        }
    }

    /// An answer with this machine for every machine, if this host is none of them.
    pub(crate) fn as_here(&self, answer: &Answer) -> Answer {
        let mut wanted = answer.clone();
        if self.place == Place::Anywhere {
            for machine in machines() {
                wanted.body =
                    wanted.body.replace(machine["id"].as_str().expect("a text"), &self.own);
            }
        }
        wanted
    }

    /// Of a list what is on this machine or on none, without these units.
    pub(crate) fn part_here(&self, body: &Value, without: &[&str]) -> Value {
        let is_here = |entry: &Value| {
            let id = entry.get("machineID").or_else(|| entry.get("id")).and_then(Value::as_str);
            let name = entry["name"].as_str().unwrap_or_default();
            id.is_none_or(|id| id == self.own) && !without.contains(&name)
        };
        let mut part = body.clone();
        for list in part.as_object_mut().into_iter().flat_map(|fields| fields.values_mut()) {
            if let Some(entries) = list.as_array_mut() {
                entries.retain(is_here);
            }
        }
        part
    }
}

/// Plays a scenario from beginning to end.
pub(crate) async fn play(scenario: &Scenario) {
    let play = Play::start(scenario.place).await;
    for step in scenario.steps {
        play.step(step).await;
    }
    play.end().await;
}

/// Whether an answer is the recorded one: status, headers that matter, body.
pub(crate) fn compare(answer: &Answer, wanted: &Answer) -> Result<(), String> {
    same_head(answer, wanted)?;
    let is_json = wanted.header("content-type") == Some("application/json");
    let same = if is_json && !wanted.body.is_empty() {
        json_of(&answer.body) == json_of(&wanted.body)
    } else {
        answer.body == wanted.body
    };
    same.then_some(()).ok_or_else(|| format!("{}\nwhere recorded is {}", answer.body, wanted.body))
}

fn same_head(answer: &Answer, wanted: &Answer) -> Result<(), String> {
    if answer.status != wanted.status {
        return Err(format!(
            "status {} instead of {}: {}",
            answer.status, wanted.status, answer.body
        ));
    }
    for name in ["content-type", "location"] {
        if answer.header(name) != wanted.header(name) {
            let (is, should) = (answer.header(name), wanted.header(name));
            return Err(format!("{name} {is:?} instead of {should:?}"));
        }
    }
    let server = answer.header("server").unwrap_or_default();
    let same_server = server.starts_with("fleetd/v1.0.0");
    same_server.then_some(()).ok_or_else(|| format!("the server calls itself `{server}`"))
}
