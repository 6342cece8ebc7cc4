//! Finds the main process of a program that went into the background.
//!
//! # Source
//!
//! systemd.service(5), "Type=forking", "PIDFile=", "GuessMainPID=".

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use rustix::fs::{Mode, OFlags};

use super::process::{children, descendants};

/// The process that the file names, if it is one of the unit.
pub(super) fn named_in(file: &Path) -> Result<i32, String> {
    let text = read(file).map_err(|why| why.to_string())?;
    let pid: i32 = text.trim().parse().map_err(|_| "it holds no number".to_owned())?;
    if descendants().contains(&pid) {
        Ok(pid)
    } else {
        Err(format!("{pid} is no process of the unit"))
    }
}

/// A number is short, and a pipe would hold the keeper up.
fn read(file: &Path) -> io::Result<String> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(file, flags, Mode::empty())?);
    let mut text = String::new();
    file.take(64).read_to_string(&mut text)?;
    Ok(text)
}

/// The one process that was left behind; with several nobody knows which.
pub(super) fn guess() -> Option<i32> {
    match children().as_slice() {
        [one] => Some(*one),
        _ => None,
    }
}
