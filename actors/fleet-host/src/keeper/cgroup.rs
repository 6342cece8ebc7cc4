//! A control group for a unit: limits for all of its processes together, and what they used.
//!
//! ```text
//! version 2   <own group>/oa-unit-<pid>-<unit>             if memory, cpu or pids can be handed down there
//! version 1   <own group of each controller>/oa-unit-…     for each of memory, cpu, cpuacct and pids that is mounted
//! ```
//!
//! A group is made whenever it can be, also without limits, since it tells what was used. Where a limit cannot be
//! enforced the unit is started anyway, and its log and its state say so. The groups are removed with the keeper; those
//! of a keeper that was killed are named in a file of the unit's directory.
//!
//! # Source
//!
//! The kernel's Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/; systemd.resource-control(5).

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::process::kill;
use crate::service::Resources;

/// Names the groups, in the unit's directory.
const GROUPS: &str = "cgroups.json";
const CONTROLLERS: [&str; 4] = ["memory", "cpu", "cpuacct", "pids"];
/// Name of a group in which systemd runs a service whose other groups are its own: `DelegateSubgroup=node`.
const LEAF: &str = "node";

/// Where this process is, by controller; of version 2 only what can be handed down.
#[derive(Debug, Default, PartialEq, Eq)]
struct Hierarchies {
    unified: Option<PathBuf>,
    by_controller: BTreeMap<String, PathBuf>,
}

impl Hierarchies {
    fn here() -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        Self::parse(&read("/proc/self/mountinfo"), &read("/proc/self/cgroup"))
    }

    /// From the mounts and the groups of a process, proc(5).
    fn parse(mounts: &str, groups: &str) -> Self {
        let own: BTreeMap<&str, &str> = groups
            .lines()
            .filter_map(|line| {
                let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
                Some(controllers.split(',').map(move |controller| (controller, path)))
            })
            .flatten()
            .collect();
        let mut found = Self::default();
        for line in mounts.lines() {
            let Some((before, after)) = line.split_once(" - ") else { continue };
            let fields: Vec<&str> = before.split(' ').collect();
            let kinds: Vec<&str> = after.split(' ').collect();
            let (Some(root), Some(mount)) = (fields.get(3), fields.get(4)) else { continue };
            let place = |controller: &str| {
                let below = own.get(controller)?.strip_prefix(root.trim_end_matches('/'))?;
                Some(Path::new(mount).join(below.trim_start_matches('/')))
            };
            match (kinds.first(), kinds.get(2)) {
                (Some(&"cgroup2"), _) => found.unified = place(""),
                (Some(&"cgroup"), Some(options)) => {
                    let options = options.split(',').filter(|name| CONTROLLERS.contains(name));
                    for controller in options {
                        if let Some(place) = place(controller) {
                            found.by_controller.entry(controller.to_owned()).or_insert(place);
                        }
                    }
                }
                _ => {}
            }
        }
        found
    }
}

/// The groups of one unit.
#[derive(Debug, Clone, Default)]
pub(super) struct Cgroup {
    /// The directory of each controller; version 2 has one for all.
    memory: Option<(Version, PathBuf)>,
    cpu: Option<(Version, PathBuf)>,
    usage: Option<(Version, PathBuf)>,
    pids: Option<(Version, PathBuf)>,
    /// Limits that are not enforced, and why.
    pub(super) missing: Vec<String>,
    list: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

impl Cgroup {
    /// Makes what can be made, for the unit in `directory`.
    pub(super) fn make(directory: &Path, resources: &Resources) -> Self {
        clear(directory);
        let unit = directory.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let name: String = format!("oa-unit-{}-{unit}", std::process::id());
        let mut group = Self::below(&Hierarchies::here(), &name);
        group.list = directory.join(GROUPS);
        let _found_by_its_name =
            fs::write(&group.list, serde_json::to_vec(&group.directories()).unwrap_or_default());
        group.limit(resources);
        group
    }

    fn below(here: &Hierarchies, name: &str) -> Self {
        let mut group = Self::default();
        if let Some(own) = &here.unified {
            for (controller, place) in hand_down(own, name) {
                let place = Some((Version::Two, place));
                match controller {
                    "memory" => group.memory = place,
                    "cpu" => (group.cpu, group.usage) = (place.clone(), place),
                    _ => group.pids = place,
                }
            }
        }
        let made = |controller: &str| {
            let place = here.by_controller.get(controller)?.join(name);
            fs::create_dir(&place).ok()?;
            Some((Version::One, place))
        };
        group.memory = group.memory.or_else(|| made("memory"));
        group.cpu = group.cpu.or_else(|| made("cpu"));
        let shared = here.by_controller.get("cpu") == here.by_controller.get("cpuacct");
        let usage = if shared { group.cpu.clone() } else { made("cpuacct") };
        group.usage = group.usage.or(usage);
        group.pids = group.pids.or_else(|| made("pids"));
        group
    }

