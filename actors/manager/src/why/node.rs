//! Everything on the node that waits, failed or is refused now.

use std::collections::HashSet;

use oa_api::{Finding, ReasonCode};
use oa_protocol::mailbox;
use oa_runtime::{ActorState, TreeNode};
use oa_store::{Status, WorkflowFilter, WorkflowRecord};

use super::finding::{YOU, finding};
use super::workflow::silent_component;
use super::{HEARD_WITHIN, MAX_MAIL, cluster, workflow};
use crate::app::{App, Readiness};
use crate::error::ApiError;
use crate::services::store_failed;

/// What errors are about.
const NODE: &str = "Node";
/// Most findings of each kind.
const MAX_OF_A_KIND: usize = 50;
/// Silence and failures that are older are history.
const HOUR_MS: i64 = 3_600_000;
const DAY_HOURS: i64 = 24;
/// Mailboxes whose deliveries are looked after.
const MAILBOXES: [&str; 7] = [
    mailbox::WORKFLOW_ORCHESTRATION,
    mailbox::BUILDER,
    mailbox::DEPLOYER,
    mailbox::DEPLOY_OA,
    mailbox::FLEET_MANAGER,
    mailbox::MANAGER,
    mailbox::SYSTEM_MODULES,
];

/// The node, its messages and components, its workflows, its clusters.
pub(crate) async fn node(app: &App) -> Result<Vec<Finding>, ApiError> {
    let Readiness { database, transport, troubles } = app.readiness().await;
    let mut findings = Vec::new();
    if !transport {
        let reason =
            format!("messages cannot be sent: {:?}", app.post_office.transport().health().borrow());
        let draft = finding("node", "not ready", ReasonCode::TransportDown, reason);
        findings.push(draft.then("the transport", "it connects again by itself").done());
    }
    for trouble in troubles {
        let code = ReasonCode::from_word(&trouble.code).unwrap_or(ReasonCode::StorageFailed);
        let draft = finding(&trouble.part, "cannot write", code, trouble.message);
        let next = format!("{}; it goes on by itself then", trouble.hint);
        findings.push(draft.then(YOU, next).done());
    }
    findings.extend(failing_actors(app));
    if !database {
        // Everything below is read from it.
        let draft =
            finding("node", "not ready", ReasonCode::DatabaseDown, "the database does not answer");
        let next =
            "it is asked again with each request; the node's log says why (disk full? locked?)";
        findings.push(draft.then(YOU, next).done());
        return Ok(findings);
    }
    findings.extend(parked_messages(app).await?);
    findings.extend(silent_components(app).await?);
    findings.extend(workflows(app).await?);
    for record in app.clusters.list(false).await? {
        findings.extend(cluster(app, &record.etcd_token).await);
    }
    Ok(findings)
}

fn failing_actors(app: &App) -> Vec<Finding> {
    let mut found = Vec::new();
    walk(&app.system.tree(), &mut found);
    found.truncate(MAX_OF_A_KIND);
    found
}

fn walk(actor: &TreeNode, found: &mut Vec<Finding>) {
    if matches!(actor.state, ActorState::BackingOff | ActorState::Down) {
        let why = actor.last_failure.as_deref().unwrap_or("its siblings are started again");
        let reason = format!("it failed ({} restarts so far): {why}", actor.restarts);
        let draft =
            finding(&format!("actor {}", actor.path), "down", ReasonCode::ComponentFailing, reason);
        found.push(draft.then("the node", "it is started again by itself after a pause").done());
    }
    for child in &actor.children {
        walk(child, found);
    }
}

