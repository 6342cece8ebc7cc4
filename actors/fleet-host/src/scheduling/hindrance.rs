//! Why a unit that is wanted is not on this machine.

use oa_fleet::UnitName;
use oa_fleet::unit::{Machine, UnitDesire};

use super::{Requirements, place};
use crate::registry::Definition;

/// What keeps a unit from being on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Hindrance {
    /// It asks for another machine.
    Machine(String),
    /// It must not be where this unit is.
    Conflict(String),
    /// It wants to be where this unit is, which is not here.
    Peer(String),
}

/// Why [`place`] does not put `name` on `machine`; `None` if it does, or if the unit is not wanted.
pub(crate) fn hindrance(
    name: &UnitName,
    definitions: &[&Definition],
    machine: &Machine,
) -> Option<Hindrance> {
    let placed = place(definitions.iter().copied(), machine);
    let wanted = definitions.iter().find(|definition| definition.name == *name)?;
    if placed.contains(name) || wanted.desired == UnitDesire::Inactive {
        return None;
    }
    let requirements = Requirements::of(name, &wanted.options);
    if !requirements.suits(machine) {
        return Some(Hindrance::Machine(wanted_machine(&requirements, machine)));
    }
    let there = || definitions.iter().filter(|definition| placed.contains(&definition.name));
    let clash = there().find(|definition| {
        Requirements::of(&definition.name, &definition.options).clashes_with(&requirements)
    });
    if let Some(clash) = clash {
        return Some(Hindrance::Conflict(clash.name.to_string()));
    }
    let is_there = |peer: &String| there().any(|definition| definition.name.as_str() == peer);
    requirements.peers.into_iter().find(|peer| !is_there(peer)).map(Hindrance::Peer)
}

fn wanted_machine(requirements: &Requirements, machine: &Machine) -> String {
    if let Some(id) = requirements.machine_id.as_ref().filter(|id| **id != machine.id) {
        return format!("the machine {id}");
    }
    let labels = requirements.metadata.iter().map(|(key, values)| {
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        format!("{key}={}", values.join(" or "))
    });
    format!("a machine with the metadata {}", labels.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use oa_fleet::unit::UnitOption;

    use super::*;

    fn unit(since: u64, name: &str, fleet: &[(&str, &str)]) -> Definition {
        Definition {
            name: UnitName::new(name).expect("a valid name"),
            options: fleet.iter().map(|(n, v)| UnitOption::new("X-Fleet", *n, *v)).collect(),
            desired: UnitDesire::Launched,
            launch: since,
            since,
        }
    }

    fn of(units: &[Definition], name: &str) -> Option<Hindrance> {
        let metadata = BTreeMap::from([("region".to_owned(), "west".to_owned())]);
        let machine = Machine { id: "abc".into(), primary_ip: String::new(), metadata };
        let name = UnitName::new(name).expect("a valid name");
        hindrance(&name, &units.iter().collect::<Vec<_>>(), &machine)
    }

    #[test]
    fn a_unit_that_is_placed_or_not_wanted_has_no_hindrance() {
        let mut units =
            [unit(1, "a.service", &[]), unit(2, "b.service", &[("MachineID", "other")])];
        units[1].desired = UnitDesire::Inactive;
        assert_eq!((of(&units, "a.service"), of(&units, "b.service")), (None, None));
    }

    #[test]
    fn the_first_thing_in_the_way_is_named() {
        let units = [
            unit(1, "a.service", &[]),
            unit(2, "id.service", &[("MachineID", "other")]),
            unit(3, "label.service", &[("MachineMetadata", "region=east")]),
            unit(4, "rival.service", &[("Conflicts", "a.service")]),
            unit(5, "lonely.service", &[("MachineOf", "ghost.service")]),
        ];
        let labels = "a machine with the metadata region=east";
        for (name, hindrance) in [
            ("id.service", Hindrance::Machine("the machine other".into())),
            ("label.service", Hindrance::Machine(labels.into())),
            ("rival.service", Hindrance::Conflict("a.service".into())),
            ("lonely.service", Hindrance::Peer("ghost.service".into())),
        ] {
            assert_eq!(of(&units, name), Some(hindrance), "{name}");
        }
    }
}
