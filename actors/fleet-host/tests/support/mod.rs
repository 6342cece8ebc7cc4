//! A host in a directory of its own, with real keepers.

#![allow(dead_code, reason = "each test binary uses its part")]

pub(crate) mod raw;

use std::path::PathBuf;
use std::time::Duration;

use oa_fleet::unit::{UnitDesire, UnitOption};
use oa_fleet::{Engine, FleetClient, LogQuery, UnitName};
use oa_fleet_host::{FleetHost, FleetHostConfig, KeeperProgram, StopUnits};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

/// Longest time that anything awaited here may take; it never does.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Stage {
    directory: TempDir,
    /// How long a keeper may take to answer.
    patience: Duration,
}

impl Stage {
    pub(crate) fn new() -> Self {
        let _already_installed = rustls::crypto::ring::default_provider().install_default();
        let directory = TempDir::with_prefix("oa-host-").expect("a temporary directory");
        Self { directory, patience: oa_fleet_host::KEEPER_PATIENCE }
    }

    /// For tests in which a keeper is stuck: it counts as that sooner.
    pub(crate) fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    pub(crate) fn config(&self) -> FleetHostConfig {
        FleetHostConfig {
            data_dir: self.directory.path().join("data"),
            socket: self.socket(),
            keeper: KeeperProgram {
                program: env!("CARGO_BIN_EXE_oa-unit-keeper").into(),
                arguments: Vec::new(),
            },
            allow_root_units: true,
            primary_ip: "127.0.0.1".into(),
            log_limit_bytes: 64 * 1024,
            keeper_patience: self.patience,
        }
    }

    pub(crate) async fn start(&self) -> FleetHost {
        FleetHost::start(self.config()).await.expect("the host starts")
    }

    /// Stops the host and every unit.
    pub(crate) async fn end(self, host: FleetHost) {
        host.stop(StopUnits::Stop).await;
    }

    /// The keeper of a unit.
    pub(crate) fn keeper_of(&self, unit: &str) -> i32 {
        processes(&self.run_of(unit).display().to_string())[0]
    }

    /// What the keeper of a unit says; `Null` if it has none.
    pub(crate) async fn kept(&self, unit: &str) -> serde_json::Value {
        let path = format!("/oa/v1/units/{unit}/keeper");
        let answer = raw::send(&self.socket(), &raw::request("GET", &path, "")).await;
        match answer.status {
            200 => serde_json::from_str(&answer.body).expect("JSON"),
            _ => serde_json::Value::Null,
        }
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.directory.path().join("fleet.sock")
    }

    pub(crate) fn client(&self) -> FleetClient {
        FleetClient::unix(self.socket()).expect("a client")
    }

    /// The directory in which the keeper of a unit works.
    pub(crate) fn run_of(&self, unit: &str) -> PathBuf {
        self.directory.path().join("data/run").join(unit)
    }

    pub(crate) fn output_of(&self, unit: &str) -> PathBuf {
        self.directory.path().join("data/output").join(unit)
    }

    /// What the keeper of a unit wrote down last.
    pub(crate) fn status_of(&self, unit: &str) -> serde_json::Value {
        let text = std::fs::read(self.run_of(unit).join("status.json")).expect("a status");
        serde_json::from_slice(&text).expect("JSON")
    }

    /// The result of a unit's last start.
    pub(crate) fn result_of(&self, unit: &str) -> String {
        self.status_of(unit)["result"].as_str().unwrap_or_default().to_owned()
    }

    /// Writes a file that anybody may read and run, for a unit to use; its path.
    pub(crate) fn file(&self, name: &str, text: &str) -> String {
        use std::os::unix::fs::PermissionsExt;
        let path = self.directory.path().join(name);
        let everybody = || std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(self.directory.path(), everybody()).expect("it is ours");
        std::fs::write(&path, text).expect("it is written");
        std::fs::set_permissions(&path, everybody()).expect("it is ours");
        path.display().to_string()
    }

