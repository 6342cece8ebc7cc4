//! Programs that steps of a workflow call.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::finding::Finding;

/// The oldest git that the Builder uses; `git::version` there says why.
const OLDEST_GIT: (u32, u32) = (2, 34);
const DOCKER_SOCKET: &str = "/var/run/docker.sock";

/// What the Builder fetches and pushes with.
pub(super) fn git() -> Finding {
    let (subject, fix) = ("git", "apt-get install git");
    let Some(answer) = first_line("git", "version") else {
        return Finding::bad(subject, "it is not installed", fix);
    };
    match version(&answer) {
        Some(version) if version >= OLDEST_GIT => Finding::fine(subject, answer),
        Some(_) => {
            let (major, minor) = OLDEST_GIT;
            Finding::bad(subject, format!("{answer}; {major}.{minor} or newer is needed"), fix)
        }
        None => Finding::warning(subject, format!("its version is not readable: {answer}"), fix),
    }
}

/// What git reaches repositories with, if their addresses say so.
pub(super) fn ssh() -> Finding {
    match first_line("ssh", "-V") {
        Some(answer) => Finding::fine("ssh", answer),
        None => Finding::note(
            "ssh",
            "it is not installed; only repositories by ssh need it",
            "apt-get install openssh-client",
        ),
    }
}

/// What images are built with.
pub(super) fn docker() -> Finding {
    let subject = "docker";
    let ask = || -> std::io::Result<String> {
        let mut socket = UnixStream::connect(DOCKER_SOCKET)?;
        socket.set_read_timeout(Some(Duration::from_secs(2)))?;
        socket.write_all(b"GET /version HTTP/1.0\r\nHost: docker\r\n\r\n")?;
        let mut answer = String::new();
        socket.take(64 << 10).read_to_string(&mut answer)?;
        Ok(answer)
    };
    match ask() {
        Ok(answer) if answer.contains(" 200 ") => {
            let version =
                answer.split("\"Version\":\"").nth(1).and_then(|rest| rest.split('"').next());
            Finding::fine(subject, format!("version {}", version.unwrap_or("unknown")))
        }
        Ok(_) => Finding::note(
            subject,
            format!("{DOCKER_SOCKET} answers, and not as docker does"),
            "look at the service that owns the socket",
        ),
        Err(why) => Finding::note(
            subject,
            format!("{DOCKER_SOCKET}: {why}; only image builds and clusters of docker need it"),
            "apt-get install docker.io, and put this user into the group docker",
        ),
    }
}

/// What a program says about itself, on whichever stream.
fn first_line(program: &str, argument: &str) -> Option<String> {
    let output = Command::new(program).arg(argument).stdin(Stdio::null()).output().ok()?;
    let text = if output.stdout.is_empty() { output.stderr } else { output.stdout };
    String::from_utf8_lossy(&text).lines().next().map(str::to_owned)
}

/// Major and minor, from `git version 2.39.5`.
fn version(answer: &str) -> Option<(u32, u32)> {
    let mut numbers = answer.strip_prefix("git version ")?.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_git_are_read_and_compared() {
        assert_eq!(version("git version 2.39.5 (Apple Git-154)"), Some((2, 39)));
        assert_eq!(version("git version 10.0.rc1"), Some((10, 0)));
        assert_eq!(version("cvs 1.12"), None);
        assert!(version("git version 2.9.1") < Some(OLDEST_GIT));
    }
}
