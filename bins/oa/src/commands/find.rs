//! What a name on the command line stands for. A wrong one gets the nearest.

use oa_api::{Workflow, WorkflowFilter, did_you_mean, nearest};

use super::{Session, failed_to};
use crate::exit::Exit;
use crate::problem::Problem;

/// Length of a UUID in text; anything shorter is a beginning of one.
const ID_LENGTH: usize = 36;
/// Stands for the newest workflow.
pub(super) const LAST: &str = "last";

/// Finds a workflow by its id, by a beginning that no other one has, or as `last`.
pub(super) async fn workflow(session: &Session, typed: &str) -> Result<Workflow, Problem> {
    let id = workflow_id(session, typed).await?;
    let found = session.client.workflow(&id).await;
    found.map_err(|error| {
        let problem = failed_to(format!("workflow {id} cannot be shown"))(error);
        match problem.exit() {
            Exit::NotFound => problem.or_next("oa workflow list --all"),
            _ => problem,
        }
    })
}

/// The id of the workflow that `typed` stands for. A whole id is taken as it is.
pub(super) async fn workflow_id(session: &Session, typed: &str) -> Result<String, Problem> {
    let typed = typed.trim().to_lowercase();
    if typed.len() >= ID_LENGTH {
        return Ok(typed);
    }
    let known = workflow_ids(session).await?;
    let ids: Vec<&str> = known.iter().map(String::as_str).collect();
    if typed == LAST {
        // Ids are ordered by the time of their making.
        let last = ids.iter().max().map(|id| (*id).to_owned());
        return last.ok_or_else(|| {
            Problem::new("there is no last workflow", "none was ever made")
                .next("oa deploy --repo <REPO>")
                .exit_with(Exit::NotFound)
        });
    }
    pick_id(&typed, &ids).map(str::to_owned)
}

/// The ids of all workflows that the node lists.
pub(super) async fn workflow_ids(session: &Session) -> Result<Vec<String>, Problem> {
    let all = WorkflowFilter { lookback: Some(0), ..WorkflowFilter::default() };
    let known = session.client.workflows(&all).await;
    let known = known.map_err(failed_to("workflows cannot be listed"))?;
    Ok(known.into_iter().map(|workflow| workflow.id).collect())
}

/// The only one of `ids` that begins with `start`.
fn pick_id<'a>(start: &str, ids: &[&'a str]) -> Result<&'a str, Problem> {
    let matching: Vec<&str> =
        ids.iter().filter(|id| !start.is_empty() && id.starts_with(start)).copied().collect();
    match matching.as_slice() {
        [id] => Ok(id),
        [] => {
            // What was typed is short, so it is compared with beginnings of its length.
            let length = start.len().max(1);
            let beginnings = ids.iter().map(|id| id.get(..length).unwrap_or(id));
            let next = did_you_mean(start, beginnings);
            Err(Problem::new(
                format!("workflow `{start}` cannot be found"),
                "no id begins like that",
            )
            .next(next.unwrap_or_else(|| "oa workflow list --all".to_owned()))
            .exit_with(Exit::NotFound))
        }
        several => Err(Problem::new(
            format!("workflow `{start}` is not clear"),
            format!("{} ids begin like that", several.len()),
        )
        .next(format!("one of {}", several.iter().take(3).copied().collect::<Vec<_>>().join(", ")))
        .exit_with(Exit::Usage)),
    }
}

/// A unit and the cluster that has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) cluster: String,
    pub(super) unit: String,
}

/// Every unit, and why some may be missing from the list.
pub(super) struct Places {
    pub(super) known: Vec<Place>,
    pub(super) silent: Option<Problem>,
}

/// Finds `unit` on `cluster`, else on any; `command` is what the suggestions begin with, such as `oa logs`.
pub(super) async fn unit(
    session: &Session,
    unit: &str,
    cluster: Option<&str>,
    command: &str,
) -> Result<Place, Problem> {
    let Places { known, silent } = places(session, cluster).await?;
    match (pick_unit(unit, &known, command), silent) {
        // The cluster that does not answer may have it.
        (Err(problem), Some(silent)) if problem.exit() == Exit::NotFound => Err(silent),
        (picked, _) => picked.cloned(),
    }
}

