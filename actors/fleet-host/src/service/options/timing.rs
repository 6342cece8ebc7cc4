//! How long things may take, and how often they may begin.

use std::time::Duration;

use super::super::draft::Draft;
use super::super::time_span;
use super::{Known, known};

pub(super) const OPTIONS: &[Known] = &[
    known("TimeoutStartSec", |draft, value| {
        draft.plan.start_timeout = limit(value)?;
        draft.start_timeout_is_set = true;
        Ok(())
    }),
    known("TimeoutStopSec", |draft, value| {
        draft.plan.stop_timeout = limit(value)?;
        Ok(())
    }),
    known("TimeoutSec", |draft, value| {
        draft.plan.start_timeout = limit(value)?;
        draft.plan.stop_timeout = draft.plan.start_timeout;
        draft.start_timeout_is_set = true;
        Ok(())
    }),
    known("RuntimeMaxSec", |draft, value| {
        draft.plan.run_timeout = limit(value)?;
        Ok(())
    }),
    known("StartLimitBurst", |draft, value| {
        draft.plan.start_limit_burst =
            value.parse().map_err(|_| format!("`{value}` is no number"))?;
        Ok(())
    }),
    known("StartLimitInterval", start_limit_interval),
    known("StartLimitIntervalSec", start_limit_interval),
];

/// systemd reads 0 as "no limit" here.
fn limit(value: &str) -> Result<Option<Duration>, String> {
    Ok(time_span::parse(value)?.filter(|limit| !limit.is_zero()))
}

fn start_limit_interval(draft: &mut Draft<'_>, value: &str) -> Result<(), String> {
    draft.plan.start_limit_interval = time_span::parse(value)?.unwrap_or(Duration::MAX);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{refused, with};
    use super::*;

    #[test]
    fn a_oneshot_may_take_its_time_unless_it_is_limited() {
        let start = |lines: &[(&str, &str)]| with(lines).start_timeout;
        assert_eq!(start(&[]), Some(Duration::from_secs(90)));
        assert_eq!(start(&[("Type", "oneshot")]), None);
        let limited = [("Type", "oneshot"), ("TimeoutStartSec", "2s")];
        assert_eq!(start(&limited), Some(Duration::from_secs(2)));
        assert_eq!(start(&[("TimeoutStartSec", "0")]), None);
    }

    #[test]
    fn limits_are_spans_of_time() {
        let plan = with(&[("TimeoutSec", "5"), ("TimeoutStopSec", "infinity")]);
        assert_eq!((plan.start_timeout, plan.stop_timeout), (Some(Duration::from_secs(5)), None));
        assert_eq!(with(&[("RuntimeMaxSec", "1h")]).run_timeout, Some(Duration::from_secs(3600)));
        let plan = with(&[("StartLimitBurst", "3"), ("StartLimitIntervalSec", "1min")]);
        assert_eq!((plan.start_limit_burst, plan.start_limit_interval.as_secs()), (3, 60));
        let plan = with(&[("StartLimitInterval", "0")]);
        assert!(plan.start_limit_interval.is_zero());
        for name in ["TimeoutStartSec", "TimeoutStopSec", "TimeoutSec", "RuntimeMaxSec"] {
            assert!(refused(name, "soon").contains("`soon`"));
        }
        assert!(refused("StartLimitBurst", "-1").contains("-1"));
    }
}
