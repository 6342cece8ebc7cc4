//! A file per noun.

mod cluster;
mod completion;
mod demo;
mod deploy;
mod doctor;
mod find;
mod logs;
mod status;
mod tree;
mod usage;
mod why;
mod workflow;

use oa_api::{Client, ClientError, DeployedUnit};

use crate::cli::{Cli, Command};
use crate::exit::Exit;
use crate::output::{Format, Table};
use crate::problem::Problem;

/// The node that a command speaks to and how it prints.
pub(crate) struct Session {
    pub(crate) client: Client,
    pub(crate) format: Format,
    pub(crate) verbose: bool,
}

/// Carries out the command line.
pub(crate) async fn run(cli: Cli) -> Result<Exit, Problem> {
    let Cli { output: format, verbose, command } = cli;
    // What needs no node.
    match command {
        Command::Demo => return demo::run(verbose).await,
        Command::Completion { shell } => return completion::run(shell),
        Command::Doctor => return doctor::run(format).await,
        _ => {}
    }
    let client =
        Client::discover().map_err(|error| Problem::client("no node to speak to", &error))?;
    let session = Session { client, format, verbose };
    match command {
        Command::Deploy(deploy) => deploy::run(&session, deploy).await,
        Command::Workflow(command) => workflow::run(&session, command).await,
        Command::Logs(logs) => logs::run(&session, logs).await,
        Command::Status => status::run(&session).await,
        Command::Why(why) => why::run(&session, why).await,
        Command::Tree => tree::run(&session).await,
        Command::Cluster(command) => cluster::run(&session, command).await,
        Command::Usage(asked) => usage::run(&session, asked).await,
        Command::Demo | Command::Doctor | Command::Completion { .. } => Ok(Exit::Ok),
    }
}

/// Says which part of a command a request belongs to.
fn failed_to(what: impl Into<String>) -> impl FnOnce(ClientError) -> Problem {
    move |error| Problem::client(what, &error)
}

/// Instances and where they can be reached.
fn units_table(units: &[DeployedUnit]) -> Table {
    let mut table = Table::new(["name", "address", "machine_id"]);
    for unit in units {
        table.row([
            &unit.name,
            unit.open_at().as_deref().unwrap_or(""),
            unit.machine_id.as_deref().unwrap_or(""),
        ]);
    }
    table
}
