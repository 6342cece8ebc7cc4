//! The sample application as two git repositories, made as a person would make them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::git::{BRANCH, git};
use super::place::{self, Place};
use crate::problem::Problem;

macro_rules! example {
    ($file:literal) => {
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/hello/", $file))
    };
}

const SOURCE: [(&str, &str); 2] =
    [("README.md", example!("source/README.md")), ("main.rs", example!("server/src/main.rs"))];

const DEPLOYMENT: [(&str, &str); 4] = [
    ("etcd.json", example!("deployment/etcd.json")),
    ("source.json", example!("deployment/source.json")),
    ("fleet.json", example!("deployment/fleet.json")),
    ("hello@.service.eex", example!("deployment/hello@.service.eex")),
];

/// Two bare repositories.
pub(super) struct Repositories {
    /// What is deployed where.
    pub(super) deployment: PathBuf,
}

impl Repositories {
    /// Makes both, with one commit each.
    pub(super) async fn make(place: &Place) -> Result<Self, Problem> {
        let source = make(place.path(), "source", &SOURCE, &[]).await?;
        let source_path = source.display().to_string();
        let server = place.server().display().to_string();
        let user_line = place::user_line();
        let markers = [
            ("@SOURCE_REPO@", &*source_path),
            ("@SERVER@", &*server),
            ("@USER_LINE@", &*user_line),
        ];
        let deployment = make(place.path(), "deployment", &DEPLOYMENT, &markers).await?;
        Ok(Self { deployment })
    }
}

/// Commits `files`, with `markers` filled, to a fresh bare repository `<name>.git`.
async fn make(
    parent: &Path,
    name: &str,
    files: &[(&str, &str)],
    markers: &[(&str, &str)],
) -> Result<PathBuf, Problem> {
    let work = parent.join(name);
    let bare = parent.join(format!("{name}.git"));
    write_files(&work, files, markers)
        .map_err(|cause| Problem::new(format!("the {name} repository cannot be made"), cause))?;
    git(&work, &["init", "--quiet"]).await?;
    // `init -b` came with git 2.28; this works with any.
    let branch = format!("refs/heads/{BRANCH}");
    git(&work, &["symbolic-ref", "HEAD", &branch]).await?;
    git(&work, &["add", "--all"]).await?;
    git(&work, &["commit", "--quiet", "--message", "The sample application"]).await?;
    git(parent, &["clone", "--quiet", "--bare", "--", name, &format!("{name}.git")]).await?;
    fs::remove_dir_all(&work)
        .map_err(|cause| Problem::new(format!("{} is left behind", work.display()), cause))?;
    Ok(bare)
}

fn write_files(
    directory: &Path,
    files: &[(&str, &str)],
    markers: &[(&str, &str)],
) -> io::Result<()> {
    fs::create_dir(directory)?;
    for (name, text) in files {
        fs::write(directory.join(name), filled(text, markers))?;
    }
    Ok(())
}

fn filled(text: &str, markers: &[(&str, &str)]) -> String {
    markers.iter().fold(text.to_owned(), |text, (marker, value)| text.replace(marker, value))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// Content of a file of the branch.
    fn committed(repository: &Path, file: &str) -> String {
        let file = format!("{BRANCH}:{file}");
        let output = Command::new("git")
            .arg("-C")
            .arg(repository)
            .args(["show", &file])
            .output()
            .expect("git runs");
        String::from_utf8(output.stdout).expect("text")
    }

    #[tokio::test]
    async fn a_repository_is_bare_and_holds_the_filled_files_on_its_branch() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let markers = [
            ("@SOURCE_REPO@", "/s.git"),
            ("@SERVER@", "/bin/hello"),
            ("@USER_LINE@", "User=nobody"),
        ];
        let bare = make(directory.path(), "deployment", &DEPLOYMENT, &markers)
            .await
            .expect("a repository");
        assert!(bare.join("HEAD").is_file());
        assert_eq!(
            fs::read_to_string(bare.join("HEAD")).expect("HEAD"),
            format!("ref: refs/heads/{BRANCH}\n")
        );
        let unit = committed(&bare, "hello@.service.eex");
        assert!(
            unit.contains("\nExecStart=/bin/hello\n") && unit.contains("\nUser=nobody\n"),
            "{unit}"
        );
        let source: serde_json::Value =
            serde_json::from_str(&committed(&bare, "source.json")).expect("JSON");
        assert_eq!(source["source_repo"], "/s.git");
        assert!(!directory.path().join("deployment").exists());
    }

    #[test]
    fn no_marker_is_left_unfilled() {
        let markers = [("@SOURCE_REPO@", "a"), ("@SERVER@", "b"), ("@USER_LINE@", "c")];
        for (name, text) in DEPLOYMENT {
            let text = filled(text, &markers);
            let left = text
                .split('@')
                .nth(1)
                .filter(|word| word.chars().all(|c| c.is_ascii_uppercase() || c == '_'));
            assert_eq!(left, None, "{name}");
        }
    }
}
