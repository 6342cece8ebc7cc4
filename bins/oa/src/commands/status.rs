//! `oa status`: the node, its clusters, what runs there, and what is under way.

use oa_api::{
    ClientError, Cluster, Finding, Machine, UnitState, Workflow, WorkflowFilter, WorkflowState,
};
use serde::Serialize;

use super::{Session, failed_to, why, workflow};
use crate::exit::Exit;
use crate::output::{self, Format, Table};
use crate::problem::Problem;

/// So many things that are wrong are named here; `oa why` has all of them.
const WRONG_SHOWN: usize = 5;

/// Everything that `--output json` prints.
#[derive(Debug, Serialize)]
struct Status {
    url: String,
    ready: bool,
    /// Why it is not ready.
    why_not_ready: Option<String>,
    /// What to do about it.
    hint: Option<String>,
    clusters: Vec<ClusterStatus>,
    /// Those that have not ended.
    workflows: Vec<Workflow>,
    /// What waits, failed or is refused: what `oa why` prints.
    findings: Vec<Finding>,
}

#[derive(Debug, Serialize)]
struct ClusterStatus {
    #[serde(flatten)]
    cluster: Cluster,
    machines: Vec<Machine>,
    states: Vec<UnitState>,
    /// Why machines and states are unknown.
    error: Option<String>,
}

pub(super) async fn run(session: &Session) -> Result<Exit, Problem> {
    let status = ask(session).await?;
    match session.format {
        Format::Json => output::print_json(&status)?,
        Format::Table => output::print_text(&text(&status))?,
    }
    Ok(if status.ready { Exit::Ok } else { Exit::Failed })
}

async fn ask(session: &Session) -> Result<Status, Problem> {
    let client = &session.client;
    let not_ready = client.ready().await.err();
    let why_not_ready = not_ready.as_ref().map(|error| match error {
        ClientError::Refused { message, .. } => message.clone(),
        other => other.to_string(),
    });
    let known = client.clusters().await.map_err(failed_to("the node cannot be asked"))?;
    let mut clusters = Vec::new();
    for cluster in known {
        clusters.push(ask_cluster(session, cluster).await);
    }
    let recent = client.workflows(&WorkflowFilter::default()).await;
    let mut workflows = recent.map_err(failed_to("workflows cannot be listed"))?;
    workflows.retain(|workflow| {
        !workflow.workflow_completed
            && !workflow.state.is_final()
            && workflow.state != WorkflowState::Created
    });
    workflows.sort_by(|a, b| b.id.cmp(&a.id));
    // A node of an earlier release does not know the question.
    let findings = client.why().await.unwrap_or_default();
    Ok(Status {
        url: client.url().to_string(),
        ready: not_ready.is_none(),
        why_not_ready,
        hint: not_ready.and_then(|error| error.hint()),
        clusters,
        workflows,
        findings,
    })
}

/// A cluster that does not answer is shown as such; the others still are.
async fn ask_cluster(session: &Session, cluster: Cluster) -> ClusterStatus {
    let machines = session.client.machines(&cluster.etcd_token).await;
    let states = session.client.unit_states(&cluster.etcd_token).await;
    match (machines, states) {
        (Ok(machines), Ok(states)) => ClusterStatus { cluster, machines, states, error: None },
        (Err(error), _) | (_, Err(error)) => ClusterStatus {
            cluster,
            machines: vec![],
            states: vec![],
            error: Some(error.to_string()),
        },
    }
}

fn text(status: &Status) -> String {
    let mut node = Table::pairs();
    node.row(["node", &status.url]);
    match &status.why_not_ready {
        None => node.row(["ready", "yes"]),
        Some(why) => node.row(["ready", &format!("no: {why}")]),
    }
    if let Some(hint) = &status.hint {
        node.row(["try", hint]);
    }
    let mut parts = vec![node.render(), clusters_table(&status.clusters).render()];
    if !status.findings.is_empty() {
        parts.insert(1, wrong(&status.findings));
    }
    let units = units_table(&status.clusters);
    parts.push(units.map_or_else(|| "no units\n".to_owned(), |table| table.render()));
    if !status.workflows.is_empty() {
        parts.push(workflow::table(&status.workflows).render());
    }
    parts.join("\n")
}

/// What is wrong, the first of it in a line each.
fn wrong(findings: &[Finding]) -> String {
    let lines = why::summary(findings);
    let count = lines.len();
    let shown: Vec<String> =
        lines.into_iter().take(WRONG_SHOWN).map(|line| format!("  {line}\n")).collect();
    let (what, verb) = if count == 1 { ("thing", "needs") } else { ("things", "need") };
    format!("{count} {what} {verb} a look; `oa why` says more\n{}", shown.concat())
}

fn clusters_table(clusters: &[ClusterStatus]) -> Table {
    let mut table = Table::new(["cluster", "machines", "units", "active"]);
    for status in clusters {
        let active =
            status.states.iter().filter(|state| state.systemd_active_state == "active").count();
        match &status.error {
            Some(error) => table.row([&status.cluster.etcd_token, "?", "?", error]),
            None => table.row([
                &status.cluster.etcd_token,
                &status.machines.len().to_string(),
                &status.states.len().to_string(),
                &active.to_string(),
            ]),
        }
    }
    table
}

fn units_table(clusters: &[ClusterStatus]) -> Option<Table> {
    let mut table = Table::new(["name", "cluster", "machine", "active", "sub"]);
    let mut is_empty = true;
    for status in clusters {
        let mut states: Vec<&UnitState> = status.states.iter().collect();
        states.sort_by(|a, b| a.name.cmp(&b.name));
        for state in states {
            is_empty = false;
            table.row([
                &state.name,
                &status.cluster.etcd_token,
                &state.machine_id.chars().take(8).collect::<String>(),
                &state.systemd_active_state,
                &state.systemd_sub_state,
            ]);
        }
    }
    (!is_empty).then_some(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silent_cluster_is_shown_with_its_reason_beside_the_others() {
        let cluster = |token: &str| Cluster { etcd_token: token.into(), ..Cluster::default() };
        let unit = UnitState {
            name: "a.service".into(),
            systemd_active_state: "active".into(),
            systemd_sub_state: "running".into(),
            ..UnitState::default()
        };
        let status = Status {
            url: "http://n/".into(),
            ready: true,
            why_not_ready: None,
            hint: None,
            clusters: vec![
                ClusterStatus {
                    cluster: cluster("east"),
                    machines: vec![],
                    states: vec![],
                    error: Some("no answer".into()),
                },
                ClusterStatus {
                    cluster: cluster("local"),
                    machines: vec![Machine::default()],
                    states: vec![unit],
                    error: None,
                },
            ],
            workflows: vec![],
            findings: vec![],
        };
        assert_eq!(
            text(&status),
            "node   http://n/\nready  yes\n\n\
             cluster  machines  units  active\neast     ?         ?      no answer\nlocal    1         1      1\n\n\
             name       cluster  machine  active  sub\na.service  local    -        active  running\n"
        );
    }

    #[test]
    fn what_is_wrong_is_named_at_a_glance_with_the_command_that_says_more() {
        let finding = |at: usize| Finding {
            subject: format!("unit app@{at}.service on local"),
            reason: "it ended with exit status: 1".into(),
            ..Finding::default()
        };
        let text = wrong(&(0..7).map(finding).collect::<Vec<_>>());
        assert!(text.starts_with("7 things need a look; `oa why` says more\n"), "{text}");
        assert!(text.contains("  unit app@0.service on local: it ended with exit status: 1\n"));
        assert_eq!(text.lines().count(), 1 + WRONG_SHOWN);
    }
}
