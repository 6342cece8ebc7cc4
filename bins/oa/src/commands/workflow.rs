//! `oa workflow`: shows, follows and cancels workflows.

use oa_api::{Workflow, WorkflowFilter, WorkflowState};

use super::{Session, failed_to, units_table};
use crate::cli::{WorkflowCancel, WorkflowCommand, WorkflowList, WorkflowShow};
use crate::exit::Exit;
use crate::output::{self, Format, Screen, Table, say};
use crate::problem::Problem;
use crate::watch;

/// Lengths of a UUID in text; anything shorter is a beginning of one.
const ID_LENGTH: usize = 36;

pub(super) async fn run(session: &Session, command: WorkflowCommand) -> Result<Exit, Problem> {
    match command {
        WorkflowCommand::List(list) => run_list(session, list).await,
        WorkflowCommand::Show(show) => run_show(session, show).await,
        WorkflowCommand::Cancel(cancel) => run_cancel(session, cancel).await,
    }
}

async fn run_list(session: &Session, list: WorkflowList) -> Result<Exit, Problem> {
    let lookback = if list.all { 0 } else { list.lookback };
    let filter =
        WorkflowFilter { lookback: Some(lookback), deployment_repo: list.repo, source_repo: None };
    let found = session.client.workflows(&filter).await;
    let mut workflows = found.map_err(failed_to("workflows cannot be listed"))?;
    // Ids are ordered by the time of their making.
    workflows.sort_by(|a, b| b.id.cmp(&a.id));
    if workflows.is_empty() && session.format == Format::Table {
        say(format_args!(
            "no workflows{}",
            if list.all { "" } else { " in that time; `--all` looks back further" }
        ));
        return Ok(Exit::Ok);
    }
    output::print(session.format, &table(&workflows), &workflows)?;
    Ok(Exit::Ok)
}

/// One line for each workflow.
pub(super) fn table(workflows: &[Workflow]) -> Table {
    let mut table = Table::new([
        "id",
        "state",
        "current_step",
        "deployment_repo",
        "workflow_duration",
        "inserted_at",
    ]);
    for workflow in workflows {
        let text = |field: &Option<String>| field.clone().unwrap_or_default();
        table.row([
            &workflow.id,
            workflow.state.as_str(),
            &text(&workflow.current_step),
            &text(&workflow.deployment_repo),
            &text(&workflow.workflow_duration),
            &text(&workflow.inserted_at),
        ]);
    }
    table
}

async fn run_show(session: &Session, show: WorkflowShow) -> Result<Exit, Problem> {
    let workflow = find(session, &show.id).await?;
    if !show.watch {
        print(session, &workflow)?;
        return Ok(Exit::Ok);
    }
    let workflow = watch::until_done(session, &workflow.id, show.timeout, Screen::stderr()).await?;
    print(session, &workflow)?;
    Ok(Exit::Ok)
}

async fn run_cancel(session: &Session, cancel: WorkflowCancel) -> Result<Exit, Problem> {
    let WorkflowCancel { id, reason, detach } = cancel;
    let id = find(session, &id).await?.id;
    let asked = session.client.cancel_workflow(&id, reason.as_deref()).await;
    asked.map_err(failed_to(format!("workflow {id} is not cancelled")))?;
    if detach {
        return Ok(Exit::Ok);
    }
    let workflow = watch::until_over(session, &id, Screen::stderr()).await?;
    match workflow.state {
        WorkflowState::Cancelled | WorkflowState::RolledBack => {
            say(format_args!("workflow {id} is {}", workflow.state.as_str()));
            Ok(Exit::Ok)
        }
        other => Err(Problem::new(
            format!("workflow {id} was not cancelled"),
            format!("it had already ended: {}", other.as_str()),
        )
        .next(format!("oa workflow show {id}"))),
    }
}

/// Finds a workflow by its id or by a beginning that no other one has.
async fn find(session: &Session, id: &str) -> Result<Workflow, Problem> {
    let id = id.trim().to_lowercase();
    if id.len() >= ID_LENGTH {
        let found = session.client.workflow(&id).await;
        return found.map_err(|error| {
            missing_hint(failed_to(format!("workflow {id} cannot be shown"))(error))
        });
    }
    let all = WorkflowFilter { lookback: Some(0), ..WorkflowFilter::default() };
    let known =
        session.client.workflows(&all).await.map_err(failed_to("workflows cannot be listed"))?;
    let ids: Vec<&str> = known.iter().map(|workflow| workflow.id.as_str()).collect();
    let id = pick(&id, &ids)?.to_owned();
    session.client.workflow(&id).await.map_err(failed_to(format!("workflow {id} cannot be shown")))
}

