//! How the units do: what runners say, for the API to show.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use oa_fleet::UnitName;
use oa_fleet::unit::UnitDesire;

use crate::keeper::Said;

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

/// What the keeper of a unit said last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) said: Said,
    /// Whether it answers when it is asked.
    pub(crate) answers: bool,
}

/// The views of all units that are on this machine, and what their keepers say.
#[derive(Debug, Default)]
pub(crate) struct States {
    views: Mutex<BTreeMap<UnitName, View>>,
    kept: Mutex<BTreeMap<UnitName, Kept>>,
}

impl States {
    pub(crate) fn set(&self, unit: &UnitName, view: View) {
        self.lock().insert(unit.clone(), view);
    }

    pub(crate) fn remove(&self, unit: &UnitName) {
        self.lock().remove(unit);
        self.keeper_is_gone(unit);
    }

    pub(crate) fn keeper_said(&self, unit: &UnitName, kept: Kept) {
        self.keepers().insert(unit.clone(), kept);
    }

    pub(crate) fn keeper_is_gone(&self, unit: &UnitName) {
        self.keepers().remove(unit);
    }

    /// What the keeper of a unit said last; `None` if it has none.
    pub(crate) fn kept(&self, unit: &UnitName) -> Option<Kept> {
        self.keepers().get(unit).cloned()
    }

    fn keepers(&self) -> MutexGuard<'_, BTreeMap<UnitName, Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
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