/// Messages that wait for a person: in the outbox, in mailboxes, and those that nobody could handle.
async fn parked_messages(app: &App) -> Result<Vec<Finding>, ApiError> {
    let failed = |error| store_failed(NODE, &oa_store::StoreError::from(error));
    let mut found = Vec::new();
    for message in app.store.outbox().waiting(MAX_MAIL).await.map_err(failed)? {
        if !message.is_parked {
            continue;
        }
        let name = message.name.as_deref().unwrap_or("a message");
        let why = message.why.as_deref().unwrap_or("no reason is recorded");
        let reason = format!(
            "`{name}` for `{}` was set aside after {} tries: {why}",
            message.mailbox, message.tries
        );
        found.push((message.id.clone(), message.created_at_ms, reason));
    }
    for mailbox in MAILBOXES {
        let address = app.post_office.address(mailbox);
        let parked = app.post_office.transport().parked(address, MAX_OF_A_KIND).await;
        // A transport that is down has been told of already.
        for mail in parked.unwrap_or_default() {
            let reason =
                format!("`{}` in `{mailbox}` was set aside: {}", mail.envelope.name, mail.reason);
            found.push((mail.envelope.message_id().to_string(), mail.parked_at_ms, reason));
        }
    }
    for dead in app.store.dead_messages().open(MAX_MAIL).await.map_err(failed)? {
        let reason =
            format!("a message for `{}` could not be handled: {}", dead.mailbox, dead.reason);
        found.push((dead.id, dead.first_at_ms, reason));
    }
    found.truncate(MAX_OF_A_KIND);
    let told = found.into_iter().map(|(id, since_ms, reason)| {
        finding(&format!("message {id}"), "parked", ReasonCode::MessageParked, reason)
            .since(Some(since_ms))
            .message(id)
            .then(
                YOU,
                "nothing happens by itself: remove the cause; the node's log has the whole story",
            )
            .done()
    });
    Ok(told.collect())
}

async fn silent_components(app: &App) -> Result<Vec<Finding>, ApiError> {
    let now_ms = app.store.clock().now_ms();
    let heard_ms = i64::try_from(HEARD_WITHIN.as_millis()).unwrap_or(i64::MAX);
    let modules = app.store.modules().list().await.map_err(|error| store_failed(NODE, &error))?;
    let silent = modules.iter().filter(|module| {
        let silence_ms = now_ms - module.updated_at_ms;
        module.status == "active" && silence_ms > heard_ms && silence_ms < DAY_HOURS * HOUR_MS
    });
    Ok(silent.take(MAX_OF_A_KIND).map(|module| silent_component(module, now_ms)).collect())
}

/// Open workflows that wait, and the last ones of their repositories that failed within a day.
async fn workflows(app: &App) -> Result<Vec<Finding>, ApiError> {
    let failed = |error| store_failed(NODE, &error);
    let filter = WorkflowFilter::lookback(DAY_HOURS, app.store.clock().now_ms());
    let recent = app.store.workflows().list(&filter).await.map_err(failed)?;
    let mut ids = app.store.journal().open_workflows().await.map_err(failed)?;
    ids.extend(last_failures(&recent));
    let mut found = Vec::new();
    for id in ids.into_iter().take(MAX_OF_A_KIND) {
        match workflow(app, id).await {
            Ok(findings) => found.extend(findings),
            // It was deleted meanwhile.
            Err(error) if error.status().as_u16() == 404 => {}
            Err(error) => return Err(error),
        }
    }
    // What is in hand goes on, and units are told of with their cluster.
    found.retain(|finding: &Finding| {
        finding.subject.starts_with("workflow ")
            && finding.reason_code != ReasonCode::InHand.as_str()
    });
    Ok(found)
}

/// The newest workflow of each repository, if it failed: an older failure was answered by a newer try.
fn last_failures(recent: &[WorkflowRecord]) -> Vec<oa_protocol::WorkflowId> {
    let mut seen = HashSet::new();
    let newest_first = recent.iter().rev().filter(|record| record.status != Status::Created);
    newest_first
        .filter(|record| seen.insert(record.deployment_repo.as_deref()))
        .filter(|record| matches!(record.status, Status::Failed | Status::RolledBack))
        .map(|record| record.id)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_actor_that_rests_after_a_failure_is_told_with_its_reason_wherever_it_is() {
        let actor = |path: &str, state, children| TreeNode {
            path: path.into(),
            kind: "builder".into(),
            state,
            restarts: 4,
            depth: 0,
            capacity: 8,
            message: None,
            age_ms: None,
            last_failure: Some("the disk is full".into()),
            children,
        };
        let child = actor("oa/builder", ActorState::BackingOff, vec![]);
        let mut found = Vec::new();
        walk(&actor("oa", ActorState::Running, vec![child]), &mut found);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].reason_code, "component_failing");
        assert!(found[0].reason.contains("the disk is full"), "{:?}", found[0]);
    }
}
