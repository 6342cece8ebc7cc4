//! `oa demo`: a node of its own, two repositories, one deployment, two answers over HTTP.
//!
//! ```text
//! place        a fresh directory that units can reach
//! node         starts oa-node there, stops it with its units
//! repositories the sample application as two git repositories, made by git
//! visit        asks the units over HTTP
//! ```
//!
//! Whatever happens, the node and its units are stopped before the command ends.

mod git;
mod node;
mod place;
mod repositories;
mod visit;

use std::env;
use std::path::Path;
use std::time::Instant;

use oa_api::{Client, Endpoint, ExecuteWorkflow, NewWorkflow, Workflow};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{Session, failed_to};
use crate::exit::Exit;
use crate::output::{self, Format, Screen, Style, duration, say};
use crate::problem::Problem;
use crate::watch;
use node::{Node, Ready};
use place::Place;
use repositories::Repositories;
use visit::Visit;

/// Set to `1`, the demo ends by itself after the answers.
const ONCE_VARIABLE: &str = "DEMO_ONCE";

/// What came of the deployment.
struct Deployed {
    workflow: Workflow,
    visits: Vec<Visit>,
}

pub(super) async fn run(verbose: bool) -> Result<Exit, Problem> {
    let is_once = env::var_os(ONCE_VARIABLE).is_some_and(|value| value == "1");
    let mut stop = StopRequest::listen()?;
    git::check().await?;
    let place = Place::prepare()?;
    let mut node = Node::start(&place)?;
    let story = tell(&place, node.take_ready(), verbose);
    let outcome = tokio::select! {
        biased;
        () = stop.received() => Err(interrupted()),
        problem = node.ended() => Err(problem),
        deployed = story => deployed,
    };
    let outcome = match outcome {
        Ok(deployed) if is_once => Ok(deployed),
        Ok(deployed) => stay(&place, deployed, &mut node, &mut stop).await,
        Err(problem) => Err(problem),
    };
    finish(place, node, outcome, is_once).await
}

/// Leaves the node and its units alone until a person has seen enough.
async fn stay(
    place: &Place,
    deployed: Deployed,
    node: &mut Node,
    stop: &mut StopRequest,
) -> Result<Deployed, Problem> {
    print_next_commands(place, &deployed)?;
    tokio::select! {
        biased;
        () = stop.received() => Ok(deployed),
        problem = node.ended() => Err(problem),
    }
}

/// Stops everything, then says how it went.
async fn finish(
    place: Place,
    node: Node,
    outcome: Result<Deployed, Problem>,
    is_once: bool,
) -> Result<Exit, Problem> {
    say(format_args!("stopping the node and its units"));
    let stopped = node.stop(&place).await;
    let outcome = match (outcome, stopped) {
        (Ok(deployed), Ok(())) => visit::all_gone(&deployed.visits).await,
        (Ok(_), Err(problem)) => Err(problem),
        (Err(problem), stopped) => {
            if let Err(also) = stopped {
                also.print(Style::stderr(), false);
            }
            Err(problem)
        }
    };
    match outcome {
        Ok(()) if is_once => output::print_text("demo ok\n")?,
        Ok(()) => say(format_args!("nothing is left running")),
        // Ended by a person: there is nothing to look into.
        Err(problem) if problem.exit() == Exit::Cancelled => return Err(problem),
        Err(problem) => {
            let kept = place.keep();
            node::print_log_tail(&kept);
            return Err(problem
                .exit_with(Exit::Failed)
                .next(format!("read {}", kept.join(place::LOG).display())));
        }
    }
    Ok(Exit::Ok)
}

/// From the started node to the answers of the units.
async fn tell(place: &Place, ready: Ready, verbose: bool) -> Result<Deployed, Problem> {
    let began = Instant::now();
    let repositories = Repositories::make(place).await?;
    let url = ready.wait().await?;
    let endpoint = Endpoint::of_data_dir(&place.data_dir());
    let client =
        endpoint.and_then(Client::new).map_err(failed_to("the node cannot be spoken to"))?;
    node::wait_until_it_takes_work(&client).await?;
    say(format_args!(
        "node ready in {} at {url}, data in {}",
        duration(began.elapsed()),
        place.data_dir().display()
    ));
    let session = Session { client, format: Format::Table, verbose };

    let workflow = deploy(&session, &repositories.deployment).await?;
    say(format_args!("deployed in {}\n", duration(began.elapsed())));
    let visits = visit::all(&workflow.deployed_units()).await?;
    for visit in &visits {
        output::print_text(&format!("http://{}  {}\n", visit.address, visit.answer))?;
    }
    Ok(Deployed { workflow, visits })
}

async fn deploy(session: &Session, repository: &Path) -> Result<Workflow, Problem> {
    let workflow = NewWorkflow {
        deployment_repo: Some(repository.display().to_string()),
        deployment_repo_git_ref: Some(git::BRANCH.into()),
        milestones: Some(vec!["config".into(), "deploy".into()]),
        ..NewWorkflow::default()
    };
    let id = session
        .client
        .create_workflow(&workflow)
        .await
        .map_err(failed_to("the workflow cannot be made"))?;
    let started = session.client.execute_workflow(&id, &ExecuteWorkflow::default()).await;
    started.map_err(failed_to(format!("workflow {id} cannot be started")))?;
    let mut screen = Screen::stderr();
    screen.line(&format!("workflow {id}"));
    watch::until_done(session, &id, None, screen).await
}

/// Commands that work as they are when they are pasted into another terminal.
fn print_next_commands(place: &Place, deployed: &Deployed) -> Result<(), Problem> {
    let style = Style::stderr();
    let oa = place::command_for_oa();
    let start =
        format!("OA_DATA_DIR={} {oa}", place::quoted(&place.data_dir().display().to_string()));
    let unit = deployed.visits.first().map_or("hello@0.service", |visit| visit.unit.as_str());
    say(format_args!("\n{}", style.bold("try next, in another terminal:")));
    output::print_text(&format!(
        "  {start} status\n  {start} logs {unit} -f\n  {start} workflow show {}\n",
        deployed.workflow.id
    ))?;
    say(format_args!("\nCtrl-C stops the node and its units"));
    Ok(())
}

fn interrupted() -> Problem {
    Problem::new("the demo was not finished", "interrupted")
        .next("oa demo")
        .exit_with(Exit::Cancelled)
}

/// Ctrl-C, an orderly end, or a terminal that was closed.
struct StopRequest {
    signals: [Signal; 3],
}

impl StopRequest {
    fn listen() -> Result<Self, Problem> {
        let listen = |kind| {
            signal(kind).map_err(|cause| Problem::new("the demo cannot watch for signals", cause))
        };
        let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
        let [interrupt, terminate, hangup] = kinds.map(listen);
        Ok(Self { signals: [interrupt?, terminate?, hangup?] })
    }

    async fn received(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.signals;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}
