//! `oa deploy`: makes a workflow, starts it, follows it, prints where the application runs.

use std::path::Path;
use std::time::Instant;

use oa_api::{ExecuteWorkflow, NewWorkflow};

use super::{Session, failed_to, units_table};
use crate::cli::Deploy;
use crate::exit::Exit;
use crate::output::{self, Format, Screen, duration, say};
use crate::problem::Problem;
use crate::watch;

pub(super) async fn run(session: &Session, deploy: Deploy) -> Result<Exit, Problem> {
    let Deploy { repo, r#ref, source_repo, source_ref, milestones, detach, timeout } = deploy;
    let began = Instant::now();
    let workflow = NewWorkflow {
        deployment_repo: Some(whole_path(&repo)),
        deployment_repo_git_ref: r#ref,
        source_repo: source_repo.map(|repo| whole_path(&repo)),
        source_repo_git_ref: source_ref,
        milestones: Some(milestones),
        scheduled_start_time: None,
    };
    let id = session
        .client
        .create_workflow(&workflow)
        .await
        .map_err(failed_to(format!("`{repo}` is not deployed")))?;
    let started = session.client.execute_workflow(&id, &ExecuteWorkflow::default()).await;
    started.map_err(|error| {
        failed_to(format!("workflow {id} was made but not started"))(error)
            .or_next(format!("oa workflow execute {id}"))
    })?;
    if detach {
        output::print_text(&format!("{id}\n"))?;
        return Ok(Exit::Ok);
    }
    let mut screen = Screen::stderr();
    screen.line(&format!("workflow {id}"));
    let workflow = watch::until_done(session, &id, timeout, screen).await?;
    say(format_args!("deployed in {}", duration(began.elapsed())));
    match session.format {
        Format::Json => output::print_json(&workflow)?,
        Format::Table => {
            let units = workflow.deployed_units();
            if !units.is_empty() {
                output::print_text(&units_table(&units).render())?;
            }
        }
    }
    Ok(Exit::Ok)
}

/// A path as the node can use it, which works in another directory; anything else stays as it is.
fn whole_path(repo: &str) -> String {
    let is_path = [".", ".."].contains(&repo)
        || ["./", "../", "/"].iter().any(|start| repo.starts_with(start));
    if !is_path {
        return repo.to_owned();
    }
    let whole = Path::new(repo).canonicalize().ok();
    whole
        .and_then(|path| path.into_os_string().into_string().ok())
        .unwrap_or_else(|| repo.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_are_made_whole() {
        let here = std::env::current_dir().expect("a directory").canonicalize().expect("it exists");
        assert_eq!(whole_path("."), here.to_str().expect("text"));
        for other in
            ["acme/shop", "https://example.org/a.git", "git@example.org:a/b", "./not/there"]
        {
            assert_eq!(whole_path(other), other);
        }
    }
}