    fn limit(&mut self, resources: &Resources) {
        let period = Resources::CPU_PERIOD_US;
        let mut missing = Vec::new();
        let mut set =
            |option: &str, group: &Option<(Version, PathBuf)>, files: [(&str, String); 2]| {
                let done = match group {
                    None => Err(io::Error::other("this host may make no control group for it")),
                    Some((Version::One, place)) => fs::write(place.join(files[0].0), &files[0].1),
                    Some((Version::Two, place)) => fs::write(place.join(files[1].0), &files[1].1),
                };
                if let Err(why) = done {
                    missing.push(format!("{option}= is not enforced: {why}"));
                }
            };
        if let Some(bytes) = resources.memory_max_bytes {
            let bytes = bytes.to_string();
            set(
                "MemoryMax",
                &self.memory,
                [("memory.limit_in_bytes", bytes.clone()), ("memory.max", bytes)],
            );
        }
        if let Some(quota) = resources.cpu_quota_us {
            if let Some((Version::One, place)) = &self.cpu {
                let _usual_already = fs::write(place.join("cpu.cfs_period_us"), period.to_string());
            }
            set(
                "CPUQuota",
                &self.cpu,
                [("cpu.cfs_quota_us", quota.to_string()), ("cpu.max", format!("{quota} {period}"))],
            );
        }
        if let Some(tasks) = resources.tasks_max {
            let tasks = tasks.to_string();
            set("TasksMax", &self.pids, [("pids.max", tasks.clone()), ("pids.max", tasks)]);
        }
        self.missing = missing;
    }

