//! Questions about a cluster: what the FleetManager is asked.

use oa_runtime::{Message, Wire};
use serde::{Deserialize, Serialize};

use crate::ids::{EtcdToken, UnitName};
use crate::refusal::Refusal;
use crate::unit::{LogPage, Machine, Unit, UnitCondition, UnitState};

macro_rules! question {
    ($(#[$doc:meta])* $name:ident, $wire:literal, $answer:ty, { $($(#[$field_doc:meta])* $field:ident: $kind:ty),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        pub struct $name {
            /// Which cluster.
            pub etcd_token: EtcdToken,
            $($(#[$field_doc])* pub $field: $kind,)*
        }

        impl Message for $name {
            type Reply = Result<$answer, Refusal>;
        }

        impl Wire for $name {
            const NAME: &'static str = $wire;
            const VERSION: u16 = 1;
        }
    };
}

question! {
    /// Which machines has it?
    ListMachines, "fleet_manager.list_machines", Vec<Machine>, {}
}
question! {
    /// Which units does it know?
    ListUnits, "fleet_manager.list_units", Vec<Unit>, {}
}
question! {
    /// How do its units do?
    ListUnitStates, "fleet_manager.list_unit_states", Vec<UnitState>, {}
}
question! {
    /// What did a unit print?
    UnitLogs, "fleet_manager.unit_logs", LogPage, {
        /// Which unit.
        unit_name: UnitName,
        /// Only what came after this place, from an earlier [`LogPage::next`].
        #[serde(default)]
        after: Option<u64>,
        /// At most so many of the last lines, if `after` is absent. Default: 100.
        #[serde(default)]
        lines: Option<u32>,
        /// How long to wait for something new when there is nothing yet, in milliseconds. Default: 0.
        #[serde(default)]
        wait_ms: u32,
    }
}
question! {
    /// Stop a unit and start it again.
    RestartUnit, "fleet_manager.restart_unit", (), {
        /// Which unit.
        unit_name: UnitName,
    }
}
question! {
    /// What holds a unit up, or how did it end? Nothing if its engine cannot say more than the unit's state.
    ShowUnitCondition, "fleet_manager.unit_condition", Option<UnitCondition>, {
        /// Which unit.
        unit_name: UnitName,
    }
}