fn missing_hint(problem: Problem) -> Problem {
    if problem.exit() == Exit::NotFound {
        problem.or_next("oa workflow list --all")
    } else {
        problem
    }
}

/// The only one of `ids` that begins with `start`.
fn pick<'a>(start: &str, ids: &[&'a str]) -> Result<&'a str, Problem> {
    let matching: Vec<&str> =
        ids.iter().filter(|id| !start.is_empty() && id.starts_with(start)).copied().collect();
    match matching.as_slice() {
        [id] => Ok(id),
        [] => Err(Problem::new(
            format!("workflow `{start}` cannot be found"),
            "no id begins like that",
        )
        .next("oa workflow list --all")
        .exit_with(Exit::NotFound)),
        several => Err(Problem::new(
            format!("workflow `{start}` is not clear"),
            format!("{} ids begin like that", several.len()),
        )
        .next(format!("one of {}", several.iter().take(3).copied().collect::<Vec<_>>().join(", ")))
        .exit_with(Exit::Usage)),
    }
}

fn print(session: &Session, workflow: &Workflow) -> Result<(), Problem> {
    match session.format {
        Format::Json => output::print_json(workflow)?,
        Format::Table => output::print_text(&details(workflow))?,
    }
    Ok(())
}

/// Everything about one workflow: fields, milestones, units, events.
fn details(workflow: &Workflow) -> String {
    let mut fields = Table::pairs();
    let failure = workflow.failure.as_ref();
    for (name, value) in [
        ("id", Some(workflow.id.as_str())),
        ("state", Some(workflow.state.as_str())),
        ("waiting_for", workflow.waiting_for.as_deref()),
        ("failure", failure.map(|failure| failure.message.as_str())),
        ("hint", failure.and_then(|failure| failure.hint.as_deref())),
        ("deployment_repo", workflow.deployment_repo.as_deref()),
        ("deployment_repo_git_ref", workflow.deployment_repo_git_ref.as_deref()),
        ("source_repo", workflow.source_repo.as_deref()),
        ("source_repo_git_ref", workflow.source_repo_git_ref.as_deref()),
        ("source_commit_hash", workflow.source_commit_hash.as_deref()),
        ("scheduled_start_time", workflow.scheduled_start_time.as_deref()),
        ("inserted_at", workflow.inserted_at.as_deref()),
        ("workflow_duration", workflow.workflow_duration.as_deref()),
    ] {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            fields.row([name, value]);
        }
    }
    let mut parts = vec![fields.render()];
    if !workflow.steps.is_empty() {
        parts.push(steps_table(workflow).render());
    }
    let units = workflow.deployed_units();
    if !units.is_empty() {
        parts.push(units_table(&units).render());
    }
    if let Some(log) = workflow.event_log.as_ref().filter(|log| !log.is_empty()) {
        parts.push(log.iter().map(|line| output::printable(line) + "\n").collect());
    }
    parts.join("\n")
}

fn steps_table(workflow: &Workflow) -> Table {
    let mut table = Table::new(["milestone", "state", "attempts", "duration", "waiting_for"]);
    let durations = workflow.workflow_step_durations.as_ref();
    for step in &workflow.steps {
        let duration = durations.and_then(|durations| durations.get(&step.milestone));
        table.row([
            &step.milestone,
            step.state.as_str(),
            &step.attempts.to_string(),
            duration.map_or("", String::as_str),
            step.waiting_for.as_deref().unwrap_or(""),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beginning_that_only_one_id_has_is_enough() {
        let ids = ["0192-aa", "0192-bb", "0193-cc"];
        assert_eq!(pick("0193", &ids).expect("only one"), "0193-cc");
        assert_eq!(pick("0192-a", &ids).expect("only one"), "0192-aa");
        assert_eq!(pick("0192", &ids).expect_err("two").exit(), Exit::Usage);
        assert_eq!(pick("02", &ids).expect_err("none").exit(), Exit::NotFound);
        assert_eq!(pick("", &ids[..1]).expect_err("nothing was said").exit(), Exit::NotFound);
    }

    #[test]
    fn details_leave_out_what_is_unset() {
        let workflow =
            Workflow { id: "w1".into(), waiting_for: Some("a node".into()), ..Workflow::default() };
        assert_eq!(
            details(&workflow),
            "id           w1\nstate        unknown\nwaiting_for  a node\n"
        );
    }
}
