//! `GET /oa/v1/intervals`: when units ran.

use std::sync::Arc;
use std::time::Duration;

use actix_web::web;
use oa_fleet::metering::IntervalPage;
use serde::Deserialize;
use tokio::time::{Instant, sleep};

use super::error::ApiError;
use crate::cluster::Cluster;
use crate::metering::Ledger;

/// Records of a page unless told otherwise.
const DEFAULT_LIMIT: usize = 500;
/// Longest wait for something new.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// How often the end of the file is looked at while somebody waits.
const LOOK_EVERY: Duration = Duration::from_millis(100);

#[derive(Debug, Deserialize)]
pub(super) struct Query {
    after: Option<String>,
    limit: Option<usize>,
    #[serde(default)]
    wait_ms: u64,
}

/// The records after a place; to ask so says that those before it are stored for good.
pub(super) async fn get(
    cluster: web::Data<Cluster>,
    query: web::Query<Query>,
) -> Result<web::Json<IntervalPage>, ApiError> {
    let query = query.into_inner();
    let deadline = Instant::now() + Duration::from_millis(query.wait_ms).min(LONGEST_WAIT);
    loop {
        let seen = cluster.ledger.end();
        let page = read(Arc::clone(&cluster.ledger), &query).await?;
        let has_news = !page.intervals.is_empty() || query.after.as_ref() != Some(&page.next);
        if has_news || cluster.is_closing() {
            return Ok(web::Json(page));
        }
        while cluster.ledger.end() == seen && !cluster.is_closing() {
            if Instant::now() >= deadline {
                return Ok(web::Json(page));
            }
            sleep(LOOK_EVERY).await;
        }
    }
}

async fn read(ledger: Arc<Ledger>, query: &Query) -> Result<IntervalPage, ApiError> {
    let (after, limit) = (query.after.clone(), query.limit.unwrap_or(DEFAULT_LIMIT));
    let page = web::block(move || ledger.page(after.as_deref(), limit));
    let failed =
        |why: &dyn std::fmt::Display| ApiError::failed("failed to read the records of runs", why);
    page.await.map_err(|why| failed(&why))?.map_err(|why| failed(&why))
}
