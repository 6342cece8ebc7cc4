//! `oa why`: what waits, failed or is refused, and what to do about it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use oa_api::{Finding, nearest};

use super::find::{self, Places};
use super::{Session, failed_to};
use crate::cli::Why;
use crate::exit::Exit;
use crate::output::{self, Format, Style, duration, printable, say};
use crate::problem::Problem;

/// Beginnings of ids are at least this long; anything shorter is hardly meant as one.
const SHORTEST_ID: usize = 4;

/// Longest line of a summary.
const SUMMARY_CHARS: usize = 150;

/// What the question is about.
#[derive(Debug, PartialEq, Eq)]
enum Object {
    Node,
    Workflow(String),
    Cluster(String),
    Unit(find::Place),
}

pub(super) async fn run(session: &Session, why: Why) -> Result<Exit, Problem> {
    let object = match why.object.as_deref().map(str::trim) {
        None => Object::Node,
        Some(typed) => object(session, typed, why.cluster.as_deref()).await?,
    };
    let findings = ask(session, &object).await?;
    match session.format {
        Format::Json => output::print_json(&findings)?,
        Format::Table if findings.is_empty() => say(all_well(&object)),
        Format::Table => {
            let text = render(&findings, Style::stdout(), session.verbose, now_ms());
            output::print_text(&text)?;
        }
    }
    Ok(Exit::Ok)
}

/// A workflow, a cluster or a unit: whatever has that name.
async fn object(session: &Session, typed: &str, cluster: Option<&str>) -> Result<Object, Problem> {
    if typed == find::LAST || is_whole_id(typed) {
        return Ok(Object::Workflow(find::workflow_id(session, typed).await?));
    }
    let clusters =
        session.client.clusters().await.map_err(failed_to("clusters cannot be listed"))?;
    if cluster.is_none() && clusters.iter().any(|cluster| cluster.etcd_token == typed) {
        return Ok(Object::Cluster(typed.to_owned()));
    }
    let Places { known, silent } = find::places(session, cluster).await?;
    let missing = match find::pick_unit(typed, &known, "oa why") {
        Ok(place) => return Ok(Object::Unit(place.clone())),
        Err(problem) if problem.exit() == Exit::NotFound => problem,
        Err(problem) => return Err(problem),
    };
    let ids = find::workflow_ids(session).await?;
    let begins = |id: &String| id.starts_with(&typed.to_lowercase());
    match ids.iter().filter(|id| begins(id)).count() {
        1 => return Ok(Object::Workflow(find::workflow_id(session, typed).await?)),
        2.. => return find::workflow_id(session, typed).await.map(Object::Workflow),
        0 => {}
    }
    if let Some(silent) = silent {
        return Err(silent);
    }
    if typed.contains(['@', '.']) {
        return Err(missing);
    }
    let names = clusters.iter().map(|cluster| cluster.etcd_token.as_str());
    let units = known.iter().map(|place| place.unit.as_str());
    let ids = ids.iter().filter_map(|id| id.get(..typed.len().max(SHORTEST_ID)));
    let near = nearest(typed, names.chain(units).chain(ids));
    let next = match near.as_slice() {
        [] => "oa why, oa status, or oa workflow list --all".to_owned(),
        near => format!("oa why {}", near.join(", or oa why ")),
    };
    Err(Problem::new(
        format!("`{typed}` cannot be found"),
        "no workflow, unit or cluster has that name",
    )
    .next(next)
    .exit_with(Exit::NotFound))
}

fn is_whole_id(typed: &str) -> bool {
    typed.len() == 36 && typed.chars().all(|c| c.is_ascii_hexdigit() || c == '-')
}

async fn ask(session: &Session, object: &Object) -> Result<Vec<Finding>, Problem> {
    let client = &session.client;
    let (what, answer) = match object {
        Object::Node => ("the node".to_owned(), client.why().await),
        Object::Workflow(id) => (format!("workflow {id}"), client.why_workflow(id).await),
        Object::Cluster(token) => (format!("cluster {token}"), client.why_cluster(token).await),
        Object::Unit(place) => {
            (format!("unit {}", place.unit), client.why_unit(&place.cluster, &place.unit).await)
        }
    };
    answer.map_err(failed_to(format!("{what} cannot be asked why")))
}

