//! `oa-bench [group]`: measures and prints one line a figure, `<group>.<figure> <value> <unit>`.
//!
//! Beside the lines, a JSON file with machine, versions, commit, flush time and sync mode is written to `bench/` in the
//! target directory. Figures are measured on release binaries that lie beside this one.

mod config;
mod deploy;
mod host;
mod machine;
mod report;

use std::process::ExitCode;

use report::Report;

/// The groups, in the order in which they run.
const GROUPS: &[&str] = &["deploy", "host"];
/// Parts of groups that can be asked for by themselves.
const PARTS: &[&str] = &["deploy.config"];

fn main() -> ExitCode {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|word| !word.is_empty()).collect();
    let names = [GROUPS, PARTS].concat();
    if let Some(unknown) = wanted.iter().find(|group| !names.contains(&group.as_str())) {
        eprintln!("oa-bench: unknown group `{unknown}`; there are: {}", names.join(", "));
        return ExitCode::from(2);
    }
    let _already_installed = rustls::crypto::ring::default_provider().install_default();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("threads can be started");
    let asked = |name: &&str| match wanted.is_empty() {
        true => GROUPS.contains(name),
        false => wanted.iter().any(|wanted| wanted == *name),
    };
    for group in names.iter().filter(|name| asked(name)) {
        let mut report = Report::begin(group);
        match *group {
            "deploy" => runtime.block_on(deploy::run(&mut report)),
            "host" => runtime.block_on(host::run(&mut report)),
            "deploy.config" => runtime.block_on(config::measure(&mut report)),
            other => unreachable!("`{other}` is in the list of groups"),
        }
        if let Err(why) = report.write() {
            eprintln!("oa-bench: failed to write the report of {group}: {why}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