/// The units of `cluster`, else of all clusters.
pub(super) async fn places(session: &Session, cluster: Option<&str>) -> Result<Places, Problem> {
    let clusters = match cluster {
        Some(cluster) => vec![cluster.to_owned()],
        None => {
            let known =
                session.client.clusters().await.map_err(failed_to("clusters cannot be listed"))?;
            known.into_iter().map(|cluster| cluster.etcd_token).collect()
        }
    };
    let mut places = Places { known: Vec::new(), silent: None };
    for cluster in clusters {
        match session.client.units(&cluster).await {
            Ok(units) => {
                let here = units
                    .into_iter()
                    .map(|unit| Place { cluster: cluster.clone(), unit: unit.name });
                places.known.extend(here);
            }
            // Another cluster may still have the unit.
            Err(error) => {
                let what = format!("the units of cluster `{cluster}` cannot be listed");
                places.silent = Some(failed_to(what)(error));
            }
        }
    }
    Ok(places)
}

/// The only place with that unit.
pub(super) fn pick_unit<'a>(
    typed: &str,
    places: &'a [Place],
    command: &str,
) -> Result<&'a Place, Problem> {
    let with_type = format!("{typed}.service");
    let matching: Vec<&Place> =
        places.iter().filter(|place| place.unit == typed || place.unit == with_type).collect();
    match matching.as_slice() {
        [place] => Ok(place),
        [] => Err(missing_unit(typed, places, command)),
        [first, ..] => {
            let clusters: Vec<&str> = matching.iter().map(|place| place.cluster.as_str()).collect();
            let why = format!("clusters {} each have one", clusters.join(", "));
            Err(Problem::new(format!("unit `{typed}` is not clear"), why)
                .next(format!("{command} {} --cluster {}", first.unit, first.cluster))
                .exit_with(Exit::Usage))
        }
    }
}

fn missing_unit(typed: &str, places: &[Place], command: &str) -> Problem {
    let whole = if typed.contains('.') { typed.to_owned() } else { format!("{typed}.service") };
    let near = nearest(&whole, places.iter().map(|place| place.unit.as_str()));
    let next = match near.as_slice() {
        [] => "oa status shows every unit".to_owned(),
        near => format!("{command} {}", near.join(&format!(", or {command} "))),
    };
    let why = match places.len() {
        0 => "there are no units".to_owned(),
        1 => "the only unit has another name".to_owned(),
        count => format!("none of {count} units has that name"),
    };
    Problem::new(format!("unit `{typed}` cannot be found"), why)
        .next(next)
        .exit_with(Exit::NotFound)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beginning_that_only_one_id_has_is_enough() {
        let ids = ["0192-aa", "0192-bb", "0193-cc"];
        assert_eq!(pick_id("0193", &ids).expect("only one"), "0193-cc");
        assert_eq!(pick_id("0192-a", &ids).expect("only one"), "0192-aa");
        assert_eq!(pick_id("0192", &ids).expect_err("two").exit(), Exit::Usage);
        assert_eq!(pick_id("7777", &ids).expect_err("none").exit(), Exit::NotFound);
        assert_eq!(pick_id("", &ids[..1]).expect_err("nothing was said").exit(), Exit::NotFound);
    }

    #[test]
    fn a_mistyped_beginning_gets_the_nearest_ones() {
        let problem = format!("{:?}", pick_id("0139", &["0193-cc"]).expect_err("swapped"));
        assert!(problem.contains("did you mean `0193`?"), "{problem}");
    }

    fn places(units: &[(&str, &str)]) -> Vec<Place> {
        units
            .iter()
            .map(|&(cluster, unit)| Place { cluster: cluster.into(), unit: unit.into() })
            .collect()
    }

    #[test]
    fn the_type_of_a_unit_may_be_left_out() {
        let places = places(&[("local", "hello@0.service"), ("local", "hello@1.service")]);
        assert_eq!(pick_unit("hello@1", &places, "oa logs").expect("one"), &places[1]);
        assert_eq!(pick_unit("hello@0.service", &places, "oa logs").expect("one"), &places[0]);
    }

    #[test]
    fn a_wrong_name_gets_the_nearest_ones() {
        let places = places(&[("local", "hello@0.service"), ("local", "db.service")]);
        let problem = pick_unit("helo@0", &places, "oa logs").expect_err("a wrong name");
        assert_eq!(problem.exit(), Exit::NotFound);
        assert!(format!("{problem:?}").contains("oa logs hello@0.service"), "{problem:?}");
    }

    #[test]
    fn a_name_on_two_clusters_asks_for_the_cluster() {
        let places = places(&[("a", "x.service"), ("b", "x.service")]);
        let problem = pick_unit("x", &places, "oa logs").expect_err("two of them");
        assert_eq!(problem.exit(), Exit::Usage);
        assert!(format!("{problem:?}").contains("--cluster a"), "{problem:?}");
    }
}
