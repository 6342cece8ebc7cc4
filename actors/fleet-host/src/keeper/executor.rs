//! Becomes a program of a unit.
//!
//! Most of what a unit is given belongs to a process as a whole, and a keeper must not give it to itself: a limit of
//! file sizes would stop its log. So the keeper starts its own executable once more, which takes everything upon itself
//! and then becomes the program. systemd does the same with its `systemd-executor`.
//!
//! ```text
//! keeper ── errand ──► executor: limits, group, rights, directory ── exec ──► program
//!        ◄── nothing, or why it came to nothing ──
//! ```
//!
//! The errand comes by a socket, since it may hold secrets. It is read before anything of the unit has an effect.

use std::borrow::Cow;
use std::ffi::{CString, OsString};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use rustix::fs::{Access, Mode, OFlags};
use rustix::process::{Gid, Resource, Rlimit, Uid};
use serde::{Deserialize, Serialize};

use crate::service::{
    Credentials, ExecCommand, Limit, MaybeMissing, Plan, environment_file, signals, with_variables,
};

/// The argument by which a keeper is told to be an executor.
pub(super) const WORD: &str = "exec";
/// Exit code when not even the errand could be done: no fault of the unit's.
const NO_RESOURCES: i32 = 1;
/// Where programs without a path are looked for.
const PROGRAMS: [&str; 6] =
    ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];
/// Largest file of variables.
const LARGEST_ENVIRONMENT: u64 = 1 << 20;

/// What to become, and with what.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Errand<'a> {
    pub(super) plan: Cow<'a, Plan>,
    pub(super) command: Cow<'a, ExecCommand>,
    /// What the keeper tells, such as `MAINPID`.
    pub(super) told: Vec<(String, String)>,
    /// Files by which a process enters the control groups of the unit.
    pub(super) groups: Vec<PathBuf>,
}

impl Clone for Errand<'_> {
    fn clone(&self) -> Self {
        Self {
            plan: self.plan.clone(),
            command: self.command.clone(),
            told: self.told.clone(),
            groups: self.groups.clone(),
        }
    }
}

/// Why nothing came of it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Trouble {
    /// What the executor ends with; systemd's number for the step that failed.
    code: i32,
    pub(super) why: String,
}

impl Trouble {
    /// Whether it could not even be tried.
    pub(super) fn is_for_want_of_resources(&self) -> bool {
        self.code == NO_RESOURCES
    }
}

/// An executor at work: the command that starts it, and the keeper's side of the socket.
pub(super) fn prepare(leading: &[OsString]) -> io::Result<(Command, UnixStream)> {
    let (ours, its) = UnixStream::pair()?;
    let mut executor = Command::new("/proc/self/exe");
    executor.args(leading).arg(WORD).env_clear().stdin(std::os::fd::OwnedFd::from(its));
    Ok((executor, ours))
}

/// Hands the errand over, and waits until the executor is the program, or says why not.
pub(super) fn send(mut socket: UnixStream, errand: &Errand<'_>) -> io::Result<Option<Trouble>> {
    socket.set_read_timeout(errand.plan.start_timeout)?;
    socket.write_all(&serde_json::to_vec(errand)?)?;
    socket.shutdown(Shutdown::Write)?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer)?;
    if answer.is_empty() { Ok(None) } else { Ok(Some(serde_json::from_str(&answer)?)) }
}

