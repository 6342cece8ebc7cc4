//! What an end means: success or which failure, and whether it is followed by another start.
//!
//! # Source
//!
//! systemd.service(5), "Restart=" with its table, "SuccessExitStatus=", "StartLimitBurst=" in systemd.unit(5).

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use super::status::UnitResult;
use crate::service::{Exits, Plan, RestartWhen, ServiceKind, signals};

/// What the end of the main process means.
pub(super) fn of_main(plan: &Plan, exit: ExitStatus) -> UnitResult {
    // What does one thing and ends was not asked to end by a signal.
    let gentle = plan.kind != ServiceKind::Oneshot && is_gentle(exit);
    if gentle || matches(&plan.success, exit) { UnitResult::Success } else { of_command(exit) }
}

/// What the end of a command beside the main process means.
pub(super) fn of_command(exit: ExitStatus) -> UnitResult {
    match exit.signal() {
        _ if exit.success() => UnitResult::Success,
        None => UnitResult::ExitCode,
        Some(_) if exit.core_dumped() => UnitResult::CoreDump,
        Some(_) => UnitResult::Signal,
    }
}

fn is_gentle(exit: ExitStatus) -> bool {
    let gentle = [signals::HUP, signals::INT, signals::PIPE, signals::TERM];
    exit.signal().is_some_and(|signal| gentle.contains(&signal))
}

fn matches(exits: &Exits, exit: ExitStatus) -> bool {
    exit.code().is_some_and(|code| exits.codes.contains(&code))
        || exit.signal().is_some_and(|signal| exits.signals.contains(&signal))
}

/// Whether the unit is started again by itself.
pub(super) fn is_followed_by_start(
    plan: &Plan,
    result: UnitResult,
    main: Option<ExitStatus>,
) -> bool {
    use UnitResult::{CoreDump, ExitCode, Signal, Success};
    if main.is_some_and(|exit| matches(&plan.prevent_restart, exit)) {
        return false;
    }
    if main.is_some_and(|exit| matches(&plan.force_restart, exit)) {
        return true;
    }
    match plan.restart {
        RestartWhen::No | RestartWhen::OnWatchdog => false,
        RestartWhen::Always => true,
        RestartWhen::OnSuccess => result == Success,
        RestartWhen::OnFailure => result != Success,
        RestartWhen::OnAbnormal => !matches!(result, Success | ExitCode),
        RestartWhen::OnAbort => matches!(result, Signal | CoreDump),
    }
}

/// `$EXIT_CODE` and `$EXIT_STATUS`.
pub(super) fn in_variables(exit: ExitStatus) -> [(String, String); 2] {
    let (code, status) = match (exit.signal(), exit.code()) {
        (Some(signal), _) if exit.core_dumped() => ("dumped", signals::signal_name(signal)),
        (Some(signal), _) => ("killed", signals::signal_name(signal)),
        (None, code) => ("exited", code.unwrap_or_default().to_string()),
    };
    [("EXIT_CODE".into(), code.into()), ("EXIT_STATUS".into(), status)]
}

/// Counts starts: a window begins with its first one.
#[derive(Debug)]
pub(super) struct StartLimit {
    burst: u32,
    interval: Duration,
    window: Option<(Instant, u32)>,
}

impl StartLimit {
    pub(super) fn new(plan: &Plan) -> Self {
        Self { burst: plan.start_limit_burst, interval: plan.start_limit_interval, window: None }
    }