fn all_well(object: &Object) -> String {
    match object {
        Object::Node => "nothing waits, failed or is refused on this node".to_owned(),
        Object::Workflow(id) => format!("workflow {id} has succeeded: nothing waits"),
        Object::Cluster(token) => format!("cluster {token}: everything that should run does"),
        Object::Unit(place) => format!("unit {} on {} runs", place.unit, place.cluster),
    }
}

/// A paragraph for each finding.
fn render(findings: &[Finding], style: Style, verbose: bool, now_ms: i64) -> String {
    let paragraphs = findings.iter().map(|finding| paragraph(finding, style, verbose, now_ms));
    paragraphs.collect::<Vec<_>>().join("\n")
}

fn paragraph(finding: &Finding, style: Style, verbose: bool, now_ms: i64) -> String {
    let age = finding.since_ms.and_then(|since| u64::try_from(now_ms - since).ok());
    let age = age.map(|ms| format!(" for {}", duration(Duration::from_millis(ms))));
    let mut text = format!(
        "{}: {}{}\n",
        style.bold(&printable(&finding.subject)),
        printable(&finding.state),
        age.unwrap_or_default()
    );
    let code = style.dim(&format!("[{}]", printable(&finding.reason_code)));
    let mut line = |name: &str, value: &str| text.push_str(&format!("  {name:<6} {value}\n"));
    line("why", &format!("{} {code}", printable(&finding.reason)));
    line("next", &format!("{}: {}", printable(&finding.owner), printable(&finding.next)));
    for (at, log) in finding.evidence.log_lines.iter().enumerate() {
        line(if at == 0 { "log" } else { "" }, &style.dim(&printable(log)));
    }
    if verbose {
        let evidence = &finding.evidence;
        let version = evidence.event_version.map(|version| version.to_string());
        for (name, value) in
            [("event", &version), ("try", &evidence.attempt_id), ("mail", &evidence.message_id)]
        {
            if let Some(value) = value {
                line(name, &printable(value));
            }
        }
    }
    text
}

/// One line for each finding: what `oa status` shows of them.
pub(super) fn summary(findings: &[Finding]) -> Vec<String> {
    let line = |finding: &Finding| {
        let line = format!("{}: {}", printable(&finding.subject), printable(&finding.reason));
        match line.char_indices().nth(SUMMARY_CHARS) {
            Some((at, _)) => format!("{}…", &line[..at]),
            None => line,
        }
    };
    findings.iter().map(line).collect()
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use oa_api::Evidence;

    use super::*;

    fn finding() -> Finding {
        Finding {
            subject: "unit hello@0.service on local".into(),
            state: "failed".into(),
            since_ms: Some(1_000),
            reason_code: "unit_failed".into(),
            reason: "it ended with exit status: 1".into(),
            owner: "you".into(),
            next: "oa logs hello@0.service".into(),
            evidence: Evidence {
                event_version: Some(7),
                log_lines: vec!["one".into(), "t\u{1b}[2Jwo".into()],
                ..Evidence::default()
            },
        }
    }

    #[test]
    fn a_finding_reads_as_what_why_and_next() {
        assert_eq!(
            render(&[finding()], Style::plain(), false, 5_000),
            "unit hello@0.service on local: failed for 4.0 s\n  \
             why    it ended with exit status: 1 [unit_failed]\n  \
             next   you: oa logs hello@0.service\n  \
             log    one\n         t [2Jwo\n"
        );
        assert!(render(&[finding()], Style::plain(), true, 0).contains("  event  7\n"));
    }

    #[test]
    fn only_a_uuid_is_a_whole_id() {
        assert!(is_whole_id("01920000-0000-7000-8000-000000000001"));
        assert!(!is_whole_id("hello@0.service"));
        assert!(!is_whole_id("0192"));
    }
}
