//! `oa`, the command-line client.
//!
//! ```text
//! cli       what can be typed
//! commands  a file per noun: asks the node, says what came of it
//! watch     follows a workflow until it ends
//! output    tables and JSON on standard output, chatter on standard error
//! ```

// They panic when nobody reads any more, in the middle of what a command does; `output` does not.
#![deny(clippy::print_stderr, clippy::print_stdout)]

mod cli;
mod commands;
mod exit;
mod output;
mod problem;
#[cfg(test)]
mod test_screen;
mod watch;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::Cli;
use crate::exit::Exit;
use crate::output::Style;
use crate::problem::Problem;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let verbose = cli.verbose;
    match run(cli) {
        Ok(exit) => exit.into(),
        Err(problem) => {
            problem.print(Style::stderr(), verbose);
            problem.exit().into()
        }
    }
}

fn run(cli: Cli) -> Result<Exit, Problem> {
    // Fails only if a provider is there already, which serves as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|cause| Problem::new("oa cannot start", cause))?;
    runtime.block_on(commands::run(cli))
}
