//! Definitions and desired states, a file a unit.
//!
//! A file is written whole or not at all: a fresh file is flushed, then renamed over the old one, then the directory is
//! flushed.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use oa_fleet::UnitName;
use oa_fleet::unit::{UnitDesire, UnitOption};
use serde::{Deserialize, Serialize};

use crate::error::FleetHostError;

/// What the cluster knows of a unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Definition {
    pub(crate) name: UnitName,
    pub(crate) options: Vec<UnitOption>,
    pub(crate) desired: UnitDesire,
    /// Grows with each launch that was asked for, so that a keeper's work can be told from a later wish.
    pub(crate) launch: u64,
    /// When it was first wanted on a machine, among the others.
    pub(crate) since: u64,
}

impl Definition {
    /// Tells two contents apart, as Fleet does.
    pub(crate) fn hash(&self) -> String {
        oa_fleet::unit_file::hash(&self.options)
    }
}

/// The definitions in one directory.
#[derive(Debug)]
pub(crate) struct Registry {
    directory: PathBuf,
    units: BTreeMap<UnitName, Definition>,
}

impl Registry {
    /// Reads every definition.
    pub(crate) fn open(directory: &Path) -> Result<Self, FleetHostError> {
        let unusable = |cause| FleetHostError::Directory { path: directory.to_path_buf(), cause };
        let mut units = BTreeMap::new();
        for entry in fs::read_dir(directory).map_err(unusable)? {
            let path = entry.map_err(unusable)?.path();
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            let text = fs::read(&path).map_err(unusable)?;
            let definition: Definition = serde_json::from_slice(&text)
                .map_err(|why| FleetHostError::Definition { path, why: why.to_string() })?;
            units.insert(definition.name.clone(), definition);
        }
        Ok(Self { directory: directory.to_path_buf(), units })
    }

    pub(crate) fn get(&self, name: &UnitName) -> Option<&Definition> {
        self.units.get(name)
    }

    /// Every definition, by name.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Definition> {
        self.units.values()
    }

    /// Stores a definition; it is on disk when this returns.
    pub(crate) fn put(&mut self, definition: Definition) -> io::Result<()> {
        let text = serde_json::to_vec(&definition)?;
        write_whole(&self.directory, &file_of(&definition.name), &text)?;
        self.units.insert(definition.name.clone(), definition);
        Ok(())
    }

    /// Forgets a definition; `false` if it was not there.
    pub(crate) fn remove(&mut self, name: &UnitName) -> io::Result<bool> {
        if !self.units.contains_key(name) {
            return Ok(false);
        }
        fs::remove_file(self.directory.join(file_of(name)))?;
        File::open(&self.directory)?.sync_all()?;
        self.units.remove(name);
        Ok(true)
    }
}

fn file_of(name: &UnitName) -> String {
    format!("{}.json", entry_of(name))
}

/// The name of a unit as the name of a file: a long one is cut, and told from others by its hash.
///
/// Names of units have up to 256 characters, those of files 255 bytes with their endings.
pub(crate) fn entry_of(name: &UnitName) -> String {
    const LONGEST: usize = 200;
    let name = name.as_str();
    if name.len() <= LONGEST {
        return name.to_owned();
    }
    // No name of a unit holds `~`.
    let hash = oa_fleet::unit_file::hash(&[UnitOption::new("Unit", "Name", name)]);
    format!("{}~{hash}", &name[..LONGEST - 1 - hash.len()])
}

/// Writes a file whole or not at all, and flushes it.
pub(crate) fn write_whole(directory: &Path, name: &str, text: &[u8]) -> io::Result<()> {
    let fresh = directory.join(format!("{name}.new"));
    let mut file = File::create(&fresh)?;
    file.write_all(text)?;
    file.sync_data()?;
    fs::rename(&fresh, directory.join(name))?;
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn definition() -> Definition {
        Definition {
            name: UnitName::new("app@0.service").expect("a valid name"),
            options: vec![UnitOption::new("Service", "ExecStart", "/bin/true")],
            desired: UnitDesire::Launched,
            launch: 1,
            since: 1,
        }
    }

    #[test]
    fn long_names_have_files_of_their_own() {
        let name = |end: &str| UnitName::new("a".repeat(240) + end).expect("a valid name");
        let (one, other) = (entry_of(&name("1.service")), entry_of(&name("2.service")));
        assert!(one.len() <= 200 && one != other, "{one}");
        assert_eq!(entry_of(&definition().name), "app@0.service");
    }

    #[test]
    fn definitions_outlive_the_registry() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let mut registry = Registry::open(directory.path()).expect("an empty registry");
        registry.put(definition()).expect("it is stored");

        let again = Registry::open(directory.path()).expect("a registry");

        assert_eq!(again.get(&definition().name), Some(&definition()));
    }

    #[test]
    fn what_is_removed_stays_removed() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let mut registry = Registry::open(directory.path()).expect("an empty registry");
        registry.put(definition()).expect("it is stored");

        assert!(registry.remove(&definition().name).expect("it is removed"));
        assert!(!registry.remove(&definition().name).expect("nothing is there"));
        assert_eq!(Registry::open(directory.path()).expect("a registry").iter().count(), 0);
    }
}
