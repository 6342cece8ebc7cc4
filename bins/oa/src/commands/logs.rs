//! `oa logs`: the output of a unit.

use std::time::Duration;

use oa_api::{LogFilter, LogPage};
use tokio::signal;

use super::{Session, failed_to};
use crate::cli::Logs;
use crate::exit::Exit;
use crate::output::{self, say};
use crate::problem::Problem;
use crate::suggest;

const POLL_MS: u64 = 20_000;

/// A unit and the cluster that has it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    cluster: String,
    unit: String,
}

pub(super) async fn run(session: &Session, logs: Logs) -> Result<Exit, Problem> {
    let place = find(session, &logs).await?;
    if !logs.follow {
        let page = read(session, &place, None, Some(logs.lines), 0).await?;
        print(&page)?;
        return Ok(Exit::Ok);
    }
    tokio::select! {
        result = follow(session, &place, logs.lines) => result,
        // The usual way to end it, so no failure.
        _ = signal::ctrl_c() => Ok(Exit::Ok),
    }
}

async fn follow(session: &Session, place: &Place, lines: u32) -> Result<Exit, Problem> {
    let mut page = read(session, place, None, Some(lines), 0).await?;
    loop {
        print(&page)?;
        let before = page.next;
        page = read(session, place, Some(before), None, POLL_MS).await?;
        if page.text.is_empty() {
            // The end of a long poll; the pause is for a server that does not wait.
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

async fn read(
    session: &Session,
    place: &Place,
    after: Option<u64>,
    lines: Option<u32>,
    wait_ms: u64,
) -> Result<LogPage, Problem> {
    let filter = LogFilter { after, lines, wait_ms: (wait_ms > 0).then_some(wait_ms) };
    let page = session.client.unit_logs(&place.cluster, &place.unit, &filter).await;
    page.map_err(failed_to(format!(
        "the output of `{}` on `{}` cannot be read",
        place.unit, place.cluster
    )))
}

fn print(page: &LogPage) -> Result<(), Problem> {
    if page.dropped > 0 {
        say(format_args!("({} bytes before this were dropped)", page.dropped));
    }
    Ok(output::print_text(&page.text)?)
}

/// Finds the unit on the cluster that was named, else on any.
async fn find(session: &Session, logs: &Logs) -> Result<Place, Problem> {
    let clusters = match &logs.cluster {
        Some(cluster) => vec![cluster.clone()],
        None => {
            let known =
                session.client.clusters().await.map_err(failed_to("clusters cannot be listed"))?;
            known.into_iter().map(|cluster| cluster.etcd_token).collect()
        }
    };
    let mut places = Vec::new();
    let mut silent = None;
    for cluster in clusters {
        match session.client.units(&cluster).await {
            Ok(units) => {
                places.extend(
                    units
                        .into_iter()
                        .map(|unit| Place { cluster: cluster.clone(), unit: unit.name }),
                );
            }
            // Another cluster may still have the unit.
            Err(error) => {
                silent = Some(failed_to(format!(
                    "the units of cluster `{cluster}` cannot be listed"
                ))(error));
            }
        }
    }
    match (pick(&logs.unit, &places), silent) {
        (Err(problem), Some(silent)) if problem.exit() == Exit::NotFound => Err(silent),
        (picked, _) => picked.cloned(),
    }
}

/// The only place with that unit.
fn pick<'a>(typed: &str, places: &'a [Place]) -> Result<&'a Place, Problem> {
    let with_type = format!("{typed}.service");
    let matching: Vec<&Place> =
        places.iter().filter(|place| place.unit == typed || place.unit == with_type).collect();
    match matching.as_slice() {
        [place] => Ok(place),
        [] => Err(missing(typed, places)),
        [first, ..] => {
            let clusters: Vec<&str> = matching.iter().map(|place| place.cluster.as_str()).collect();
            let why = format!("clusters {} each have one", clusters.join(", "));
            Err(Problem::new(format!("unit `{typed}` is not clear"), why)
                .next(format!("oa logs {} --cluster {}", first.unit, first.cluster))
                .exit_with(Exit::Usage))
        }
    }
}

fn missing(typed: &str, places: &[Place]) -> Problem {
    let whole = if typed.contains('.') { typed.to_owned() } else { format!("{typed}.service") };
    let near = suggest::nearest(&whole, places.iter().map(|place| place.unit.as_str()));
    let next = match near.as_slice() {
        [] => "oa status shows every unit".to_owned(),
        near => format!("oa logs {}", near.join(", or oa logs ")),
    };
    Problem::new(
        format!("unit `{typed}` cannot be found"),
        format!("none of {} units has that name", places.len()),
    )
    .next(next)
    .exit_with(Exit::NotFound)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(units: &[(&str, &str)]) -> Vec<Place> {
        units
            .iter()
            .map(|&(cluster, unit)| Place { cluster: cluster.into(), unit: unit.into() })
            .collect()
    }

    #[test]
    fn the_type_of_a_unit_may_be_left_out() {
        let places = places(&[("local", "hello@0.service"), ("local", "hello@1.service")]);
        assert_eq!(pick("hello@1", &places).expect("one"), &places[1]);
        assert_eq!(pick("hello@0.service", &places).expect("one"), &places[0]);
    }

    #[test]
    fn a_wrong_name_gets_the_nearest_ones() {
        let places = places(&[("local", "hello@0.service"), ("local", "db.service")]);
        let problem = pick("helo@0", &places).expect_err("a wrong name");
        assert_eq!(problem.exit(), Exit::NotFound);
        assert!(format!("{problem:?}").contains("oa logs hello@0.service"), "{problem:?}");
    }

    #[test]
    fn a_name_on_two_clusters_asks_for_the_cluster() {
        let places = places(&[("a", "x.service"), ("b", "x.service")]);
        let problem = pick("x", &places).expect_err("two of them");
        assert_eq!(problem.exit(), Exit::Usage);
        assert!(format!("{problem:?}").contains("--cluster a"), "{problem:?}");
    }
}
