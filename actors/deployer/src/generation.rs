//! The generation of a definition: which deployment wrote it.
//!
//! Each unit that the Deployer writes ends in `[X-OpenAperture] Generation=<n>`. A deployment never replaces a
//! definition of a higher generation: a newer deployment has been there. Two definitions are *the same* if they differ
//! in nothing but their generation, so an instance that already runs what is wanted is left alone.
//!
//! Fleet has no compare-and-set: between reading the generation and writing the unit another client can still write.
//! That gap is a few milliseconds wide; the check at the end of a rollout reports what happened in it.

use oa_fleet::unit_file;
use oa_protocol::unit::UnitOption;

const SECTION: &str = "X-OpenAperture";
const NAME: &str = "Generation";

fn is_generation(option: &UnitOption) -> bool {
    option.section == SECTION && option.name == NAME
}

/// `options` with `generation` as their last line and no other generation.
pub(crate) fn stamp(options: &[UnitOption], generation: u64) -> Vec<UnitOption> {
    let mut stamped = without(options);
    stamped.push(UnitOption::new(SECTION, NAME, generation.to_string()));
    stamped
}

/// The generation of a definition; `None` if something other than a Deployer wrote it.
pub(crate) fn of(options: &[UnitOption]) -> Option<u64> {
    options
        .iter()
        .filter(|option| is_generation(option))
        .filter_map(|option| option.value.parse().ok())
        .max()
}

/// Whether both say the same, whatever their generations.
///
/// The text of the unit file is compared, since a server may group options by section.
pub(crate) fn same_besides(left: &[UnitOption], right: &[UnitOption]) -> bool {
    unit_file::write(&without(left)) == unit_file::write(&without(right))
}

fn without(options: &[UnitOption]) -> Vec<UnitOption> {
    options.iter().filter(|option| !is_generation(option)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> Vec<UnitOption> {
        vec![
            UnitOption::new("Unit", "Description", "a"),
            UnitOption::new("Service", "ExecStart", "/bin/true"),
        ]
    }

    #[test]
    fn a_stamp_replaces_every_earlier_one() {
        let twice = stamp(&stamp(&options(), 3), 4);
        assert_eq!(of(&twice), Some(4));
        assert_eq!(twice.len(), 3);
        assert_eq!(of(&options()), None);
    }

    #[test]
    fn definitions_are_compared_without_their_generation() {
        assert!(same_besides(&stamp(&options(), 3), &options()));
        let mut other = options();
        other[1].value = "/bin/false".into();
        assert!(!same_besides(&other, &options()));
    }

    #[test]
    fn a_server_that_groups_options_by_section_changes_nothing() {
        let mut scattered = options();
        scattered.push(UnitOption::new("Unit", "After", "b.service"));
        let mut grouped = scattered.clone();
        grouped.swap(1, 2);
        assert!(same_besides(&scattered, &grouped));
    }
}
