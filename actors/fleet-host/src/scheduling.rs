//! `[X-Fleet]` options: which units may be on this machine.
//!
//! # Source
//!
//! coreos/fleet v1.0.0, `job/job.go` (requirements, `ValidateRequirements`) and `agent/state.go` (`AbleToRun`).

mod hindrance;

pub(crate) use hindrance::{Hindrance, hindrance};

use std::collections::{BTreeMap, BTreeSet};

use oa_fleet::unit::{Machine, UnitDesire, UnitOption};
use oa_fleet::{UnitName, unit_file};

use crate::registry::Definition;

/// What a unit asks of the machine that it is on.
#[derive(Debug, Default)]
pub(crate) struct Requirements {
    unit: String,
    machine_id: Option<String>,
    peers: Vec<String>,
    conflicts: Vec<String>,
    replaces: Vec<String>,
    metadata: BTreeMap<String, BTreeSet<String>>,
    global: bool,
}

impl Requirements {
    pub(crate) fn of(unit: &UnitName, options: &[UnitOption]) -> Self {
        let mut found = Self { unit: unit.to_string(), ..Self::default() };
        for option in options.iter().filter(|option| option.section == "X-Fleet") {
            let value = expanded(&unit_file::joined(&option.value), unit);
            match option.name.as_str() {
                "MachineID" | "X-ConditionMachineID" | "X-ConditionMachineBootID" => {
                    found.machine_id.get_or_insert(value);
                }
                "MachineOf" | "X-ConditionMachineOf" => found.peers.extend(values(&value)),
                "Conflicts" | "X-Conflicts" => found.conflicts.extend(values(&value)),
                "Replaces" => found.replaces.extend(values(&value)),
                "MachineMetadata" | "X-ConditionMachineMetadata" => found.add_metadata(&value),
                "Global" => {
                    let yes = ["true", "yes", "1", "on", "t"];
                    found.global = yes.contains(&value.to_ascii_lowercase().as_str());
                }
                _ => {}
            }
        }
        found
    }

    fn add_metadata(&mut self, value: &str) {
        for pair in values(value) {
            // Malformed pairs are ignored, as in the original.
            if let Some((key, wanted)) = pair.split_once('=') {
                self.metadata.entry(key.trim().into()).or_default().insert(wanted.trim().into());
            }
        }
    }

    /// Why these options exclude one another, in the words of the original.
    pub(crate) fn contradiction(&self) -> Option<String> {
        let has_id = self.machine_id.is_some();
        let has = |list: &[String]| !list.is_empty();
        let pairs = [
            (has_id && has(&self.conflicts), "MachineID", "Conflicts"),
            (has_id && has(&self.peers), "MachineID", "Peers"),
            (has_id && self.global, "MachineID", "Global"),
            (has_id && has(&self.replaces), "MachineID", "Replaces"),
            (self.global && has(&self.peers), "Global", "Peers"),
            (self.global && has(&self.replaces), "Global", "Replaces"),
            (has(&self.conflicts) && has(&self.replaces), "Conflicts", "Replaces"),
        ];
        if let Some((_, one, other)) = pairs.into_iter().find(|(both, ..)| *both) {
            return Some(format!("{one} cannot be used with {other}"));
        }
        for peer in &self.peers {
            for (patterns, kind) in [(&self.conflicts, "conflict"), (&self.replaces, "replace")] {
                if let Some(pattern) = patterns.iter().find(|pattern| matches(pattern, peer)) {
                    return Some(format!(
                        "unresolvable requirements: peer \"{peer}\" matches {kind} \"{pattern}\""
                    ));
                }
            }
        }
        None
    }

    /// Whether it is for every machine that suits it.
    pub(crate) fn is_global(&self) -> bool {
        self.global
    }

    fn suits(&self, machine: &Machine) -> bool {
        self.machine_id.as_ref().is_none_or(|id| *id == machine.id)
            && self.metadata.iter().all(|(key, wanted)| {
                machine.metadata.get(key).is_some_and(|value| wanted.contains(value))
            })
    }

    /// Whether one of the two must not be where the other is.
    fn clashes_with(&self, other: &Self) -> bool {
        let refuses = |one: &Self, unit: &str| {
            one.conflicts.iter().chain(&one.replaces).any(|pattern| matches(pattern, unit))
        };
        refuses(self, &other.unit) || refuses(other, &self.unit)
    }
}

/// The units that are on this machine: those that were there first stay.
///
/// `Replaces=` would move the other unit to another machine; with one machine only, it waits like `Conflicts=`.
pub(crate) fn place<'a>(
    definitions: impl Iterator<Item = &'a Definition>,
    machine: &Machine,
) -> BTreeSet<UnitName> {
    let mut waiting: Vec<(&Definition, Requirements)> = definitions
        .filter(|definition| definition.desired != UnitDesire::Inactive)
        .map(|definition| (definition, Requirements::of(&definition.name, &definition.options)))
        .filter(|(_, requirements)| requirements.suits(machine))
        .collect();
    waiting.sort_by_key(|(definition, _)| definition.since);
    let mut placed: BTreeSet<UnitName> = BTreeSet::new();
    let mut there: Vec<Requirements> = Vec::new();
    // A unit may wait for a peer that is younger, so the rest is looked at again whenever one was placed.
    while let Some(at) = waiting.iter().position(|(_, wanted)| {
        let has_peers = wanted.peers.iter().all(|peer| there.iter().any(|one| one.unit == *peer));
        has_peers && !there.iter().any(|one| one.clashes_with(wanted))
    }) {
        let (definition, requirements) = waiting.remove(at);
        placed.insert(definition.name.clone());
        there.push(requirements);
    }
    placed
}

