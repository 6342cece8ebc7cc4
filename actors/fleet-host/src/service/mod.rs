//! What the `[Service]` section of a unit asks for, as a plan that a keeper can follow.
//!
//! What this host cannot do is refused with its reason, never ignored: a unit that silently runs otherwise than its
//! file says is worse than one that does not run.
//!
//! # Source
//!
//! systemd.service(5), systemd.exec(5), systemd.kill(5), systemd.unit(5) "Specifiers".

mod command_line;
mod plan;
mod reading;
mod specifiers;
mod time_span;
mod user;

pub(crate) use command_line::with_variables;
pub(crate) use plan::{Credentials, ExecCommand, Plan, RestartWhen, ServiceKind, StopSignal};
pub(crate) use specifiers::Specifiers;

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
    pub(crate) is_root: bool,
    pub(crate) allow_root_units: bool,
    pub(crate) log_limit_bytes: u64,
}

/// Makes the plan of a unit.
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
    let plan = reading::read(name, options, host)?;
    Ok(Plan { labels: Labels::of(options), ..plan })
}
