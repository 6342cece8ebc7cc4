//! Definitions and desired states, a file a unit.
//!
//! A file is written whole or not at all: a fresh file is flushed, then renamed over the old one, then the directory is
//! flushed.
//!
//! One that is damaged all the same is set aside as `<unit>.json.damaged` and said aloud, and everything else goes on:
//! refusing to start would let every unit of the machine suffer for one. What runs of the damaged unit goes on, too,
//! until somebody defines the unit again or removes it; to end it, or to start it by a guess, could only be wrong.

use std::collections::{BTreeMap, BTreeSet};
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
    /// Entries of definitions that cannot be read, with the reason.
    damaged: BTreeMap<String, String>,
}

impl Registry {
    /// Reads every definition; damaged ones are set aside.
    pub(crate) fn open(directory: &Path) -> Result<Self, FleetHostError> {
        let unusable = |cause| FleetHostError::Directory { path: directory.to_path_buf(), cause };
        let mut registry = Self {
            directory: directory.to_path_buf(),
            units: BTreeMap::new(),
            damaged: BTreeMap::new(),
        };
        for entry in fs::read_dir(directory).map_err(unusable)? {
            let name = entry.map_err(unusable)?.file_name();
            let name = name.to_string_lossy();
            if name.ends_with(FRESH) {
                // Of a host that died before the file had its name: whoever asked for it was told nothing.
                fs::remove_file(directory.join(&*name)).map_err(unusable)?;
            } else if let Some(entry) =
                name.strip_suffix(DAMAGED).and_then(|n| n.strip_suffix(ENDING))
            {
                registry
                    .damaged
                    .entry(entry.to_owned())
                    .or_insert_with(|| "it was set aside".into());
            } else if let Some(entry) = name.strip_suffix(ENDING) {
                registry.read(entry, &directory.join(&*name));
            }
        }
        // A definition that was written afterwards counts.
        for name in registry.units.keys() {
            registry.damaged.remove(&entry_of(name));
        }
        Ok(registry)
    }

    fn read(&mut self, entry: &str, path: &Path) {
        match read_definition(entry, path) {
            Ok(definition) => drop(self.units.insert(definition.name.clone(), definition)),
            Err(why) => {
                set_aside(path);
                tracing::error!(
                    "the definition {} is damaged: {why}; set aside, and what runs of it is left alone \
                     until the unit is defined again or removed",
                    path.display()
                );
                self.damaged.insert(entry.to_owned(), why);
            }
        }
    }

    /// Units whose definitions are damaged, with the reason, where the file still tells the name.
    pub(crate) fn damaged(&self) -> impl Iterator<Item = (UnitName, &str)> {
        let named = |(entry, why)| Some((UnitName::new(entry).ok()?, why));
        self.damaged.iter().filter_map(move |(entry, why): (&String, &String)| {
            named((entry.as_str(), why.as_str()))
        })
    }

    /// The names of the files of all units that are known, damaged or not.
    pub(crate) fn entries(&self) -> BTreeSet<String> {
        self.units.keys().map(entry_of).chain(self.damaged.keys().cloned()).collect()
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
        self.repaired(&definition.name)?;
        self.units.insert(definition.name.clone(), definition);
        Ok(())
    }

    /// Forgets a definition; `false` if it was not there.
    pub(crate) fn remove(&mut self, name: &UnitName) -> io::Result<bool> {
        if !self.units.contains_key(name) {
            return self.repaired(name);
        }
        fs::remove_file(self.directory.join(file_of(name)))?;
        File::open(&self.directory)?.sync_all()?;
        self.units.remove(name);
        Ok(true)
    }

    /// Forgets the damaged definition of a unit; whether there was one.
    fn repaired(&mut self, name: &UnitName) -> io::Result<bool> {
        let entry = entry_of(name);
        if !self.damaged.contains_key(&entry) {
            return Ok(false);
        }
        remove_whatever(&self.directory.join(format!("{entry}{ENDING}{DAMAGED}")))?;
        File::open(&self.directory)?.sync_all()?;
        self.damaged.remove(&entry);
        Ok(true)
    }
}

