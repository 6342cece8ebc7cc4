//! How the units do: what runners say, for the API to show.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use oa_fleet::UnitName;
use oa_fleet::unit::UnitDesire;

/// How one unit does on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct View {
    /// Hash of the unit file that is loaded.
    pub(crate) hash: String,
    /// What was reached of what is wanted.
    pub(crate) current: UnitDesire,
    pub(crate) load: &'static str,
    pub(crate) active: &'static str,
    pub(crate) sub: &'static str,
}

/// The views of all units that are on this machine.
#[derive(Debug, Default)]
pub(crate) struct States {
    views: Mutex<BTreeMap<UnitName, View>>,
}

impl States {
    pub(crate) fn set(&self, unit: &UnitName, view: View) {
        self.lock().insert(unit.clone(), view);
    }

    pub(crate) fn remove(&self, unit: &UnitName) {
        self.lock().remove(unit);
    }

    pub(crate) fn get(&self, unit: &UnitName) -> Option<View> {
        self.lock().get(unit).cloned()
    }

    /// Every unit on this machine, by name.
    pub(crate) fn all(&self) -> Vec<(UnitName, View)> {
        self.lock().iter().map(|(unit, view)| (unit.clone(), view.clone())).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<UnitName, View>> {
        self.views.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
