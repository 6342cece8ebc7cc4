//! Which git is new enough.

use std::process::Stdio;

use tokio::process::Command;

use super::error::GitSetupError;

/// The oldest git that is used: what the oldest supported distributions ship (Ubuntu 22.04), patched against foreign
/// repositories (`safe.directory`). A distribution mends later holes without a new number, so a higher one says little.
///
/// # Source
///
/// Git release notes 2.34.1 to 2.35.2 (`safe.directory`), 2.32 (`GIT_CONFIG_GLOBAL`), 2.31 (`GIT_CONFIG_COUNT`).
const OLDEST: Version = Version(2, 34, 1);

/// Major, minor and patch level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Version(u32, u32, u32);

/// Asks `command`, which is git in its environment, for its version.
///
/// # Errors
///
/// [`GitSetupError`] if it is missing, answers something else, or is too old.
pub(super) async fn check(mut command: Command) -> Result<(), GitSetupError> {
    let program = std::path::PathBuf::from(command.as_std().get_program());
    let asked = command.arg("version").stdin(Stdio::null()).kill_on_drop(true).output().await;
    let output =
        asked.map_err(|cause| GitSetupError::Missing { program: program.clone(), cause })?;
    let answer: String = String::from_utf8_lossy(&output.stdout).trim().chars().take(80).collect();
    match version(&answer) {
        None => Err(GitSetupError::Unreadable { program, answer }),
        Some(found) if found < OLDEST => Err(GitSetupError::TooOld { program, found: answer }),
        Some(_) => Ok(()),
    }
}

fn version(answer: &str) -> Option<Version> {
    let mut numbers = answer.strip_prefix("git version ")?.split(['.', ' ', '-']);
    let major = numbers.next()?.parse().ok()?;
    let minor = numbers.next()?.parse().ok()?;
    // `2.48-rc0` has no patch level.
    let patch = numbers.next().and_then(|number| number.parse().ok()).unwrap_or(0);
    Some(Version(major, minor, patch))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn versions_are_read() {
        for (answer, expected) in [
            ("git version 2.47.3", Some(Version(2, 47, 3))),
            ("git version 2.39.2 (Apple Git-143)", Some(Version(2, 39, 2))),
            ("git version 2.48.GIT", Some(Version(2, 48, 0))),
            ("git version 2.46.2.windows.1", Some(Version(2, 46, 2))),
            ("hg 1.0", None),
        ] {
            assert_eq!(version(answer), expected, "{answer}");
        }
    }

    #[tokio::test]
    async fn a_git_that_is_too_old_or_none_at_all_is_refused_with_what_to_install() {
        let place = tempfile::tempdir().expect("a directory");
        let program = place.path().join("git");
        for (answer, expected) in [
            ("git version 2.34.0", "is too old; install 2.34.1 or newer"),
            ("git version 1.8.3", "is too old"),
            ("busybox", "names no version"),
        ] {
            fs::write(&program, format!("#!/bin/sh\necho '{answer}'\n")).expect("a program");
            fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("executable");
            let refusal = check(Command::new(&program)).await.expect_err(answer).to_string();
            assert!(refusal.contains(expected) && refusal.contains(answer), "{refusal}");
            assert!(refusal.contains(&program.display().to_string()), "{refusal}");
        }
        let missing = check(Command::new("/no/such/git")).await.expect_err("no program");
        assert!(missing.to_string().contains("install git"), "{missing}");
    }
}