/// Reads the errand and becomes the program; returns only if that failed.
pub(super) fn run() -> ExitCode {
    let Ok(mut socket) = take_socket() else { return ExitCode::from(64) };
    let mut text = Vec::new();
    let errand = socket
        .read_to_end(&mut text)
        .and_then(|_| serde_json::from_slice::<Errand<'_>>(&text).map_err(io::Error::other));
    let trouble = match errand.map(|errand| become_program(&errand)) {
        Ok(Err(trouble)) => trouble,
        Ok(Ok(never)) => match never {},
        Err(why) => Trouble { code: NO_RESOURCES, why: format!("no errand: {why}") },
    };
    let said = serde_json::to_vec(&trouble).unwrap_or_default();
    let _keeper_is_gone = socket.write_all(&said);
    ExitCode::from(u8::try_from(trouble.code).unwrap_or(1))
}

/// The socket, which closes when this becomes another program; nothing is left on standard input.
fn take_socket() -> io::Result<UnixStream> {
    let socket = rustix::io::fcntl_dupfd_cloexec(io::stdin(), 3)?;
    rustix::stdio::dup2_stdin(File::open("/dev/null")?)?;
    Ok(socket.into())
}

enum Never {}

fn become_program(errand: &Errand<'_>) -> Result<Never, Trouble> {
    let plan = &errand.plan;
    let step = |code: i32, what: &str, done: io::Result<()>| {
        done.map_err(|why| Trouble { code, why: format!("{what}: {why}") })
    };
    for group in &errand.groups {
        step(signals::CGROUP, &format!("{}", group.display()), fs::write(group, "0"))?;
    }
    if let Some(score) = plan.manners.oom_score_adjust {
        let done = fs::write("/proc/self/oom_score_adj", score.to_string());
        step(signals::OOM_ADJUST, "OOMScoreAdjust=", done)?;
    }
    if let Some(nice) = plan.manners.nice {
        let done = rustix::process::setpriority_process(None, nice).map_err(Into::into);
        step(signals::NICE, "Nice=", done)?;
    }
    for limit in &plan.limits {
        step(signals::LIMITS, &format!("{}=", limit.option), apply(limit))?;
    }
    rustix::process::umask(Mode::from_raw_mode(plan.manners.umask));
    let mut files = Vec::new();
    if !plan.files_as_user {
        files = read_files(&plan.environment_files)?;
    }
    if let Some(credentials) = &plan.credentials {
        become_user(credentials)?;
    }
    if plan.files_as_user {
        files = read_files(&plan.environment_files)?;
    }
    step(
        signals::CHDIR,
        &format!("WorkingDirectory={}", plan.working_directory.path.display()),
        enter(&plan.working_directory),
    )?;
    let environment =
        merged(plan.environment.iter().cloned().chain(files).chain(errand.told.clone()));
    execute(&errand.command, environment, plan.manners.ignore_sigpipe)
}

/// Later ones win.
fn merged(all: impl Iterator<Item = (String, String)>) -> Vec<(String, String)> {
    let mut merged: Vec<(String, String)> = Vec::new();
    for (name, value) in all {
        match merged.iter_mut().find(|(other, _)| *other == name) {
            Some((_, before)) => *before = value,
            None => merged.push((name, value)),
        }
    }
    merged
}

fn read_files(files: &[MaybeMissing]) -> Result<Vec<(String, String)>, Trouble> {
    let mut found = Vec::new();
    for file in files {
        match read_file(&file.path) {
            Ok(text) => found.extend(environment_file::parse(&text)),
            Err(_) if file.may_be_missing => {}
            Err(why) => {
                let why = format!("EnvironmentFile={}: {why}", file.path.display());
                return Err(Trouble { code: NO_RESOURCES, why });
            }
        }
    }
    Ok(found)
}

/// Only a real file of a sane size: a pipe would hold the start up for ever.
fn read_file(path: &Path) -> io::Result<String> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut text = String::new();
    file.take(LARGEST_ENVIRONMENT + 1).read_to_string(&mut text)?;
    if text.len() as u64 > LARGEST_ENVIRONMENT {
        return Err(io::Error::other(format!("it has more than {LARGEST_ENVIRONMENT} bytes")));
    }
    Ok(text)
}

/// Sets a limit; whoever may not raise the hard one gets what there is.
fn apply(limit: &Limit) -> io::Result<()> {
    let resource = resource(&limit.option)
        .ok_or_else(|| io::Error::new(io::ErrorKind::Unsupported, "it is not known"))?;
    let wanted = Rlimit { current: limit.soft, maximum: limit.hard };
    if rustix::process::setrlimit(resource, wanted).is_ok() {
        return Ok(());
    }
    let there = rustix::process::getrlimit(resource).maximum;
    let least = |one: Option<u64>| match (one, there) {
        (Some(one), Some(there)) => Some(one.min(there)),
        (one, there) => one.or(there),
    };
    let possible = Rlimit { current: least(limit.soft), maximum: least(limit.hard) };
    Ok(rustix::process::setrlimit(resource, possible)?)
}

fn resource(option: &str) -> Option<Resource> {
    Some(match option.strip_prefix("Limit")? {
        "AS" => Resource::As,
        "CORE" => Resource::Core,
        "CPU" => Resource::Cpu,
        "DATA" => Resource::Data,
        "FSIZE" => Resource::Fsize,
        "LOCKS" => Resource::Locks,
        "MEMLOCK" => Resource::Memlock,
        "MSGQUEUE" => Resource::Msgqueue,
        "NICE" => Resource::Nice,
        "NOFILE" => Resource::Nofile,
        "NPROC" => Resource::Nproc,
        "RSS" => Resource::Rss,
        "RTPRIO" => Resource::Rtprio,
        "RTTIME" => Resource::Rttime,
        "SIGPENDING" => Resource::Sigpending,
        "STACK" => Resource::Stack,
        _ => return None,
    })
}

