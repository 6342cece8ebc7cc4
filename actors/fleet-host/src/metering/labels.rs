//! What the `[X-OpenAperture]` section of a unit says about whom it belongs to.

use oa_fleet::WorkflowId;
use oa_fleet::unit::UnitOption;
use serde::{Deserialize, Serialize};

const SECTION: &str = "X-OpenAperture";
/// Longest name of a product that is recorded, in characters.
const LONGEST_PRODUCT: usize = 255;

/// Whom a unit belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Labels {
    #[serde(default)]
    pub(crate) product: Option<String>,
    #[serde(default)]
    pub(crate) generation: Option<u64>,
    #[serde(default)]
    pub(crate) workflow_id: Option<WorkflowId>,
}

impl Labels {
    /// Of several lines the last one counts; what cannot be a label is none, since it stops no unit.
    pub(crate) fn of(options: &[UnitOption]) -> Self {
        let last = |name: &str| {
            let mut lines = options.iter().rev();
            let line = lines.find(|option| option.section == SECTION && option.name == name)?;
            Some(line.value.trim()).filter(|value| !value.is_empty())
        };
        Self {
            product: last("Product").map(printable),
            generation: last("Generation").and_then(|text| text.parse().ok()),
            workflow_id: last("Workflow").and_then(|text| text.parse().ok()),
        }
    }
}

fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(LONGEST_PRODUCT).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_of_a_label_counts_and_nonsense_is_no_label() {
        let line = |name, value| UnitOption::new(SECTION, name, value);
        let labels = Labels::of(&[
            line("Product", "first"),
            line("Product", " shop\u{7} "),
            line("Generation", "many"),
            line("Workflow", "01930000-0000-7000-8000-000000000001"),
            UnitOption::new("Service", "Product", "not here"),
        ]);
        assert_eq!(labels.product.as_deref(), Some("shop"));
        assert_eq!(labels.generation, None);
        assert!(labels.workflow_id.is_some());
        assert_eq!(Labels::of(&[line("Product", "")]), Labels::default());
    }
}
