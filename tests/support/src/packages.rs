//! Installs what the tests need and the machine lacks.

use std::process::Command;

use crate::service::ServiceError;

/// A program and the Debian package that brings it.
#[derive(Debug, Clone, Copy)]
pub struct Needed {
    /// Absolute path of the program.
    pub program: &'static str,
    /// The package.
    pub package: &'static str,
}

/// Everything that `make test` needs beside Rust.
pub const NEEDED: &[Needed] = &[
    Needed { program: "/usr/bin/faketime", package: "faketime" },
    Needed { program: "/usr/bin/git", package: "git" },
    Needed { program: "/usr/bin/openssl", package: "openssl" },
    Needed { program: "/usr/bin/ssh", package: "openssh-client" },
    Needed { program: "/usr/sbin/sshd", package: "openssh-server" },
    Needed { program: "/usr/bin/strace", package: "strace" },
];

/// Installs the packages whose program is missing, with the system's package manager.
///
/// # Errors
///
/// [`ServiceError::Install`] with the exact command to run by hand.
pub fn ensure(needed: &[Needed]) -> Result<(), ServiceError> {
    let missing: Vec<&str> = needed
        .iter()
        .filter(|n| !std::path::Path::new(n.program).exists())
        .map(|n| n.package)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    eprintln!("oa-test-services: installing {}", missing.join(" "));
    apt(&["update"], &missing)?;
    let mut install = vec!["install", "-y", "--no-install-recommends"];
    install.extend(&missing);
    apt(&install, &missing)
}

fn apt(arguments: &[&str], missing: &[&str]) -> Result<(), ServiceError> {
    let status = Command::new("apt-get")
        .env("DEBIAN_FRONTEND", "noninteractive")
        .args(arguments)
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .status();
    match status {
        Ok(status) if status.success() => Ok(()),
        _ => Err(ServiceError::Install { packages: missing.join(" ") }),
    }
}
