//! What a person at a terminal sees, and what Ctrl-C asks there.

#![allow(missing_docs, unreachable_pub)]

#[expect(dead_code, reason = "each test file uses a part of it")]
mod support;

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serde_json::json;
use support::{Answer, Node, ok, status};

const ID: &str = "01920000-0000-7000-8000-000000000001";

/// A terminal: what a program prints is read from it, what is written to it is typed.
struct Terminal {
    master: File,
    slave: File,
}

impl Terminal {
    fn open() -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
        grantpt(&master).expect("a terminal");
        unlockpt(&master).expect("a terminal");
        let name = ptsname(&master, Vec::new()).expect("a terminal has a name");
        let slave = File::options().read(true).write(true).open(OsStr::from_bytes(name.as_bytes()));
        Self { master: File::from(master), slave: slave.expect("its other end") }
    }

    fn end(&self) -> Stdio {
        Stdio::from(self.slave.try_clone().expect("a copy"))
    }

    /// Starts `command` with all of its input and output at this terminal.
    fn start(&self, mut command: Command) -> Child {
        for name in ["CLICOLOR", "TERM"] {
            command.env_remove(name);
        }
        command.stdin(self.end()).stdout(self.end()).stderr(self.end()).spawn().expect("oa runs")
    }

    /// Reads on until what was read so far holds `wanted`.
    fn read_until(&mut self, wanted: &str) -> String {
        let mut seen = Vec::new();
        let mut chunk = [0; 4096];
        loop {
            let text = String::from_utf8_lossy(&seen).into_owned();
            if text.contains(wanted) {
                return text;
            }
            match self.master.read(&mut chunk) {
                Ok(0) | Err(_) => panic!("`{wanted}` never came: {text}"),
                Ok(read) => seen.extend_from_slice(&chunk[..read]),
            }
        }
    }
}

/// A node with a workflow that ends when it is cancelled.
fn node(is_cancelled: &Arc<AtomicBool>) -> Node {
    let is_cancelled = Arc::clone(is_cancelled);
    Node::answering(move |request, _| answer(request, &is_cancelled))
}

fn answer(request: &str, is_cancelled: &AtomicBool) -> Answer {
    let state = if is_cancelled.load(Ordering::SeqCst) { "cancelled" } else { "running" };
    let step =
        json!({"seq": 0, "milestone": "deploy", "state": state, "attempts": 1, "started_at_ms": 0});
    match request {
        request if request == format!("POST /workflows/{ID}/cancel") => {
            is_cancelled.store(true, Ordering::SeqCst);
            status(202, "")
        }
        request if request.contains("/events") => {
            ok(json!({"events": [], "state": state, "completed": state == "cancelled"}).to_string())
        }
        _ => ok(json!({"id": ID, "state": state, "steps": [step]}).to_string()),
    }
}

fn interrupt(child: &Child) {
    let id = i32::try_from(child.id()).ok().and_then(Pid::from_raw).expect("a process id");
    kill_process(id, Signal::INT).expect("the command runs");
}

const WATCH: [&str; 4] = ["workflow", "show", ID, "--watch"];

#[test]
fn in_a_terminal_there_are_colours_and_a_line_that_is_drawn_again() {
    let is_cancelled = Arc::default();
    let (node, mut terminal) = (node(&is_cancelled), Terminal::open());
    let mut child = terminal.start(node.oa(&WATCH));
    terminal.read_until("\u{1b}[2K\u{1b}[?7l  deploy");
    is_cancelled.store(true, Ordering::SeqCst);
    terminal.read_until("\u{1b}[31;1merror:");
    assert_eq!(child.wait().expect("oa ends").code(), Some(6));
}

#[test]
fn whoever_wants_no_colours_gets_neither_colours_nor_lines_that_move() {
    for (name, value) in [("NO_COLOR", "1"), ("CLICOLOR", "0"), ("TERM", "dumb")] {
        let is_cancelled = Arc::new(AtomicBool::new(true));
        let (node, mut terminal) = (node(&is_cancelled), Terminal::open());
        let mut command = node.oa(&WATCH);
        for other in ["CLICOLOR", "TERM"] {
            command.env_remove(other);
        }
        command.env(name, value);
        let mut child = command
            .stdin(terminal.end())
            .stdout(terminal.end())
            .stderr(terminal.end())
            .spawn()
            .expect("oa runs");
        let text = terminal.read_until("try: ");
        assert!(!text.contains('\u{1b}'), "{name}={value}: {text:?}");
        assert!(text.contains("error:"), "{text}");
        assert_eq!(child.wait().expect("oa ends").code(), Some(6));
    }
}

#[test]
fn ctrl_c_asks_once_and_a_second_one_stops_the_watching_alone() {
    let is_cancelled = Arc::default();
    let (node, mut terminal) = (node(&is_cancelled), Terminal::open());
    let mut child = terminal.start(node.oa(&WATCH));
    terminal.read_until("deploy");
    interrupt(&child);
    terminal.read_until("Cancel it instead? [y/N]");
    interrupt(&child);
    terminal.read_until("goes on by itself");
    assert_eq!(child.wait().expect("oa ends").code(), Some(6));
    assert!(!is_cancelled.load(Ordering::SeqCst));
}

#[test]
fn ctrl_c_and_a_yes_cancel_the_workflow() {
    let is_cancelled = Arc::default();
    let (node, mut terminal) = (node(&is_cancelled), Terminal::open());
    let mut child = terminal.start(node.oa(&WATCH));
    terminal.read_until("deploy");
    interrupt(&child);
    terminal.read_until("Cancel it instead? [y/N]");
    terminal.master.write_all(b"y\n").expect("typed");
    terminal.read_until("was cancelled");
    assert_eq!(child.wait().expect("oa ends").code(), Some(6));
    assert!(is_cancelled.load(Ordering::SeqCst));
}