    pub(crate) fn metering(&self) -> PathBuf {
        self.directory.path().join("data/metering")
    }

    pub(crate) fn definition_of(&self, unit: &str) -> PathBuf {
        self.directory.path().join("data/units").join(format!("{unit}.json"))
    }

    pub(crate) async fn machine_id(&self) -> String {
        self.client().machines().await.expect("the machines")[0].id.clone()
    }

    /// Waits until a unit has no state here.
    pub(crate) async fn is_off_the_machine(&self, unit: &str) {
        let client = self.client();
        let unit = name(unit);
        until(unit.as_str(), async || {
            client.state(&unit).await.expect("states are readable").is_empty()
        })
        .await;
    }

    /// Waits until a unit runs what has this hash.
    pub(crate) async fn runs_hash(&self, unit: &str, hash: &str) {
        let client = self.client();
        let unit = name(unit);
        until(unit.as_str(), async || {
            let states = client.state(&unit).await.expect("states are readable");
            states.iter().any(|state| state.hash == hash && state.systemd_sub_state == "running")
        })
        .await;
    }

    /// Waits until a unit is on the machine and not launched.
    pub(crate) async fn is_loaded(&self, unit: &str) {
        let client = self.client();
        let unit = name(unit);
        until(unit.as_str(), async || {
            let unit = client.unit(&unit).await.expect("units are readable");
            unit.is_some_and(|unit| unit.current_state == Some(UnitDesire::Loaded))
        })
        .await;
    }
}

/// Signals a process that is there.
pub(crate) fn signal(pid: i32, signal: Signal) {
    let pid = Pid::from_raw(pid).expect("a process number");
    kill_process(pid, signal).expect("the process is there");
}

pub(crate) fn name(text: &str) -> UnitName {
    UnitName::new(text).expect("a valid name")
}

pub(crate) fn service(lines: &[(&str, &str)]) -> Vec<UnitOption> {
    lines.iter().map(|(name, value)| UnitOption::new("Service", *name, *value)).collect()
}

/// Launches a unit and waits until it runs.
pub(crate) async fn launch(client: &FleetClient, unit: &str, lines: &[(&str, &str)]) {
    client.put(&name(unit), &service(lines), UnitDesire::Launched).await.expect("it is made");
    reaches(client, unit, "active", "running").await;
}

/// Waits until a unit is in `active`/`sub`.
pub(crate) async fn reaches(client: &FleetClient, unit: &str, active: &str, sub: &str) {
    let started = Instant::now();
    loop {
        let states = client.state(&name(unit)).await.expect("states are readable");
        if states.iter().any(|s| s.systemd_active_state == active && s.systemd_sub_state == sub) {
            return;
        }
        assert!(
            started.elapsed() < PATIENCE,
            "{unit} did not reach {active}/{sub}: {states:?}; it printed {}",
            output(client, unit).await
        );
        sleep(Duration::from_millis(2)).await;
    }
}

/// Waits until `holds` is true; a state that cannot be awaited is looked at again and again.
pub(crate) async fn until(what: &str, holds: impl AsyncFn() -> bool) {
    let started = Instant::now();
    while !holds().await {
        assert!(started.elapsed() < PATIENCE, "{what}: it did not come to that");
        sleep(Duration::from_millis(2)).await;
    }
}

/// Everything that is kept of what a unit printed.
pub(crate) async fn output(client: &FleetClient, unit: &str) -> String {
    let query = LogQuery { lines: Some(100_000), ..LogQuery::default() };
    client.logs(&name(unit), query).await.expect("its output").text
}

/// Numbers of the processes with `mark` in their arguments, keepers aside.
pub(crate) fn processes(mark: &str) -> Vec<i32> {
    let entries = std::fs::read_dir("/proc").expect("/proc is there").flatten();
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    numbers
        .filter(|number| {
            let words = std::fs::read(format!("/proc/{number}/cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&words).contains(mark)
        })
        .collect()
}
