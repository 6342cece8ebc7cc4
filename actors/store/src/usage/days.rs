//! Which part of a run belongs to which day.

use std::collections::BTreeMap;

use super::{RunRow, UsageFilter, UsageRow};
use crate::sql::from_db_int;

const DAY_MS: i64 = 86_400_000;

/// The part of a run that lies in one day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece {
    /// Days since 1970.
    pub(super) day: i64,
    pub(super) from_ms: i64,
    pub(super) to_ms: i64,
}

/// Cuts a run at every midnight, UTC; a run without length is one piece.
pub(super) fn pieces(started_ms: i64, ended_ms: i64) -> impl Iterator<Item = Piece> {
    let first = started_ms.div_euclid(DAY_MS);
    let last = (ended_ms - 1).max(started_ms).div_euclid(DAY_MS);
    (first..=last).map(move |day| Piece {
        day,
        from_ms: started_ms.max(day * DAY_MS),
        to_ms: ended_ms.min((day + 1) * DAY_MS),
    })
}

/// What of `used` belongs to the time from `from_ms` to `to_ms` of a run: even, and without a remainder in the end.
fn share(used: u64, run: &RunRow, from_ms: i64, to_ms: i64) -> u64 {
    let whole = u128::from(from_db_int(run.last_seen_ms - run.started_at_ms));
    if whole == 0 {
        return used;
    }
    let until = |at_ms: i64| {
        let part = u128::from(used) * u128::from(from_db_int(at_ms - run.started_at_ms)) / whole;
        u64::try_from(part).unwrap_or(u64::MAX)
    };
    until(to_ms) - until(from_ms)
}

/// Rows in the making.
pub(super) struct Sum<'a> {
    filter: &'a UsageFilter,
    rows: BTreeMap<(i64, String, String, Option<String>), UsageRow>,
}

impl<'a> Sum<'a> {
    pub(super) fn new(filter: &'a UsageFilter) -> Self {
        Self { filter, rows: BTreeMap::new() }
    }

    pub(super) fn add(&mut self, run: &RunRow) {
        let UsageFilter { from_ms, to_ms, by_unit, .. } = *self.filter;
        for piece in pieces(run.started_at_ms, run.last_seen_ms) {
            let begins_inside = from_ms <= piece.from_ms && piece.from_ms < to_ms;
            let (from_ms, to_ms) = (piece.from_ms.max(from_ms), piece.to_ms.min(to_ms));
            if from_ms < to_ms || (begins_inside && piece.from_ms == piece.to_ms) {
                let unit = by_unit.then(|| run.unit_name.clone());
                self.row(piece.day, run, unit).add(run, from_ms, to_ms);
            }
        }
    }

    fn row(&mut self, day: i64, run: &RunRow, unit: Option<String>) -> &mut UsageRow {
        let key = (day, run.product.clone(), run.etcd_token.clone(), unit.clone());
        self.rows.entry(key).or_insert_with(|| UsageRow {
            day,
            product: run.product.clone(),
            etcd_token: run.etcd_token.clone(),
            unit,
            ran_ms: 0,
            intervals: 0,
            unknown_intervals: 0,
            cpu_ms: None,
            memory_peak_bytes: None,
        })
    }

    pub(super) fn into_rows(self) -> Vec<UsageRow> {
        self.rows.into_values().collect()
    }
}

impl UsageRow {
    fn add(&mut self, run: &RunRow, from_ms: i64, to_ms: i64) {
        self.ran_ms += from_db_int(to_ms - from_ms);
        self.intervals += 1;
        self.unknown_intervals += u64::from(run.end_state == "unknown");
        if let Some(cpu_ms) = run.cpu_ms.map(from_db_int) {
            *self.cpu_ms.get_or_insert(0) += share(cpu_ms, run, from_ms, to_ms);
        }
        self.memory_peak_bytes = self.memory_peak_bytes.max(run.memory_peak_bytes.map(from_db_int));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn run(started_at_ms: i64, ran_ms: i64, cpu_ms: Option<i64>) -> RunRow {
        RunRow {
            product: "shop".into(),
            etcd_token: "local".into(),
            unit_name: "app.service".into(),
            started_at_ms,
            last_seen_ms: started_at_ms + ran_ms,
            end_state: "known".into(),
            cpu_ms,
            memory_peak_bytes: None,
        }
    }

    fn days(run: &RunRow, from_ms: i64, to_ms: i64) -> Vec<(i64, u64, Option<u64>)> {
        let filter = UsageFilter { from_ms, to_ms, ..UsageFilter::default() };
        let mut sum = Sum::new(&filter);
        sum.add(run);
        sum.into_rows().iter().map(|row| (row.day, row.ran_ms, row.cpu_ms)).collect()
    }

    #[test]
    fn midnight_belongs_to_the_day_that_begins() {
        let half = DAY_MS / 2;
        assert_eq!(days(&run(half, half, None), 0, i64::MAX), [(0, 43_200_000, None)]);
        assert_eq!(days(&run(DAY_MS, 1, None), 0, i64::MAX), [(1, 1, None)]);
        assert_eq!(
            days(&run(DAY_MS - 1, 2, Some(3)), 0, i64::MAX),
            [(0, 1, Some(1)), (1, 1, Some(2))]
        );
        assert_eq!(days(&run(-1, 2, None), i64::MIN, i64::MAX), [(-1, 1, None), (0, 1, None)]);
    }

    #[test]
    fn a_run_without_length_is_counted_in_its_day() {
        assert_eq!(days(&run(DAY_MS, 0, Some(7)), DAY_MS, 2 * DAY_MS), [(1, 0, Some(7))]);
        assert_eq!(days(&run(DAY_MS, 0, Some(7)), 0, DAY_MS), []);
    }

    proptest! {
        #[test]
        fn days_and_neighbouring_periods_add_up_to_the_whole(
            started in -3 * DAY_MS..3 * DAY_MS, ran in 0..5 * DAY_MS, cpu in 0_i64..1_000_000, cut in -9 * DAY_MS..9 * DAY_MS,
        ) {
            let run = run(started, ran, Some(cpu));
            let mut parts = days(&run, i64::MIN / 2, cut);
            parts.extend(days(&run, cut, i64::MAX / 2));
            let whole = days(&run, i64::MIN / 2, i64::MAX / 2);
            for parts in [parts, whole] {
                prop_assert_eq!(parts.iter().map(|part| part.1).sum::<u64>(), from_db_int(ran));
                prop_assert_eq!(parts.iter().filter_map(|part| part.2).sum::<u64>(), from_db_int(cpu));
            }
        }
    }
}
