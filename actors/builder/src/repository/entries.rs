//! Which entries of a repository are read, and what they must be.

use oa_protocol::UnitName;

use super::{JSON_FILES, TEMPLATE, TEMPLATES, UNIT};
use crate::error::BuildError;
use crate::git::TreeEntry;

/// The name of an entry that is read, checked; `None` for what means nothing here.
pub(super) fn wanted_name(entry: &TreeEntry) -> Result<Option<String>, BuildError> {
    let Ok(name) = std::str::from_utf8(&entry.name) else {
        let file = String::from_utf8_lossy(&entry.name);
        let unit = file.strip_suffix(TEMPLATE).unwrap_or(&file).ends_with(UNIT);
        let why = "its name is not UTF-8 text";
        return if unit {
            Err(BuildError::File { file: printable(&file), why: why.into() })
        } else {
            Ok(None)
        };
    };
    let target = name.strip_suffix(TEMPLATE).unwrap_or(name);
    if target.ends_with(UNIT) {
        UnitName::new(target)
            .map_err(|why| BuildError::File { file: printable(name), why: why.to_string() })?;
        return Ok(Some(name.to_owned()));
    }
    // A rendered file is read too, to see whether it changes.
    let known = JSON_FILES.contains(&name)
        || TEMPLATES.iter().any(|t| *t == name || t.strip_suffix(TEMPLATE) == Some(name));
    Ok(known.then(|| name.to_owned()))
}

pub(super) fn check_kind(entry: &TreeEntry, name: &str) -> Result<(), BuildError> {
    let why = match entry.mode.as_str() {
        "100644" | "100755" | "100664" => return Ok(()),
        "120000" => "it is a symbolic link; commit the file itself",
        "40000" => "it is a directory where a file is expected",
        "160000" => "it is a submodule where a file is expected",
        _ => "it is no regular file",
    };
    Err(BuildError::File { file: name.to_owned(), why: why.into() })
}

fn printable(name: &str) -> String {
    name.chars().take(80).flat_map(char::escape_default).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(mode: &str, name: &[u8]) -> TreeEntry {
        TreeEntry { mode: mode.into(), name: name.to_vec(), object: "0".repeat(40) }
    }

    #[test]
    fn hostile_names_of_units_are_refused() {
        for name in [
            "a;b.service",
            "$(id).service.eex",
            "-x.service",
            "a b.service",
            "a\nb.service",
            ".service",
            "a\\\"b.service",
        ] {
            let refusal = wanted_name(&entry("100644", name.as_bytes())).expect_err(name);
            assert!(!refusal.to_string().contains('\n'), "{refusal}");
        }
        assert!(wanted_name(&entry("100644", b"\xff.service")).is_err());
        assert_eq!(wanted_name(&entry("100644", b"\xff")).expect("ignored"), None);
        assert_eq!(wanted_name(&entry("100644", b"README.md.eex")).expect("ignored"), None);
    }

    #[test]
    fn only_regular_files_are_read() {
        assert!(check_kind(&entry("100644", b"etcd.json"), "etcd.json").is_ok());
        for mode in ["120000", "40000", "160000"] {
            assert!(check_kind(&entry(mode, b"etcd.json"), "etcd.json").is_err(), "{mode}");
        }
    }
}
