//! The unit keeper as a program of its own; `oa-node unit-keeper` runs the same function.

fn main() -> std::process::ExitCode {
    oa_fleet_host::keeper::run(std::env::args_os().skip(1))
}