/// `"a" "b"` on one line are several values; anything else is one.
fn values(line: &str) -> Vec<String> {
    let quoted = line.len() > 1 && line.starts_with('"') && line.ends_with('"');
    if !quoted {
        return if line.is_empty() { Vec::new() } else { vec![line.to_owned()] };
    }
    line.split('"').skip(1).step_by(2).filter(|v| !v.is_empty()).map(str::to_owned).collect()
}

fn expanded(value: &str, unit: &UnitName) -> String {
    value
        .replace("%n", unit.as_str())
        .replace("%N", unit.stem())
        .replace("%p", unit.prefix())
        .replace("%i", unit.instance().unwrap_or_default())
}

/// Matches as the shell does: `*`, `?`, `[a-z]`, `[^a-z]`, and `\` before a plain character.
fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    // Where to go on when the rest does not match: behind the last `*`, one character later.
    let mut again: Option<(usize, usize)> = None;
    loop {
        if p < pattern.len() && pattern[p] == '*' {
            p += 1;
            again = Some((p, t));
            continue;
        }
        if t == text.len() && p == pattern.len() {
            return true;
        }
        if t < text.len()
            && let Some(next) = one(&pattern, p, text[t])
        {
            (p, t) = (next, t + 1);
            continue;
        }
        match again {
            Some((star, from)) if from < text.len() => {
                (p, t) = (star, from + 1);
                again = Some((star, from + 1));
            }
            _ => return false,
        }
    }
}

/// Matches one character against the pattern at `p`; where the pattern goes on.
fn one(pattern: &[char], p: usize, c: char) -> Option<usize> {
    match pattern.get(p)? {
        '?' => Some(p + 1),
        '\\' => (pattern.get(p + 1) == Some(&c)).then_some(p + 2),
        '[' => {
            let close = p + 1 + pattern[p + 1..].iter().skip(1).position(|c| *c == ']')? + 1;
            let (not, class) = match pattern[p + 1] {
                '^' | '!' => (true, &pattern[p + 2..close]),
                _ => (false, &pattern[p + 1..close]),
            };
            let mut within = false;
            let mut at = 0;
            while at < class.len() {
                let is_range = class.get(at + 1) == Some(&'-') && at + 2 < class.len();
                let last = if is_range { class[at + 2] } else { class[at] };
                within |= (class[at]..=last).contains(&c);
                at += if is_range { 3 } else { 1 };
            }
            (within != not).then_some(close + 1)
        }
        plain => (*plain == c).then_some(p + 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine() -> Machine {
        let metadata = BTreeMap::from([("region".to_owned(), "west".to_owned())]);
        Machine { id: "abc".into(), primary_ip: String::new(), metadata }
    }

    fn unit(since: u64, name: &str, fleet: &[(&str, &str)]) -> Definition {
        Definition {
            name: UnitName::new(name).expect("a valid name"),
            options: fleet.iter().map(|(n, v)| UnitOption::new("X-Fleet", *n, *v)).collect(),
            desired: UnitDesire::Launched,
            launch: since,
            since,
        }
    }

    fn placed(units: &[Definition]) -> Vec<String> {
        place(units.iter(), &machine()).into_iter().map(String::from).collect()
    }

    #[test]
    fn patterns_match_as_in_the_shell() {
        for (pattern, text, expected) in [
            ("app@*.service", "app@1.service", true),
            ("app@*.service", "app2@1.service", false),
            ("*", "anything", true),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbYbZ", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("[a-c]x", "bx", true),
            ("[^a-c]x", "bx", false),
            ("\\*", "*", true),
            ("", "", true),
            ("[", "[", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn units_that_conflict_do_not_share_the_machine() {
        let conflicts = [("Conflicts", "app@*.service")];
        let units = [unit(2, "app@2.service", &conflicts), unit(1, "app@1.service", &conflicts)];
        assert_eq!(placed(&units), ["app@1.service"], "the first one stays");
        let units =
            [unit(1, "a.service", &[]), unit(2, "b.service", &[("Conflicts", "a.service")])];
        assert_eq!(placed(&units), ["a.service"], "one side is enough");
    }

    #[test]
    fn a_unit_does_not_conflict_with_itself() {
        assert_eq!(placed(&[unit(1, "a.service", &[("Conflicts", "*")])]), ["a.service"]);
    }

    #[test]
    fn a_unit_waits_for_its_peer_and_for_the_right_machine() {
        let units = [
            unit(1, "peer.service", &[("MachineOf", "main.service")]),
            unit(2, "main.service", &[]),
            unit(3, "orphan.service", &[("MachineOf", "nope.service")]),
            unit(4, "here.service", &[("MachineID", "abc")]),
            unit(5, "there.service", &[("MachineID", "xyz")]),
            unit(6, "west.service", &[("MachineMetadata", "\"region=east\" \"region=west\"")]),
            unit(7, "mars.service", &[("MachineMetadata", "planet=mars")]),
        ];
        assert_eq!(
            placed(&units),
            ["here.service", "main.service", "peer.service", "west.service"]
        );
    }

    #[test]
    fn contradictions_are_named() {
        let why = |fleet: &[(&str, &str)]| {
            let unit = unit(1, "x.service", fleet);
            Requirements::of(&unit.name, &unit.options).contradiction()
        };
        assert_eq!(
            why(&[("MachineID", "a"), ("Conflicts", "b")]).as_deref(),
            Some("MachineID cannot be used with Conflicts")
        );
        assert_eq!(
            why(&[("Conflicts", "a*"), ("MachineOf", "a.service")]).as_deref(),
            Some("unresolvable requirements: peer \"a.service\" matches conflict \"a*\"")
        );
        assert_eq!(why(&[("Global", "true"), ("Conflicts", "a*")]), None);
    }
}
