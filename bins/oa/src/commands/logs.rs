//! `oa logs`: the output of a unit.

use std::time::Duration;

use oa_api::{LogFilter, LogPage};
use tokio::signal;

use super::find::{self, Place};
use super::{Session, failed_to};
use crate::cli::Logs;
use crate::exit::Exit;
use crate::output::{self, say};
use crate::problem::Problem;

const POLL_MS: u64 = 20_000;

pub(super) async fn run(session: &Session, logs: Logs) -> Result<Exit, Problem> {
    let place = find::unit(session, &logs.unit, logs.cluster.as_deref(), "oa logs").await?;
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
