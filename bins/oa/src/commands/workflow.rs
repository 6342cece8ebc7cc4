//! `oa workflow`: shows, follows and cancels workflows.

use oa_api::{ExecuteWorkflow, Workflow, WorkflowFilter, WorkflowState};

use super::{Session, failed_to, find, units_table};
use crate::cli::{WorkflowCancel, WorkflowCommand, WorkflowExecute, WorkflowList, WorkflowShow};
use crate::exit::Exit;
use crate::output::{self, Format, Screen, Table, say};
use crate::problem::Problem;
use crate::watch;

pub(super) async fn run(session: &Session, command: WorkflowCommand) -> Result<Exit, Problem> {
    match command {
        WorkflowCommand::List(list) => run_list(session, list).await,
        WorkflowCommand::Show(show) => run_show(session, show).await,
        WorkflowCommand::Execute(execute) => run_execute(session, execute).await,
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
    let workflow = find::workflow(session, &show.id).await?;
    if !show.watch {
        print(session, &workflow)?;
        return Ok(Exit::Ok);
    }
    let workflow = watch::until_done(session, &workflow.id, show.timeout, Screen::stderr()).await?;
    print(session, &workflow)?;
    Ok(Exit::Ok)
}

async fn run_execute(session: &Session, execute: WorkflowExecute) -> Result<Exit, Problem> {
    let id = find::workflow(session, &execute.id).await?.id;
    let started = session.client.execute_workflow(&id, &ExecuteWorkflow::default()).await;
    started.map_err(|error| {
        failed_to(format!("workflow {id} is not started"))(error).or_next(format!("oa why {id}"))
    })?;
    if execute.detach {
        return Ok(Exit::Ok);
    }
    let workflow = watch::until_done(session, &id, None, Screen::stderr()).await?;
    print(session, &workflow)?;
    Ok(Exit::Ok)
}

async fn run_cancel(session: &Session, cancel: WorkflowCancel) -> Result<Exit, Problem> {
    let WorkflowCancel { id, reason, detach } = cancel;
    let id = find::workflow(session, &id).await?.id;
    let asked = session.client.cancel_workflow(&id, reason.as_deref()).await;
    asked.map_err(|error| {
        failed_to(format!("workflow {id} is not cancelled"))(error)
            .or_next(format!("oa workflow show {id}"))
    })?;
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
    fn details_leave_out_what_is_unset() {
        let workflow =
            Workflow { id: "w1".into(), waiting_for: Some("a node".into()), ..Workflow::default() };
        assert_eq!(
            details(&workflow),
            "id           w1\nstate        unknown\nwaiting_for  a node\n"
        );
    }
}
