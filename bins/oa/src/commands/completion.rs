//! `oa completion`: a script with which a shell completes `oa`.

use clap::CommandFactory;
use clap_complete::{Shell, generate};

use crate::cli::{Cli, CompletionShell};
use crate::exit::Exit;
use crate::output;
use crate::problem::Problem;

pub(super) fn run(shell: CompletionShell) -> Result<Exit, Problem> {
    let shell = match shell {
        CompletionShell::Bash => Shell::Bash,
        CompletionShell::Zsh => Shell::Zsh,
        CompletionShell::Fish => Shell::Fish,
    };
    let mut script = Vec::new();
    generate(shell, &mut Cli::command(), "oa", &mut script);
    output::print_text(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Ok)
}
