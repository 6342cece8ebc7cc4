//! Counting passes, and dying at one of them.

use std::ffi::OsString;
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::process::{Signal, getpid, kill_process};

use crate::{CrashPoint, UnknownPoint};

const AT: &str = "OA_CRASH_AT";
const TRACE: &str = "OA_CRASH_TRACE";

/// What the environment wants.
struct Plan {
    at: Result<Option<(CrashPoint, u32)>, UnknownPoint>,
    trace: Option<PathBuf>,
    /// Of the point in `at`.
    passes: AtomicU32,
}

fn plan() -> &'static Plan {
    static PLAN: OnceLock<Plan> = OnceLock::new();
    PLAN.get_or_init(|| Plan {
        at: std::env::var_os(AT).map(|text| read(&text.to_string_lossy())).transpose(),
        trace: std::env::var_os(TRACE).map(PathBuf::from),
        passes: AtomicU32::new(0),
    })
}

fn read(text: &str) -> Result<(CrashPoint, u32), UnknownPoint> {
    let unknown = || UnknownPoint { given: text.to_owned() };
    let (name, pass) = text.split_once('@').ok_or_else(unknown)?;
    let point = CrashPoint::ALL.iter().find(|point| point.name() == name).ok_or_else(unknown)?;
    let pass = pass.parse().ok().filter(|pass| *pass > 0).ok_or_else(unknown)?;
    Ok((*point, pass))
}

pub(crate) fn check() -> Result<(), UnknownPoint> {
    plan().at.as_ref().map(drop).map_err(Clone::clone)
}

pub(crate) fn environment() -> Vec<(&'static str, OsString)> {
    [AT, TRACE].into_iter().filter_map(|name| Some((name, std::env::var_os(name)?))).collect()
}

pub(crate) fn pass(point: CrashPoint) {
    let plan = plan();
    if let Some(trace) = &plan.trace {
        let line = format!("{}\n", point.name());
        let file = File::options().create(true).append(true).open(trace);
        let _traced_or_not = file.and_then(|mut file| file.write_all(line.as_bytes()));
    }
    let Ok(Some((wanted, at))) = plan.at else { return };
    if wanted == point
        && plan.passes.fetch_add(1, Ordering::Relaxed) + 1 == at
        && is_first_crash(plan)
    {
        let _cannot_fail = kill_process(getpid(), Signal::KILL);
        // The signal is delivered before anything of this process runs on, whichever thread gets it.
        std::process::abort();
    }
}

/// Whether no other process of the same trace has died; without a trace each dies.
fn is_first_crash(plan: &Plan) -> bool {
    let Some(trace) = &plan.trace else { return true };
    let mut marker = trace.clone().into_os_string();
    marker.push(".crashed");
    File::create_new(marker).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pass_of_a_point_is_read() {
        let name = CrashPoint::BuilderPushed.name();
        assert_eq!(read(&format!("{name}@3")), Ok((CrashPoint::BuilderPushed, 3)));
    }

    #[test]
    fn what_names_no_pass_of_a_point_is_refused() {
        for text in ["", "builder.pushed", "builder.pushed@0", "builder.pushed@x", "nowhere@1"] {
            assert!(read(text).expect_err(text).to_string().contains("is no crash point"));
        }
    }

    #[test]
    fn names_are_unique_and_say_their_component() {
        let mut names: Vec<&str> = CrashPoint::ALL.iter().map(|point| point.name()).collect();
        assert!(names.iter().all(|name| name.split_once('.').is_some()), "{names:?}");
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
