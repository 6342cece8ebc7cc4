//! `oa usage`: what ran for how long.

use std::collections::BTreeMap;
use std::time::Duration;

use oa_api::{Usage, UsageFilter, UsageRow};

use super::{Session, failed_to};
use crate::cli;
use crate::cli::UsageBy;
use crate::exit::Exit;
use crate::output::{self, Format, Table, duration};
use crate::problem::Problem;

pub(super) async fn run(session: &Session, asked: cli::Usage) -> Result<Exit, Problem> {
    let cli::Usage { from, to, product, cluster, by } = asked;
    // `-` is how what belongs to no product is shown.
    let product = product.map(|name| if name == "-" { String::new() } else { name });
    let by_unit = (by == UsageBy::Unit).then(|| "unit".to_owned());
    let filter = UsageFilter { from, to, product, cluster, by: by_unit };
    let usage = session.client.usage(&filter).await;
    let usage = usage.map_err(failed_to("the usage cannot be shown"))?;
    output::print(session.format, &table(&usage, by), &usage)?;
    if session.format == Format::Table {
        explain(&usage);
    }
    Ok(Exit::Ok)
}

fn explain(usage: &Usage) {
    if usage.rows.is_empty() {
        output::say(format_args!("nothing ran from {} to {}", usage.from, usage.to));
    }
    let unknown: u64 = usage.rows.iter().map(|row| row.unknown_intervals).sum();
    if unknown > 0 {
        output::say(
            "unknown: runs whose end nobody saw, since their keeper or the machine died; they count up to the last \
             moment at which they were seen, and ran on for an unknown time",
        );
    }
}

/// What a line of the table sums up, in the order of the lines: product, cluster, unit, day.
type Key = (String, String, String, String);

#[derive(Debug, Default)]
struct Line {
    ran_ms: u64,
    cpu_ms: Option<u64>,
    memory_peak_bytes: Option<u64>,
    unknown: u64,
}

impl Line {
    fn add(&mut self, row: &UsageRow) {
        self.ran_ms += milliseconds(row.unit_seconds);
        if let Some(cpu) = row.cpu_seconds {
            *self.cpu_ms.get_or_insert(0) += milliseconds(cpu);
        }
        self.memory_peak_bytes = self.memory_peak_bytes.max(row.memory_peak_bytes);
        self.unknown += row.unknown_intervals;
    }

    fn cells(&self) -> [String; 4] {
        let cpu = self.cpu_ms.map(|ms| duration(Duration::from_millis(ms)));
        let peak = self.memory_peak_bytes.map(mebibytes);
        let unknown = if self.unknown == 0 { String::new() } else { self.unknown.to_string() };
        [hours(self.ran_ms), cpu.unwrap_or_default(), peak.unwrap_or_default(), unknown]
    }
}

fn table(usage: &Usage, by: UsageBy) -> Table {
    let mut lines: BTreeMap<Key, Line> = BTreeMap::new();
    let mut total = Line::default();
    for row in &usage.rows {
        let cluster = if by == UsageBy::Product { String::new() } else { row.cluster.clone() };
        let unit = row.unit.clone().unwrap_or_default();
        let key = (row.product.clone(), cluster, unit, row.day.clone());
        lines.entry(key).or_default().add(row);
        total.add(row);
    }
    let names = match by {
        UsageBy::Product => {
            Table::new(["product", "day", "unit_hours", "cpu", "peak_memory", "unknown"])
        }
        UsageBy::Cluster => {
            Table::new(["product", "cluster", "day", "unit_hours", "cpu", "peak_memory", "unknown"])
        }
        UsageBy::Unit => Table::new([
            "product",
            "cluster",
            "unit",
            "day",
            "unit_hours",
            "cpu",
            "peak_memory",
            "unknown",
        ]),
    };
    let mut table = names;
    for ((product, cluster, unit, day), line) in &lines {
        add(&mut table, by, [product, cluster, unit, day], line);
    }
    if lines.len() > 1 {
        add(&mut table, by, ["total", "", "", ""], &total);
    }
    table
}

fn add(table: &mut Table, by: UsageBy, [product, cluster, unit, day]: [&str; 4], line: &Line) {
    let [hours, cpu, peak, unknown] = line.cells();
    let [hours, cpu, peak, unknown] = [&hours, &cpu, &peak, &unknown].map(String::as_str);
    match by {
        UsageBy::Product => table.row([product, day, hours, cpu, peak, unknown]),
        UsageBy::Cluster => table.row([product, cluster, day, hours, cpu, peak, unknown]),
        UsageBy::Unit => table.row([product, cluster, unit, day, hours, cpu, peak, unknown]),
    }
}

/// The wire's seconds have three decimals.
fn milliseconds(seconds: f64) -> u64 {
    Duration::try_from_secs_f64(seconds)
        .map_or(0, |time| u64::try_from((time.as_micros() + 500) / 1000).unwrap_or(u64::MAX))
}

/// `h:mm:ss`.
fn hours(ms: u64) -> String {
    let s = ms / 1000;
    format!("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60)
}

fn mebibytes(bytes: u64) -> String {
    let tenths = bytes / (1024 * 1024 / 10);
    format!("{}.{} MiB", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(day: &str, cluster: &str, seconds: f64, unknown: u64) -> UsageRow {
        UsageRow {
            day: day.into(),
            product: "shop".into(),
            cluster: cluster.into(),
            unit_seconds: seconds,
            intervals: 1,
            unknown_intervals: unknown,
            cpu_seconds: Some(1.25),
            memory_peak_bytes: Some(7 * 1024 * 1024),
            ..UsageRow::default()
        }
    }

    #[test]
    fn clusters_are_summed_unless_they_are_asked_for() {
        let rows = vec![
            row("2026-11-24", "east", 0.9, 1),
            row("2026-11-24", "local", 3_600.1, 0),
            row("2026-11-25", "local", 61.0, 0),
        ];
        let usage = Usage { rows, ..Usage::default() };
        assert_eq!(
            table(&usage, UsageBy::Product).render(),
            "product  day         unit_hours  cpu    peak_memory  unknown\n\
             shop     2026-11-24  1:00:01     2.5 s  7.0 MiB      1\n\
             shop     2026-11-25  0:01:01     1.2 s  7.0 MiB      -\n\
             total    -           1:01:02     3.7 s  7.0 MiB      1\n"
        );
        assert_eq!(table(&usage, UsageBy::Cluster).render().lines().count(), 5);
    }

    #[test]
    fn seconds_are_read_to_the_millisecond_and_shown_whole() {
        assert_eq!(milliseconds(86_399.999), 86_399_999);
        assert_eq!(milliseconds(-1.0), 0);
        assert_eq!(hours(86_399_999), "23:59:59");
        assert_eq!(hours(360_000_000), "100:00:00");
    }
}
