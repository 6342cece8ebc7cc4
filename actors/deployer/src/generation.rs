//! The stamp of a definition: which deployment wrote it, and for whom.
//!
//! ```text
//! [X-OpenAperture]
//! Product=shop         whom its runs are billed to; one that the unit's author wrote stays
//! Workflow=0193…       the workflow that wrote it
//! Generation=7         grows with each deployment of the same units
//! ```
//!
//! A deployment never replaces a definition of a higher generation: a newer deployment has been there. Two definitions
//! are *the same* if they differ in nothing but workflow and generation, so an instance that already runs what is wanted
//! is left alone. The product is a difference: what runs under another one would be billed wrongly.
//!
//! Fleet has no compare-and-set: between reading the generation and writing the unit another client can still write.
//! That gap is a few milliseconds wide; the check at the end of a rollout reports what happened in it.

use oa_fleet::unit_file;
use oa_protocol::WorkflowId;
use oa_protocol::deploy::DeployCommand;
use oa_protocol::unit::UnitOption;

const SECTION: &str = "X-OpenAperture";
const PRODUCT: &str = "Product";
const WORKFLOW: &str = "Workflow";
const GENERATION: &str = "Generation";

/// What is written into each unit of a deployment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Stamp {
    pub(crate) generation: u64,
    pub(crate) workflow: Option<WorkflowId>,
    pub(crate) product: Option<String>,
}

impl Stamp {
    pub(crate) fn of(command: &DeployCommand) -> Self {
        Self {
            generation: command.generation,
            workflow: Some(command.step.workflow_id),
            product: command.product.clone(),
        }
    }

    /// `options` with this stamp as their last lines and no other one.
    pub(crate) fn put(&self, options: &[UnitOption]) -> Vec<UnitOption> {
        let mut stamped = without(options);
        let has_product = stamped.iter().any(|option| is(option, PRODUCT));
        let product = self.product.clone().filter(|_| !has_product);
        let workflow = self.workflow.map(|workflow| workflow.to_string());
        let lines = [
            (PRODUCT, product),
            (WORKFLOW, workflow),
            (GENERATION, Some(self.generation.to_string())),
        ];
        stamped.extend(
            lines
                .into_iter()
                .filter_map(|(name, value)| Some(UnitOption::new(SECTION, name, value?))),
        );
        stamped
    }
}

fn is(option: &UnitOption, name: &str) -> bool {
    option.section == SECTION && option.name == name
}

/// The generation of a definition; `None` if something other than a Deployer wrote it.
pub(crate) fn of(options: &[UnitOption]) -> Option<u64> {
    options
        .iter()
        .filter(|option| is(option, GENERATION))
        .filter_map(|option| option.value.parse().ok())
        .max()
}

/// Whether both say the same, whichever deployment wrote them.
///
/// The text of the unit file is compared, since a server may group options by section.
pub(crate) fn same_besides(left: &[UnitOption], right: &[UnitOption]) -> bool {
    unit_file::write(&without(left)) == unit_file::write(&without(right))
}

fn without(options: &[UnitOption]) -> Vec<UnitOption> {
    let is_content = |option: &&UnitOption| !is(option, GENERATION) && !is(option, WORKFLOW);
    options.iter().filter(is_content).cloned().collect()
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

    fn stamp(options: &[UnitOption], generation: u64) -> Vec<UnitOption> {
        let workflow = Some(WorkflowId::new());
        Stamp { generation, workflow, product: Some("shop".into()) }.put(options)
    }

    #[test]
    fn a_stamp_replaces_every_earlier_one() {
        let twice = stamp(&stamp(&options(), 3), 4);
        assert_eq!(of(&twice), Some(4));
        assert_eq!(twice.len(), 5);
        assert_eq!(of(&options()), None);
    }

    #[test]
    fn the_product_that_the_author_of_a_unit_wrote_stays() {
        let mut own = options();
        own.push(UnitOption::new(SECTION, PRODUCT, "till"));
        let stamped = stamp(&own, 3);
        let products: Vec<&str> = stamped
            .iter()
            .filter(|option| is(option, PRODUCT))
            .map(|option| option.value.as_str())
            .collect();
        assert_eq!(products, ["till"]);
        assert!(!same_besides(&stamped, &stamp(&options(), 3)), "it is billed to somebody else");
    }

    #[test]
    fn definitions_are_compared_without_their_generation() {
        assert!(same_besides(&stamp(&options(), 3), &stamp(&options(), 4)));
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