    fn directories(&self) -> Vec<PathBuf> {
        let mut all: Vec<PathBuf> = [&self.memory, &self.cpu, &self.usage, &self.pids]
            .into_iter()
            .flatten()
            .map(|(_, place)| place.clone())
            .collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// A process that writes `0` into each of these is in the group.
    pub(super) fn entrances(&self) -> Vec<PathBuf> {
        self.directories().into_iter().map(|place| place.join("cgroup.procs")).collect()
    }

    /// What all processes of the unit computed so far, the ended ones too.
    pub(super) fn cpu_usage(&self) -> Option<Duration> {
        match self.usage.as_ref()? {
            (Version::One, place) => {
                Some(Duration::from_nanos(number_in(&place.join("cpuacct.usage"))?))
            }
            (Version::Two, place) => {
                Some(Duration::from_micros(field_in(&place.join("cpu.stat"), "usage_usec")?))
            }
        }
    }

    /// The most memory that all processes of the unit had together, in bytes.
    pub(super) fn memory_peak(&self) -> Option<u64> {
        match self.memory.as_ref()? {
            (Version::One, place) => number_in(&place.join("memory.max_usage_in_bytes")),
            (Version::Two, place) => number_in(&place.join("memory.peak")),
        }
    }

    /// How many processes of the unit the kernel killed since memory ran out.
    pub(super) fn oom_kills(&self) -> u64 {
        let kills = |(version, place): &(Version, PathBuf)| match version {
            Version::One => field_in(&place.join("memory.oom_control"), "oom_kill"),
            Version::Two => field_in(&place.join("memory.events"), "oom_kill"),
        };
        self.memory.as_ref().and_then(kills).unwrap_or_default()
    }

    /// Removes the groups; what is left of the unit, and should be, goes to the group of the keeper.
    pub(super) fn remove(&self) {
        for place in self.directories() {
            let above = place.parent().map(|above| above.join("cgroup.procs"));
            for pid in processes_in(&place) {
                if let Some(above) = &above {
                    let _already_gone = fs::write(above, pid.to_string());
                }
            }
            let _busy = fs::remove_dir(&place);
        }
        let _never_written = fs::remove_file(&self.list);
    }
}

/// Makes the groups that a keeper left in `directory` empty, and removes them.
///
/// Whoever calls has made sure that the keeper is gone.
pub(crate) fn clear(directory: &Path) {
    let list = directory.join(GROUPS);
    let Ok(text) = fs::read(&list) else { return };
    let groups: Vec<PathBuf> = serde_json::from_slice(&text).unwrap_or_default();
    for place in groups {
        processes_in(&place).into_iter().for_each(kill);
        let _busy = fs::remove_dir(&place);
    }
    let _again_next_time = fs::remove_file(list);
}

/// A group of version 2, with the controllers that could be handed down to it.
///
/// The kernel hands nothing down from a group that has processes of its own, the root aside.
fn hand_down(own: &Path, name: &str) -> Vec<(&'static str, PathBuf)> {
    let is_leaf = own.file_name().is_some_and(|name| name == LEAF);
    let base = own.parent().filter(|_| is_leaf).unwrap_or(own);
    let words = |file: &str| fs::read_to_string(base.join(file)).unwrap_or_default();
    let there = words("cgroup.controllers");
    for controller in ["memory", "cpu", "pids"] {
        if there.split_whitespace().any(|word| word == controller) {
            let _busy = fs::write(base.join("cgroup.subtree_control"), format!("+{controller}"));
        }
    }
    let given = words("cgroup.subtree_control");
    let given: Vec<&'static str> = ["memory", "cpu", "pids"]
        .into_iter()
        .filter(|controller| {
            given.split_whitespace().any(|word| word.trim_start_matches('+') == *controller)
        })
        .collect();
    let place = base.join(name);
    if given.is_empty() || fs::create_dir(&place).is_err() {
        return Vec::new();
    }
    given.into_iter().map(|controller| (controller, place.clone())).collect()
}

fn processes_in(place: &Path) -> Vec<i32> {
    let text = fs::read_to_string(place.join("cgroup.procs")).unwrap_or_default();
    text.lines().filter_map(|line| line.parse().ok()).collect()
}

fn number_in(file: &Path) -> Option<u64> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

fn field_in(file: &Path, name: &str) -> Option<u64> {
    let text = fs::read_to_string(file).ok()?;
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_groups_of_a_process_are_found_by_mounts_and_names() {
        let mounts = "30 1 0:26 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
                      31 1 0:27 /box /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n\
                      32 1 0:28 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n\
                      33 1 0:29 / /proc rw - proc proc rw\n";
        let groups = "4:memory:/a/b\n3:cpu,cpuacct:/box/c\n0::/d\n";
        let found = Hierarchies::parse(mounts, groups);
        assert_eq!(found.unified, Some("/sys/fs/cgroup/unified/d".into()));
        let place = |controller: &str| found.by_controller[controller].display().to_string();
        assert_eq!(place("memory"), "/sys/fs/cgroup/memory/a/b");
        assert_eq!(place("cpu"), "/sys/fs/cgroup/cpu/c");
        assert_eq!(place("cpuacct"), place("cpu"));
        assert_eq!(Hierarchies::parse("nonsense", "nonsense"), Hierarchies::default());
    }

    #[test]
    fn a_group_of_version_two_gets_what_is_handed_down() {
        let root = tempfile::tempdir().expect("a directory");
        let own = root.path().join("service/node");
        fs::create_dir_all(&own).expect("made");
        let service = root.path().join("service");
        fs::write(service.join("cgroup.controllers"), "cpu memory io").expect("written");
        fs::write(service.join("cgroup.subtree_control"), "").expect("written");
        let here = Hierarchies { unified: Some(own), by_controller: BTreeMap::new() };

        let mut group = Cgroup::below(&here, "oa-unit-1");
        let resources = Resources {
            memory_max_bytes: Some(1 << 20),
            cpu_quota_us: Some(50_000),
            tasks_max: Some(7),
        };
        group.limit(&resources);

        let text = |file: &str| fs::read_to_string(service.join("oa-unit-1").join(file));
        // A plain file keeps the last word only; the kernel's would keep both.
        assert_eq!(text("cpu.max").expect("written"), "50000 100000");
        assert_eq!(group.missing.len(), 2, "{:?}", group.missing);
        assert!(group.missing.iter().all(|missing| missing.contains("not enforced")));
    }

    #[test]
    fn without_any_group_nothing_is_known_and_every_limit_is_missed() {
        let mut group = Cgroup::below(&Hierarchies::default(), "x");
        group.limit(&Resources { memory_max_bytes: Some(1), ..Resources::default() });
        assert!(group.missing[0].starts_with("MemoryMax= is not enforced"));
        assert_eq!((group.cpu_usage(), group.memory_peak(), group.oom_kills()), (None, None, 0));
        assert!(group.entrances().is_empty());
    }
}
