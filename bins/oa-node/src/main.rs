//! The OpenAperture node: hosts components until a signal, then drains.
//!
//! ```text
//! unit-keeper …  ─► holds one unit, nothing else is started
//! otherwise      ─► parse, load, build, run until a signal, drain
//! ```

mod access;
mod args;
mod assembly;
mod config;
mod data_dir;
mod error;
mod log_writer;
mod logging;
mod node;

use std::ffi::OsStr;
use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

use crate::args::Args;
use crate::error::{NodeError, chain};

fn main() -> ExitCode {
    let mut words = std::env::args_os().skip(1);
    if words.next().as_deref() == Some(OsStr::new("unit-keeper")) {
        return oa_fleet_host::keeper::run(words);
    }
    let args = Args::parse();
    match run(&args) {
        Ok(code) => code,
        Err(why) => {
            eprintln!("oa-node: {}", chain(&why));
            if let Some(hint) = why.hint() {
                eprintln!("  try: {hint}");
            }
            ExitCode::from(why.exit_code())
        }
    }
}

/// Prints an answer; nobody may be reading it to its end.
fn say(text: &str) -> ExitCode {
    let _reader_is_gone = std::io::stdout().write_all(text.as_bytes());
    ExitCode::SUCCESS
}

fn run(args: &Args) -> Result<ExitCode, NodeError> {
    let config = config::load(args)?;
    if args.print_config {
        return Ok(say(&config.explained()));
    }
    if args.check {
        config.check_surroundings()?;
        return Ok(say(&format!("configuration is fine: {}\n", config.summary())));
    }
    let _last_lines = logging::start(config.node.log_format)?;
    oa_crash_points::check()
        .map_err(|why| NodeError::BadSetting { key: "OA_CRASH_AT", why: why.to_string() })?;
    let _already_installed = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|cause| NodeError::Threads { cause })?;
    let ended = runtime.block_on(node::run(config));
    // What has not ended by now is not waited for; after a failed flush it must not be.
    runtime.shutdown_background();
    ended
}
