//! Holds one unit: starts its program, keeps its output, notes how it ended, restarts it as the plan says.
//!
//! A process of its own, in its own session, without an async runtime: a handful of threads that mostly sleep. It knows
//! nothing but its directory:
//!
//! ```text
//! run/<unit>/plan.json     what to do, written by the host
//!            lock          held by the keeper and its unit: a unit has one keeper, which it names
//!            status.json   the last status, written whole
//!            control       unix socket: sends every status as a line, takes `stop`, `reload` and `say`
//! ```

mod cgroup;
mod control;
mod ending;
mod executor;
mod forking;
mod leftovers;
mod life;
mod lock;
mod process;
mod programs;
mod protocol;
mod status;

pub(crate) use cgroup::clear as clear_groups;
pub(crate) use control::ask_to_reload;
pub(crate) use leftovers::{end_leftovers, kill_keeper};
pub(crate) use lock::{has_keeper, is_held};
pub(crate) use process::{ProcessId, boot};
pub(crate) use protocol::{Command, Said, VERSION};
pub(crate) use status::{Phase, Status, UnitResult};

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use rustix::process::{Resource, Rlimit};

use crate::service::Plan;

/// Name of the plan in the unit's directory.
pub(crate) const PLAN: &str = "plan.json";
/// Name of the control socket in the unit's directory.
pub(crate) const CONTROL: &str = "control";
/// Name of the last status in the unit's directory.
pub(crate) const STATUS: &str = "status.json";
/// Environment variable in which the host says how many files a unit may have open; the host itself may have more.
pub(crate) const FILES: &str = "OA_UNIT_FILES";
/// Exit status of a keeper that found another one at work.
pub(crate) const ALREADY_KEPT: u8 = 75;

/// Runs a keeper until its unit has ended for good. The last argument is the unit's directory, those before it are the
/// directory of its output and that of metering.
///
/// Call this before anything else is started in the process: no thread, no async runtime.
pub fn run(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<PathBuf> = arguments.map(PathBuf::from).collect();
    if arguments == [PathBuf::from(executor::WORD)] {
        return executor::run();
    }
    let [output, metering, directory] = arguments.as_slice() else {
        return say("usage: unit-keeper <output> <metering> <unit>, each a directory", 64);
    };
    // However the program was found, this is what lists of processes show.
    let _only_a_name = rustix::thread::set_name(c"unit-keeper");
    // A session of its own: no signal of the node's terminal reaches the unit.
    let _already_leader = rustix::process::setsid();
    // What the unit's programs leave behind becomes a child of the keeper, which ends it with the unit.
    if let Err(why) = rustix::process::set_child_subreaper(Some(rustix::process::getpid())) {
        return say(&format!("failed to become the reaper of the unit: {why}"), 71);
    }
    lower_open_files();
    let held = match lock::take(directory) {
        Ok(Some(held)) => held,
        Ok(None) => return ExitCode::from(ALREADY_KEPT),
        Err(why) => return say(&format!("failed to lock {}: {why}", directory.display()), 74),
    };
    oa_crash_points::crash_point!(KeeperLocked);
    let mut plan: Plan = match std::fs::read(directory.join(PLAN))
        .map(|text| serde_json::from_slice(&text))
    {
        Ok(Ok(plan)) => plan,
        Ok(Err(why)) => {
            return say(&format!("the plan in {} is damaged: {why}", directory.display()), 65);
        }
        Err(why) => {
            return say(&format!("failed to read the plan in {}: {why}", directory.display()), 66);
        }
    };
    // By this the unit's programs are found again, should this keeper be killed.
    plan.environment.retain(|(name, _)| name != lock::MARK);
    plan.environment.push((lock::MARK.into(), held.mark.clone()));
    // By these words this executable is a keeper, whatever else it can be.
    let all = std::env::args_os().skip(1);
    let leading = std::env::args_os().len().saturating_sub(1 + arguments.len());
    let leading = all.take(leading).collect();
    let places = life::Places { directory, output, metering };
    match life::live(&plan, &places, leading, &held.file) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => say(&format!("failed to keep {}: {why}", plan.unit), 74),
    }
}

/// The host raised its own limit for its many connections; a program that is not made for that may loop over all files.
fn lower_open_files() {
    let told = std::env::var(FILES).ok().and_then(|files| files.parse::<u64>().ok());
    if let Some(files) = told {
        let limit = rustix::process::getrlimit(Resource::Nofile);
        let lower = Rlimit { current: Some(files), maximum: limit.maximum };
        // It was allowed before, so it is now.
        let _same_as_the_host = rustix::process::setrlimit(Resource::Nofile, lower);
    }
}

/// The keeper's own words go to the file that the host gave it as standard error.
fn say(text: &str, code: u8) -> ExitCode {
    use std::io::Write;
    let _nobody_reads = writeln!(std::io::stderr(), "unit-keeper: {text}");
    ExitCode::from(code)
}
