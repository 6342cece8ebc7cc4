//! A build without debug assertions has no crash points.

use std::fs;
use std::path::Path;
use std::process::Command;

const PROGRAM: &str = "fn main() {
    for point in oa_crash_points::CrashPoint::ALL {
        oa_crash_points::pass(*point);
    }
    oa_crash_points::check().expect(\"no variable is read\");
    assert!(oa_crash_points::environment().is_empty());
}";

/// Compiled by rustc itself, without any other crate: what is not linked cannot raise a signal.
fn compile(arguments: &[&str], directory: &Path) {
    let rustc = option_env!("RUSTC").unwrap_or("rustc");
    let output = Command::new(rustc)
        .args(["--edition", "2024", "-C", "debug-assertions=off", "-C", "opt-level=1", "-L", "."])
        .args(arguments)
        .current_dir(directory)
        .output()
        .expect("rustc runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_release_build_passes_every_point_whatever_the_environment_says() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let library = concat!(env!("CARGO_MANIFEST_DIR"), "/src/lib.rs");
    compile(
        &["--crate-type", "rlib", "--crate-name", "oa_crash_points", library],
        directory.path(),
    );
    fs::write(directory.path().join("main.rs"), PROGRAM).expect("a source file");
    compile(&["--extern", "oa_crash_points", "main.rs", "-o", "program"], directory.path());

    let program = directory.path().join("program");
    let trace = directory.path().join("trace");
    let status = Command::new(&program)
        .env("OA_CRASH_AT", "node.holds_directory@1")
        .env("OA_CRASH_TRACE", &trace)
        .status()
        .expect("the program runs");

    assert!(status.success(), "{status}");
    assert!(!trace.exists(), "nothing is traced");
    let bytes = fs::read(program).expect("the program");
    assert!(!bytes.windows(8).any(|window| window == b"OA_CRASH"), "the variables are not named");
}