/// How the name of a definition ends, and what is added when it is set aside.
const ENDING: &str = ".json";
const DAMAGED: &str = ".damaged";
/// What is added to a name until the file is whole.
const FRESH: &str = ".new";

fn read_definition(entry: &str, path: &Path) -> Result<Definition, String> {
    let text = fs::read(path).map_err(|why| why.to_string())?;
    let definition: Definition = serde_json::from_slice(&text).map_err(|why| why.to_string())?;
    if entry_of(&definition.name) != entry {
        return Err(format!("it is that of {}", definition.name));
    }
    Ok(definition)
}

/// Keeps a damaged file for a person to look at, out of the way.
pub(crate) fn set_aside(path: &Path) {
    let mut aside = path.as_os_str().to_owned();
    aside.push(DAMAGED);
    let aside = PathBuf::from(aside);
    let moved = remove_whatever(&aside).and_then(|()| fs::rename(path, &aside));
    if let Err(why) = moved {
        tracing::error!("failed to set {} aside: {why}", path.display());
    }
}

fn remove_whatever(path: &Path) -> io::Result<()> {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        Err(why) if why.kind() != io::ErrorKind::NotFound => Err(why),
        _ => Ok(()),
    }
}

fn file_of(name: &UnitName) -> String {
    format!("{}{ENDING}", entry_of(name))
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

/// Writes a file whole or not at all, and flushes it. What did not get there leaves nothing behind.
pub(crate) fn write_whole(directory: &Path, name: &str, text: &[u8]) -> io::Result<()> {
    let fresh = directory.join(format!("{name}{FRESH}"));
    let written = write_and_flush(&fresh, text)
        .and_then(|()| {
            oa_crash_points::crash_point!(HostFileWritten);
            fs::rename(&fresh, directory.join(name))
        })
        .inspect_err(|_| {
            // On a full disk even half a file is space that somebody needs.
            let _not_there = fs::remove_file(&fresh);
        });
    written?;
    oa_crash_points::crash_point!(HostFileRenamed);
    File::open(directory)?.sync_all()
}

fn write_and_flush(path: &Path, text: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(text)?;
    file.sync_data()
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
    fn what_a_crash_left_half_written_is_cleared_away() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let left = directory.path().join("app@0.service.json.new");
        fs::write(&left, "{\"name\":\"app@0").expect("a file");

        let registry = Registry::open(directory.path()).expect("a registry");

        assert_eq!(registry.iter().count(), 0);
        assert!(!left.exists());
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

    #[test]
    fn a_damaged_definition_is_set_aside_alone_and_stays_known_until_it_is_repaired() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        Registry::open(directory.path()).expect("a registry").put(definition()).expect("stored");
        let whole = fs::read(directory.path().join("app@0.service.json")).expect("a definition");
        let file = |name: &str| directory.path().join(name);
        fs::write(file("cut.service.json"), &whole[..whole.len() / 2]).expect("a file");
        fs::write(file("empty.service.json"), "").expect("a file");
        fs::write(file("garbage.service.json"), [0xff, 0, 0xfe]).expect("a file");
        fs::write(file("other.service.json"), &whole).expect("a file");
        fs::create_dir(file("folder.service.json")).expect("a directory");
        let bad = ["cut", "empty", "folder", "garbage", "other"].map(|n| format!("{n}.service"));
        let names = |registry: &Registry| -> Vec<String> {
            registry.damaged().map(|(name, _)| name.to_string()).collect()
        };

        for start in ["first", "second"] {
            let registry = Registry::open(directory.path()).expect("the others are read");
            assert_eq!(registry.iter().count(), 1, "{start}");
            assert_eq!(names(&registry), bad, "{start}");
        }

        let mut registry = Registry::open(directory.path()).expect("a registry");
        let cut = UnitName::new("cut.service").expect("a valid name");
        registry.put(Definition { name: cut, ..definition() }).expect("it is defined again");
        let folder = UnitName::new("folder.service").expect("a valid name");
        assert!(registry.remove(&folder).expect("it is removed"));
        let registry = Registry::open(directory.path()).expect("a registry");
        assert_eq!(names(&registry), ["empty.service", "garbage.service", "other.service"]);
        assert_eq!(registry.iter().count(), 2);
    }
}
