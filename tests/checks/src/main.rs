//! Checks of the workspace itself: what no compiler says.
//!
//! ```text
//! cargo run -p oa-checks
//!   edges     which of our crates may depend on which (ARCHITECTURE.md, "Map")
//!   sources   one module names actix, no shell, files of readable length, no path of a machine
//! ```
//!
//! Prints every violation with the file or the edge, then ends with 1.

mod edges;
mod sources;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

fn main() -> ExitCode {
    let root = workspace_root();
    let mut violations = Vec::new();
    match edges::violations(&root) {
        Ok(found) => violations.extend(found),
        Err(why) => violations.push(format!("edges: {why}")),
    }
    match sources::violations(&root) {
        Ok(found) => violations.extend(found),
        Err(why) => violations.push(format!("sources: {why}")),
    }
    for violation in &violations {
        eprintln!("check: {violation}");
    }
    if violations.is_empty() {
        println!("check: edges and sources are as ARCHITECTURE.md draws them");
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// The root of the workspace this binary was built from.
fn workspace_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .map(Path::to_path_buf)
        .unwrap_or_default()
}
