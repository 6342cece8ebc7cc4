//! `GET /oa/v1/units/<name>/logs`: what a unit printed.

use std::path::PathBuf;
use std::time::Duration;

use actix_web::web;
use oa_fleet::unit::LogPage;
use serde::Deserialize;
use tokio::time::{Instant, sleep};

use super::error::ApiError;
use super::name::known;
use crate::cluster::Cluster;
use crate::output;

/// Lines shown unless told otherwise.
const DEFAULT_LINES: u32 = 100;
/// Longest wait for something new.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// How often a follower's output is looked at; only while somebody follows.
const LOOK_EVERY: Duration = Duration::from_millis(25);

#[derive(Debug, Deserialize)]
pub(super) struct Query {
    after: Option<u64>,
    lines: Option<u32>,
    #[serde(default)]
    wait_ms: u64,
}

/// 404 if the unit is not known and left no output.
pub(super) async fn get(
    cluster: web::Data<Cluster>,
    name: web::Path<String>,
    query: web::Query<Query>,
) -> Result<web::Json<LogPage>, ApiError> {
    let name = known(&name)?;
    let directory = cluster.output_of(&name);
    let is_known = cluster.registry().get(&name).is_some();
    if !is_known && !directory.is_dir() {
        return Err(ApiError::no_unit());
    }
    let deadline = Instant::now() + Duration::from_millis(query.wait_ms).min(LONGEST_WAIT);
    loop {
        let seen = output::end(&directory);
        let page = read(directory.clone(), &query).await?;
        let has_news = query.after.is_none_or(|after| !page.text.is_empty() || page.next != after);
        if has_news || cluster.is_closing() {
            return Ok(web::Json(page));
        }
        // The end is looked at often, what is there is read when it has moved.
        while output::end(&directory) == seen && !cluster.is_closing() {
            if Instant::now() >= deadline {
                return Ok(web::Json(page));
            }
            sleep(LOOK_EVERY).await;
        }
    }
}

async fn read(directory: PathBuf, query: &Query) -> Result<LogPage, ApiError> {
    let (after, lines) = (query.after, query.lines.unwrap_or(DEFAULT_LINES));
    let page = web::block(move || match after {
        Some(after) => output::read_after(&directory, after),
        None => output::read_last(&directory, lines),
    });
    let failed = |why: &dyn std::fmt::Display| ApiError::failed("failed to read the output", why);
    page.await.map_err(|why| failed(&why))?.map_err(|why| failed(&why))
}
