//! How the units do: what runners say, for the API to show.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use oa_fleet::UnitName;
use oa_fleet::unit::UnitDesire;
use tokio::sync::Notify;

use crate::keeper::{Phase, Said};

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
    /// The last launch of each unit that began, and how far it came.
    launches: Mutex<BTreeMap<UnitName, (u64, Phase)>>,
    launches_changed: Notify,
}

impl States {
    /// Notes how far a launch came, for units that wait for it.
    pub(crate) fn came_to(&self, unit: &UnitName, launch: u64, phase: Phase) {
        let before = self.launches().insert(unit.clone(), (launch, phase));
        if before != Some((launch, phase)) {
            self.launches_changed.notify_one();
        }
    }

    /// A launch was ended since another unit held it, and will begin anew.
    pub(crate) fn launch_is_undone(&self, unit: &UnitName) {
        self.launches().remove(unit);
        self.launches_changed.notify_one();
    }

    /// The last launch of a unit that began, and how far it came.
    pub(crate) fn launch_of(&self, unit: &UnitName) -> Option<(u64, Phase)> {
        self.launches().get(unit).copied()
    }

    /// Returns when a launch came further than before.
    pub(crate) async fn launches_changed(&self) {
        self.launches_changed.notified().await;
    }

    fn launches(&self) -> MutexGuard<'_, BTreeMap<UnitName, (u64, Phase)>> {
        self.launches.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set(&self, unit: &UnitName, view: View) {
        self.lock().insert(unit.clone(), view);
    }

    pub(crate) fn remove(&self, unit: &UnitName) {
        self.lock().remove(unit);
        self.launches().remove(unit);
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