/// Gives up the rights of the host for good. This process has one thread, so what holds for it holds for all.
fn become_user(credentials: &Credentials) -> Result<(), Trouble> {
    let groups: Vec<Gid> = credentials.groups.iter().copied().map(Gid::from_raw).collect();
    let (gid, uid) = (Gid::from_raw(credentials.gid), Uid::from_raw(credentials.uid));
    rustix::thread::set_thread_groups(&groups)
        .and_then(|()| rustix::thread::set_thread_res_gid(gid, gid, gid))
        .map_err(|why| Trouble { code: signals::GROUP, why: format!("Group=: {why}") })?;
    rustix::thread::set_thread_res_uid(uid, uid, uid)
        .map_err(|why| Trouble { code: signals::USER, why: format!("User=: {why}") })
}

fn enter(directory: &MaybeMissing) -> io::Result<()> {
    match std::env::set_current_dir(&directory.path) {
        Err(_) if directory.may_be_missing => std::env::set_current_dir("/"),
        done => done,
    }
}

fn execute(
    command: &ExecCommand,
    environment: Vec<(String, String)>,
    ignore_sigpipe: bool,
) -> Result<Never, Trouble> {
    let argv = if command.verbatim {
        command.argv.clone()
    } else {
        with_variables(&command.argv, |name| {
            let set = environment.iter().find(|(other, _)| other == name);
            set.map(|(_, value)| value.clone())
        })
    };
    let program = find(&argv[0]);
    let name = command.called.as_ref().unwrap_or(&argv[0]);
    let why = if ignore_sigpipe {
        // The runtime of Rust ignores the signal and std ends that in what it starts, so std is gone round here.
        execute_as_is(&program, name, &argv[1..], &environment)
    } else {
        let mut next = Command::new(&program);
        next.arg0(name).args(&argv[1..]).env_clear().envs(environment).exec()
    };
    Err(Trouble {
        code: signals::EXEC,
        why: format!("failed to execute {}: {why}", program.display()),
    })
}

fn execute_as_is(
    program: &Path,
    name: &str,
    arguments: &[String],
    environment: &[(String, String)],
) -> io::Error {
    let words = |words: &mut dyn Iterator<Item = String>| {
        words.map(CString::new).collect::<Result<Vec<_>, _>>().map_err(io::Error::other)
    };
    let parts = || {
        let program = CString::new(program.as_os_str().as_encoded_bytes())?;
        let argv = words(&mut std::iter::once(name.to_owned()).chain(arguments.iter().cloned()))?;
        let variables = environment.iter().map(|(name, value)| format!("{name}={value}"));
        Ok::<_, io::Error>((program, argv, words(&mut { variables })?))
    };
    match parts() {
        Ok((program, argv, environment)) => {
            match nix::unistd::execve(&program, &argv, &environment) {
                Ok(never) => match never {},
                Err(why) => why.into(),
            }
        }
        Err(why) => why,
    }
}

/// A bare name is looked for where programs are; the environment of the unit has no say in it.
fn find(program: &str) -> PathBuf {
    if program.contains('/') {
        return program.into();
    }
    let is_there =
        |path: &PathBuf| path.is_file() && rustix::fs::access(path, Access::EXEC_OK).is_ok();
    let found = PROGRAMS.iter().map(|directory| Path::new(directory).join(program)).find(is_there);
    found.unwrap_or_else(|| program.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_limit_that_is_read_can_be_set() {
        for option in [
            "AS",
            "CORE",
            "CPU",
            "DATA",
            "FSIZE",
            "LOCKS",
            "MEMLOCK",
            "MSGQUEUE",
            "NICE",
            "NOFILE",
            "NPROC",
            "RSS",
            "RTPRIO",
            "RTTIME",
            "SIGPENDING",
            "STACK",
        ] {
            assert!(resource(&format!("Limit{option}")).is_some(), "{option}");
        }
    }

    #[test]
    fn a_bare_name_is_found_where_programs_are() {
        assert!(find("sh").is_absolute());
        assert_eq!(find("/no/such"), Path::new("/no/such"));
        assert_eq!(find("no-such-program"), Path::new("no-such-program"));
    }

    #[test]
    fn the_last_value_of_a_variable_counts() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let all = [pair("A", "1"), pair("B", "2"), pair("A", "3")];
        assert_eq!(merged(all.into_iter()), [pair("A", "3"), pair("B", "2")]);
    }

    #[test]
    fn only_a_regular_file_of_a_sane_size_is_read() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("large");
        fs::write(&path, vec![b'A'; (1 << 20) + 1]).expect("written");
        assert!(read_file(&path).expect_err("too large").to_string().contains("bytes"));
        assert!(
            read_file(directory.path()).expect_err("a directory").to_string().contains("regular")
        );
        assert!(read_file(Path::new("/dev/null")).is_err());
    }
}
