//! Units, their states and machines, in the shape of the Fleet API v1.
//!
//! # Source
//!
//! coreos/fleet, `Documentation/api-v1.md` and `schema/v1.json`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One line of a unit file. Order matters and duplicates are allowed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct UnitOption {
    /// Section, such as `Service`.
    pub section: String,
    /// Name, such as `ExecStart`.
    pub name: String,
    /// Value, as written; continuation lines keep their backslash and line break.
    pub value: String,
}

impl UnitOption {
    /// Makes an option.
    #[must_use]
    pub fn new(
        section: impl Into<String>,
        name: impl Into<String>,
        value: impl Into<String>,
    ) -> Self {
        Self { section: section.into(), name: name.into(), value: value.into() }
    }
}

/// What a cluster should do, or does, with a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UnitDesire {
    /// Known, on no machine.
    Inactive,
    /// On a machine, not started.
    Loaded,
    /// Start was requested; whether it runs is in its [`UnitState`].
    Launched,
}

/// A unit. The wire leaves out what is empty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Unit {
    /// Name; read-only on the wire. Text, since a foreign server may hold names that we would refuse.
    #[serde(default)]
    pub name: String,
    /// The unit file, line by line.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<UnitOption>,
    /// What should be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub desired_state: Option<UnitDesire>,
    /// What is; read-only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_state: Option<UnitDesire>,
    /// The machine it is scheduled on; read-only.
    #[serde(default, rename = "machineID", skip_serializing_if = "Option::is_none")]
    pub machine_id: Option<String>,
}

impl Unit {
    /// A unit with nothing but a name and options.
    #[must_use]
    pub fn new(name: impl Into<String>, options: Vec<UnitOption>) -> Self {
        Self {
            name: name.into(),
            options,
            desired_state: None,
            current_state: None,
            machine_id: None,
        }
    }

    /// The values of `section`/`name`, in file order.
    pub fn values<'a>(&'a self, section: &'a str, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.options
            .iter()
            .filter(move |o| o.section == section && o.name == name)
            .map(|o| o.value.as_str())
    }
}

/// How a unit does on one machine, in systemd's words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UnitState {
    /// Unit name.
    pub name: String,
    /// SHA-1 of the serialised unit file, in hex.
    #[serde(default)]
    pub hash: String,
    /// The machine.
    #[serde(default, rename = "machineID")]
    pub machine_id: String,
    /// `loaded`, `not-found`, `error`, `masked`.
    #[serde(default)]
    pub systemd_load_state: String,
    /// `active`, `reloading`, `inactive`, `failed`, `activating`, `deactivating`.
    #[serde(default)]
    pub systemd_active_state: String,
    /// `running`, `dead`, `failed`, `start`, `exited`, `auto-restart`, …
    #[serde(default)]
    pub systemd_sub_state: String,
}

/// A machine of a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// Machine id.
    pub id: String,
    /// Address on which units of this machine can be reached.
    #[serde(default, rename = "primaryIP")]
    pub primary_ip: String,
    /// Labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
}

/// A piece of a unit's output.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LogPage {
    /// The text, lines ending in `\n`; bytes that are not UTF-8 are replaced.
    pub text: String,
    /// Where to go on: pass it as `after` to get only what came later.
    pub next: u64,
    /// Bytes that were dropped before this page, since the output is bounded.
    #[serde(default)]
    pub dropped: u64,
}

/// How a unit does, in more words than its [`UnitState`]: what an engine of ours can say beside the Fleet API.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct UnitCondition {
    /// Where it stands: that of its keeper, such as `auto_restart`, or why it has none, such as `conflict`.
    pub phase: String,
    /// Active state, in systemd's words.
    pub active: String,
    /// Sub state, in systemd's words.
    pub sub: String,
    /// How it ended, in systemd's words, such as `exit-code` or `start-limit-hit`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<String>,
    /// Since when: milliseconds since 1970, UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since_ms: Option<i64>,
    /// Starts so far, restarts included.
    pub starts: u32,
    /// How its last main process ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_exit: Option<String>,
    /// More, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// What it waits for, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waits_for: Option<String>,
}
