//! What the sources must not say.

use std::fs;
use std::path::{Path, PathBuf};

/// Longest file that still holds one idea, in lines; tests at the end of a file do not count.
const LONGEST_FILE: usize = 500;

/// A text that may stand only in some places.
struct Ban {
    text: &'static str,
    allowed_under: &'static [&'static str],
    why: &'static str,
}

/// Spelt in two halves where the text would find itself here.
const BANS: &[Ban] = &[
    Ban {
        text: concat!("actix", "::"),
        allowed_under: &["runtime/src/kernel"],
        why: "only the kernel names actix",
    },
    Ban {
        text: concat!("use act", "ix;"),
        allowed_under: &["runtime/src/kernel"],
        why: "only the kernel names actix",
    },
    Ban {
        text: concat!("Command::new(\"", "sh\")"),
        allowed_under: &[],
        why: "no shell: run programs by argument vector",
    },
    Ban {
        text: concat!("Command::new(\"", "bash\")"),
        // What is tested there is a script for this shell.
        allowed_under: &["bins/oa/tests/completion.rs"],
        why: "no shell: run programs by argument vector",
    },
    Ban {
        text: concat!("\"/bin/", "sh\""),
        // Its tests play a git that traps signals and leaves processes behind.
        allowed_under: &["actors/builder/src/git/process.rs"],
        why: "no shell: run programs by argument vector",
    },
    Ban {
        text: concat!("#[", "ignore"),
        allowed_under: &[],
        why: "a test that does not run proves nothing",
    },
    Ban {
        text: concat!("/work/", "main"),
        allowed_under: &[],
        why: "no path of a machine belongs into the tree",
    },
];

/// Every line that says what it must not, and every file that is too long.
pub(crate) fn violations(root: &Path) -> Result<Vec<String>, String> {
    let mut files = Vec::new();
    for folder in ["runtime", "transports", "actors", "bins", "examples", "tests"] {
        collect_sources(&root.join(folder), &mut files)?;
    }
    let mut found = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file)
            .map_err(|cause| format!("failed to read {}: {cause}", file.display()))?;
        let name = file.strip_prefix(root).unwrap_or(&file).display().to_string();
        found.extend(file_violations(&name, &text));
    }
    Ok(found)
}

fn collect_sources(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), String> {
    let entries = fs::read_dir(folder)
        .map_err(|cause| format!("failed to list {}: {cause}", folder.display()))?;
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            if path.file_name().is_some_and(|name| name != "target") {
                collect_sources(&path, files)?;
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(())
}

fn file_violations(name: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for ban in
        BANS.iter().filter(|ban| !ban.allowed_under.iter().any(|place| name.starts_with(place)))
    {
        let lines = text.lines().enumerate();
        let hits = lines
            .filter(|(_, line)| line.contains(ban.text) && !line.trim_start().starts_with("//"));
        found.extend(hits.map(|(at, _)| format!("{name}:{}: `{}`: {}", at + 1, ban.text, ban.why)));
    }
    let code = text.split("#[cfg(test)]").next().unwrap_or(text).lines().count();
    if code > LONGEST_FILE {
        found.push(format!("{name}: {code} lines before its tests; split it at {LONGEST_FILE}"));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ban_is_found_with_its_line() {
        let text = format!("fn f() {{\n    {}Actor;\n}}\n", concat!("actix", "::"));
        assert!(
            file_violations("actors/x/src/lib.rs", &text)[0].starts_with("actors/x/src/lib.rs:2")
        );
        assert!(file_violations("runtime/src/kernel/mod.rs", &text).is_empty());
    }

    #[test]
    fn a_long_file_is_found_but_its_tests_do_not_count() {
        let long = "line\n".repeat(LONGEST_FILE + 1);
        assert_eq!(file_violations("a.rs", &long).len(), 1);
        assert!(file_violations("a.rs", &format!("x\n#[cfg(test)]\n{long}")).is_empty());
    }
}
