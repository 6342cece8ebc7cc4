//! What a meter reads: clocks, and what the unit used.

use std::fs;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::sys::resource::{UsageWho, getrusage};
use rustix::time::{ClockId, clock_gettime};

/// Clock ticks of `/proc` in a second: 100 on every Linux that we run on.
const TICK: Duration = Duration::from_millis(10);
/// Most processes of one unit that are looked at.
const MOST_PROCESSES: usize = 10_000;

/// Everything at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Reading {
    /// Milliseconds since 1970, UTC, as the machine's clock is set.
    pub(super) wall_ms: i64,
    /// Since the boot, sleep included; nobody can set it.
    pub(super) since_boot: Duration,
    /// What this process's children used that have ended, and theirs.
    pub(super) ended: Use,
    /// What those used that live.
    pub(super) living: Use,
    /// What the unit's control group says of all of them.
    pub(super) group: GroupUse,
}

/// What a control group used since it was made; `None` without such a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct GroupUse {
    pub(crate) cpu: Option<Duration>,
    pub(crate) memory_peak_bytes: Option<u64>,
}

/// What processes used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Use {
    pub(super) cpu: Duration,
    /// The most that one of them held.
    pub(super) memory_peak_bytes: u64,
}

/// Where readings come from.
pub(super) trait Gauges: Send + Sync + 'static {
    /// Reads all of them now.
    fn read(&self) -> Reading;
}

/// The gauges of this machine, for the children of this process and the control group that they are in.
pub(super) struct Machine<F>(pub(super) F);

impl<F: Fn() -> GroupUse + Send + Sync + 'static> Gauges for Machine<F> {
    fn read(&self) -> Reading {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let boot = clock_gettime(ClockId::Boottime);
        let [seconds, nanoseconds] =
            [boot.tv_sec, boot.tv_nsec].map(|part| u64::try_from(part).unwrap_or(0));
        Reading {
            wall_ms: i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX),
            since_boot: Duration::from_secs(seconds) + Duration::from_nanos(nanoseconds),
            ended: ended(),
            living: living(),
            group: (self.0)(),
        }
    }
}

fn ended() -> Use {
    let Ok(usage) = getrusage(UsageWho::RUSAGE_CHILDREN) else { return Use::default() };
    let time = |value: nix::sys::time::TimeVal| {
        let seconds = u64::try_from(value.tv_sec()).unwrap_or(0);
        Duration::from_secs(seconds)
            + Duration::from_micros(u64::try_from(value.tv_usec()).unwrap_or(0))
    };
    let peak = u64::try_from(usage.max_rss()).unwrap_or(0) * 1024;
    // A program inherits the peak of the process that started it, so up to that nothing is known.
    let is_its_own = peak_of("self").is_some_and(|own| peak > own);
    Use {
        cpu: time(usage.user_time()) + time(usage.system_time()),
        memory_peak_bytes: if is_its_own { peak } else { 0 },
    }
}

/// Sums up every process below this one.
fn living() -> Use {
    let mut sum = Use::default();
    let mut found = children("self");
    let mut next = 0;
    while let Some(pid) = found.get(next).cloned() {
        next += 1;
        sum.cpu += cpu_of(&pid).unwrap_or_default();
        sum.memory_peak_bytes = sum.memory_peak_bytes.max(peak_of(&pid).unwrap_or(0));
        if found.len() < MOST_PROCESSES {
            found.extend(children(&pid));
        }
    }
    sum
}

fn children(pid: &str) -> Vec<String> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let texts =
        threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    texts.flat_map(|text| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>()).collect()
}

/// Fields 14 to 17 of `/proc/<pid>/stat`: its own time and that of its children that have ended.
fn cpu_of(pid: &str) -> Option<Duration> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields = text.rsplit_once(')')?.1.split_whitespace();
    let ticks: u64 = fields.skip(11).take(4).filter_map(|field| field.parse::<u64>().ok()).sum();
    Some(TICK * u32::try_from(ticks).unwrap_or(u32::MAX))
}

fn peak_of(pid: &str) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_has_both_clocks_and_its_processes_can_be_read() {
        let reading = Machine(GroupUse::default).read();
        assert!(reading.wall_ms > 1_600_000_000_000);
        assert!(reading.since_boot > Duration::ZERO);
        assert!(peak_of("self").expect("its own status") > 0);
        assert!(cpu_of("self").is_some());
    }
}
