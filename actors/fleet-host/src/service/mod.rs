//! What the `[Service]` section of a unit asks for, as a plan that a keeper can follow.
//!
//! ```text
//! mod.rs      which plan a unit gets
//! draft.rs    a plan in the making: options one by one, then what they mean together
//! options/    how each option is read, a table a topic; what systemd knows and this host refuses
//! ```
//!
//! What this host cannot do is refused with its reason, never ignored: a unit that silently runs otherwise than its
//! file says is worse than one that does not run.
//!
//! # Source
//!
//! systemd.service(5), systemd.exec(5), systemd.kill(5), systemd.resource-control(5), systemd.unit(5).

mod command_line;
mod draft;
pub(crate) mod environment_file;
mod options;
mod plan;
pub(crate) mod signals;
mod specifiers;
mod time_span;
mod user;

pub(crate) use command_line::{is_variable, with_variables};
pub(crate) use plan::{
    Credentials, ExecCommand, Exits, KillMode, Limit, MaybeMissing, Plan, Resources, RestartWhen,
    ServiceKind,
};
pub(crate) use specifiers::Specifiers;
pub(crate) use user::{User, manager};

use crate::metering::Labels;
use oa_fleet::UnitName;
use oa_fleet::unit::UnitOption;

/// Why a unit cannot run here; `[Section] Name=` and what is allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{option}: {why}")]
pub(crate) struct Unrunnable {
    /// The option, such as `ExecStart=`.
    pub(crate) option: String,
    /// What is wrong with it.
    pub(crate) why: String,
}

impl Unrunnable {
    pub(crate) fn new(option: &str, why: impl Into<String>) -> Self {
        Self { option: format!("{option}="), why: why.into() }
    }
}

/// What decides beside the unit itself.
#[derive(Debug, Clone)]
pub(crate) struct Host {
    pub(crate) name: String,
    pub(crate) machine_id: String,
    /// Whom the host runs as.
    pub(crate) manager: User,
    pub(crate) is_root: bool,
    pub(crate) allow_root_units: bool,
    pub(crate) log_limit_bytes: u64,
}

impl Host {
    /// This machine, as this process sees it.
    pub(crate) fn here(machine_id: &str, allow_root_units: bool, log_limit_bytes: u64) -> Self {
        Self {
            name: rustix::system::uname().nodename().to_string_lossy().into_owned(),
            machine_id: machine_id.to_owned(),
            manager: manager(),
            is_root: rustix::process::geteuid().is_root(),
            allow_root_units,
            log_limit_bytes,
        }
    }
}

/// Makes the plan of a unit. Its values are read as systemd reads them, with their lines joined.
pub(crate) fn plan(
    name: &UnitName,
    options: &[UnitOption],
    host: &Host,
) -> Result<Plan, Unrunnable> {
    if name.kind() != "service" {
        return Err(Unrunnable {
            option: name.to_string(),
            why: "this host runs units of type .service only".into(),
        });
    }
    let plan = draft::plan(name, options, host)?;
    Ok(Plan { labels: Labels::of(options), ..plan })
}

#[cfg(test)]
mod testing {
    use super::*;

    pub(super) fn host(is_root: bool) -> Host {
        let (name, uid) = if is_root { ("root", 0) } else { ("me", 1000) };
        let home = if is_root { "/root".to_owned() } else { "/home/me".to_owned() };
        Host {
            name: "h1.example".into(),
            machine_id: "0123456789abcdef0123456789abcdef".into(),
            manager: User { name: name.into(), uid, gid: uid, home, shell: "/bin/bash".into() },
            is_root,
            allow_root_units: false,
            log_limit_bytes: 4096,
        }
    }

    /// The plan of `app@3.service` with these lines in its `[Service]` section.
    pub(super) fn plan_of(lines: &[(&str, &str)], is_root: bool) -> Result<Plan, Unrunnable> {
        let options: Vec<UnitOption> =
            lines.iter().map(|(name, value)| UnitOption::new("Service", *name, *value)).collect();
        plan(&UnitName::new("app@3.service").expect("a valid name"), &options, &host(is_root))
    }

    /// The plan of a unit with a program and these lines.
    pub(super) fn with(lines: &[(&str, &str)]) -> Plan {
        let lines = [&[("ExecStart", "/bin/x")], lines].concat();
        plan_of(&lines, false).expect("runnable")
    }

    /// Why a unit with a program and this line cannot run; the option is the one of the line.
    pub(super) fn refused(name: &str, value: &str) -> String {
        let why = plan_of(&[("ExecStart", "/bin/x"), (name, value)], false);
        let why = why.expect_err(&format!("{name}={value}"));
        assert_eq!(why.option, format!("{name}="), "{value}: {why}");
        why.why
    }
}
