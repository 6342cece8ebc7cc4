//! Clusters and what runs on them: `/clusters`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A cluster, as `GET /clusters/:etcd_token` answers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Cluster {
    /// Row id.
    pub id: i64,
    /// Its name in paths and files, whatever its engine.
    pub etcd_token: String,
    /// Its name, for people.
    pub name: Option<String>,
    /// Who hosts it.
    pub hosting_provider_id: Option<i64>,
    /// Whether images may be built there.
    pub allow_docker_builds: Option<bool>,
    /// The exchange whose FleetManager speaks to it.
    pub messaging_exchange_id: Option<i64>,
    /// When it was made, RFC 1123.
    pub inserted_at: Option<String>,
    /// When it changed last, RFC 1123.
    pub updated_at: Option<String>,
}

/// Body of `POST /clusters`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct NewCluster {
    /// Its name in paths and files.
    pub etcd_token: String,
    /// Its name, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Who hosts it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hosting_provider_id: Option<i64>,
    /// Whether images may be built there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_docker_builds: Option<bool>,
    /// The exchange whose FleetManager speaks to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub messaging_exchange_id: Option<i64>,
}

/// A machine of a cluster, in the shape of the Fleet API.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Machine {
    /// Machine id.
    pub id: String,
    /// Address on which its units can be reached.
    #[serde(default, rename = "primaryIP")]
    pub primary_ip: String,
    /// Labels.
    #[serde(default)]
    pub metadata: BTreeMap<String, String>,
}

/// One line of a unit file.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct UnitOption {
    /// Section, such as `Service`.
    pub section: String,
    /// Name, such as `ExecStart`.
    pub name: String,
    /// Value, as written.
    pub value: String,
}

/// A unit, in the shape of the Fleet API.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Unit {
    /// Its name, such as `app@0.service`.
    pub name: String,
    /// The unit file, line by line.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<UnitOption>,
    /// What should be: `inactive`, `loaded` or `launched`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub desired_state: Option<String>,
    /// What is, in the same words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current_state: Option<String>,
    /// The machine it is on.
    #[serde(rename = "machineID", skip_serializing_if = "Option::is_none")]
    pub machine_id: Option<String>,
}

/// How a unit does on a machine, in systemd's words.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct UnitState {
    /// Its name.
    pub name: String,
    /// SHA-1 of the unit file, in hex.
    pub hash: String,
    /// The machine.
    #[serde(rename = "machineID")]
    pub machine_id: String,
    /// `loaded`, `not-found`, `error`, `masked`.
    pub systemd_load_state: String,
    /// `active`, `inactive`, `failed`, `activating`, …
    pub systemd_active_state: String,
    /// `running`, `dead`, `exited`, `auto-restart`, …
    pub systemd_sub_state: String,
}

/// Query of `GET /clusters/:etcd_token/units/:unit/logs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct LogFilter {
    /// Only what came after this position.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<u64>,
    /// At most so many of the last lines.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lines: Option<u32>,
    /// How long to wait for something new: milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wait_ms: Option<u64>,
}

/// A piece of a unit's output.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LogPage {
    /// The text, lines ending in `\n`.
    pub text: String,
    /// Where to go on: pass it as `after`.
    pub next: u64,
    /// Bytes that were dropped before this page, since the output is bounded.
    #[serde(default)]
    pub dropped: u64,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn units_and_states_are_read_in_the_shape_of_the_fleet_api() {
        let unit: Unit = serde_json::from_value(json!({
            "name": "app@0.service", "desiredState": "launched", "currentState": "launched", "machineID": "m1",
            "options": [{"section": "Service", "name": "ExecStart", "value": "/bin/app"}]
        }))
        .expect("a unit");
        assert_eq!(
            (unit.desired_state.as_deref(), unit.machine_id.as_deref()),
            (Some("launched"), Some("m1"))
        );

        let state: UnitState = serde_json::from_value(json!({
            "name": "app@0.service", "hash": "ab", "machineID": "m1", "systemdLoadState": "loaded",
            "systemdActiveState": "active", "systemdSubState": "running"
        }))
        .expect("a state");
        assert_eq!(
            (state.machine_id.as_str(), state.systemd_active_state.as_str()),
            ("m1", "active")
        );
    }
}
