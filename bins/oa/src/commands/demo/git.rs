//! Runs `git` with an argument vector and an environment of its own.

use std::env;
use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

use crate::problem::Problem;

/// The one branch of the sample repositories.
pub(super) const BRANCH: &str = "main";

const LONGEST_RUN: Duration = Duration::from_secs(30);

/// Settings that make a commit the same on every machine.
const SETTINGS: [&str; 10] = [
    "-c",
    "user.name=OpenAperture demo",
    "-c",
    "user.email=demo@openaperture.invalid",
    "-c",
    "commit.gpgSign=false",
    "-c",
    "core.hooksPath=/dev/null",
    "-c",
    "core.autocrlf=false",
];

/// Sees that there is a git, before anything is started that needs it.
pub(super) async fn check() -> Result<(), Problem> {
    git(&env::temp_dir(), &["--version"]).await
}

/// Runs `git` in `directory`.
pub(super) async fn git<S: AsRef<OsStr>>(directory: &Path, arguments: &[S]) -> Result<(), Problem> {
    let mut command = Command::new("git");
    command.args(SETTINGS).args(arguments).current_dir(directory).kill_on_drop(true);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    for (name, _) in env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("GIT_")) {
        command.env_remove(name);
    }
    command
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_TERMINAL_PROMPT", "0");
    command.env("LC_ALL", "C");
    let words: Vec<_> = arguments.iter().map(|word| word.as_ref().to_string_lossy()).collect();
    let what = format!("`git {}` failed", words.join(" "));
    match timeout(LONGEST_RUN, command.output()).await {
        Err(_) => Err(Problem::new(what, format!("it did not end within {LONGEST_RUN:?}"))),
        Ok(Err(cause)) if cause.kind() == io::ErrorKind::NotFound => {
            Err(Problem::new("the demo needs git", "there is no `git` in PATH")
                .next(install_command()))
        }
        Ok(Err(cause)) => Err(Problem::new(what, cause)),
        Ok(Ok(output)) if output.status.success() => Ok(()),
        Ok(Ok(output)) => Err(Problem::new(what, String::from_utf8_lossy(&output.stderr).trim())),
    }
}

/// How git is installed on this machine.
fn install_command() -> String {
    let managers = [
        ("/usr/bin/apt-get", "apt-get install -y git"),
        ("/usr/bin/dnf", "dnf install -y git"),
        ("/usr/bin/zypper", "zypper install -y git"),
        ("/usr/bin/pacman", "pacman -S --noconfirm git"),
        ("/sbin/apk", "apk add git"),
    ];
    let found = managers.iter().find(|(program, _)| Path::new(program).exists());
    match found {
        Some((_, command)) if rustix::process::geteuid().is_root() => (*command).to_owned(),
        Some((_, command)) => format!("sudo {command}"),
        None => "install git: https://git-scm.com/downloads".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_failing_git_says_what_it_was_asked_and_what_it_answered() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let problem = git(directory.path(), &["no-such-command"])
            .await
            .expect_err("git knows no such command");
        let text = format!("{problem:?}");
        assert!(
            text.contains("`git no-such-command` failed") && text.contains("is not a git command"),
            "{text}"
        );
    }
}