    /// Counts a start at `now`, and says whether it may be.
    pub(super) fn allows(&mut self, now: Instant) -> bool {
        if self.burst == 0 || self.interval.is_zero() {
            return true;
        }
        match &mut self.window {
            Some((began, starts)) if now.duration_since(*began) <= self.interval => {
                *starts += 1;
                *starts <= self.burst
            }
            window => {
                *window = Some((now, 1));
                true
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use oa_fleet::UnitName;
    use oa_fleet::unit::UnitOption;

    use super::*;
    use crate::service::{Host, manager, plan};

    fn plan_with(lines: &[(&str, &str)]) -> Plan {
        let mut options = vec![UnitOption::new("Service", "ExecStart", "/bin/x")];
        options.extend(lines.iter().map(|(name, value)| UnitOption::new("Service", *name, *value)));
        let host = Host {
            name: "h1".into(),
            machine_id: String::new(),
            manager: manager(),
            is_root: true,
            allow_root_units: true,
            log_limit_bytes: 4096,
        };
        plan(&UnitName::new("a.service").expect("a name"), &options, &host).expect("runnable")
    }

    fn exit(raw: i32) -> ExitStatus {
        ExitStatus::from_raw(raw)
    }

    #[test]
    fn restarts_follow_the_table_of_systemd() {
        use UnitResult::{CoreDump, ExitCode, OomKill, Resources, Signal, Success, Timeout};
        let results = [Success, ExitCode, Signal, CoreDump, Timeout, Resources, OomKill];
        let cases = [
            ("no", [false; 7]),
            ("on-watchdog", [false; 7]),
            ("always", [true; 7]),
            ("on-success", [true, false, false, false, false, false, false]),
            ("on-failure", [false, true, true, true, true, true, true]),
            ("on-abnormal", [false, false, true, true, true, true, true]),
            ("on-abort", [false, false, true, true, false, false, false]),
        ];
        for (word, wanted) in cases {
            let plan = plan_with(&[("Restart", word)]);
            let found = results.map(|result| is_followed_by_start(&plan, result, None));
            assert_eq!(found, wanted, "{word}");
        }
    }

    #[test]
    fn an_end_is_judged_by_its_type_and_its_list() {
        let simple = plan_with(&[]);
        let oneshot = plan_with(&[("Type", "oneshot")]);
        let listed = plan_with(&[("SuccessExitStatus", "143 SIGKILL")]);
        let cases = [
            (&simple, 0, UnitResult::Success),
            (&simple, 1 << 8, UnitResult::ExitCode),
            (&simple, 15, UnitResult::Success),
            (&oneshot, 15, UnitResult::Signal),
            (&simple, 9, UnitResult::Signal),
            (&simple, 6 | 0x80, UnitResult::CoreDump),
            (&listed, 143 << 8, UnitResult::Success),
            (&listed, 9, UnitResult::Success),
        ];
        for (plan, raw, result) in cases {
            assert_eq!(of_main(plan, exit(raw)), result, "{raw}");
        }
        assert_eq!(of_command(exit(15)), UnitResult::Signal);
    }

    #[test]
    fn an_exit_may_forbid_or_force_the_next_start() {
        let plan = plan_with(&[("Restart", "always"), ("RestartPreventExitStatus", "3 SIGABRT")]);
        assert!(!is_followed_by_start(&plan, UnitResult::ExitCode, Some(exit(3 << 8))));
        assert!(!is_followed_by_start(&plan, UnitResult::Signal, Some(exit(6))));
        assert!(is_followed_by_start(&plan, UnitResult::ExitCode, Some(exit(4 << 8))));
        let plan = plan_with(&[("RestartForceExitStatus", "SIGTERM 7")]);
        assert!(is_followed_by_start(&plan, UnitResult::Success, Some(exit(15))));
        assert!(is_followed_by_start(&plan, UnitResult::ExitCode, Some(exit(7 << 8))));
        assert!(!is_followed_by_start(&plan, UnitResult::ExitCode, Some(exit(8 << 8))));
    }

    #[test]
    fn an_exit_is_told_in_variables() {
        let told = |raw| in_variables(exit(raw)).map(|(_, value)| value);
        assert_eq!(told(3 << 8), ["exited", "3"]);
        assert_eq!(told(9), ["killed", "KILL"]);
        assert_eq!(told(6 | 0x80), ["dumped", "ABRT"]);
    }

    #[test]
    fn starts_are_limited_within_a_window() {
        let plan = plan_with(&[("StartLimitBurst", "2"), ("StartLimitIntervalSec", "10")]);
        let mut limit = StartLimit::new(&plan);
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        let allowed: Vec<bool> =
            [0, 1, 2, 11, 12, 13].map(|second| limit.allows(at(second))).into();
        assert_eq!(allowed, [true, true, false, true, true, false]);
        let mut unlimited = StartLimit::new(&plan_with(&[("StartLimitBurst", "0")]));
        assert!((0..100).all(|_| unlimited.allows(begin)));
    }
}
