//! The node that runs here, if one does.

use oa_api::Client;

use super::finding::Finding;
use super::place::Place;

/// Whether a node runs, answers, and is ready.
pub(super) async fn look(place: &Place) -> Vec<Finding> {
    let subject = "node";
    let holds = oa_api::local::is_in_use(&place.data_dir);
    let Some(node) = &place.node else {
        let found = if holds { "it is starting or draining" } else { "none runs here" };
        return vec![Finding::note(subject, found, "start one: oa-node")];
    };
    if !holds {
        let found = format!("process {} ended without an orderly stop", node.pid);
        return vec![Finding::warning(subject, found, "start it again: oa-node")];
    }
    let client = match Client::discover() {
        Ok(client) => client,
        Err(why) => {
            return vec![Finding::bad(subject, why.to_string(), "look at OA_URL and OA_TOKEN")];
        }
    };
    let mut findings = Vec::new();
    match client.ready().await {
        Ok(()) => findings.push(Finding::fine(subject, format!("{} is ready", node.node))),
        Err(why) => findings.push(Finding::bad(
            subject,
            format!("{} runs as process {} and is not ready: {why}", node.node, node.pid),
            "read its log; `oa why` says what it waits for",
        )),
    }
    match client.clusters().await {
        Ok(_) => findings.push(Finding::fine("token", "it is accepted")),
        Err(why) => {
            let fix = why.hint().unwrap_or_else(|| "look at OA_TOKEN".into());
            findings.push(Finding::bad("token", why.to_string(), fix));
        }
    }
    findings
}
