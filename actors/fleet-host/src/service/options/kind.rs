//! What counts as running, as success, and as a reason to start again.

use super::super::plan::{Exits, RestartWhen, ServiceKind};
use super::super::{signals, time_span};
use super::{Known, absolute, boolean, known, one_of};
use std::time::Duration;

pub(super) const OPTIONS: &[Known] = &[
    known("Type", |draft, value| {
        draft.plan.kind = kind(value)?;
        Ok(())
    }),
    known("RemainAfterExit", |draft, value| {
        draft.plan.remain_after_exit = boolean(value)?;
        Ok(())
    }),
    known("PIDFile", |draft, value| {
        let path = draft.specifiers.expand(value)?;
        draft.plan.pid_file = match path.as_str() {
            "" => None,
            path if path.starts_with('/') => Some(absolute(path)?.into()),
            path => Some(absolute(&format!("{}/{path}", draft.specifiers.expand("%t")?))?.into()),
        };
        Ok(())
    }),
    known("GuessMainPID", |draft, value| {
        draft.plan.guess_main_pid = boolean(value)?;
        Ok(())
    }),
    known("Restart", |draft, value| {
        draft.plan.restart = one_of(value, RESTARTS)?;
        Ok(())
    }),
    known("RestartSec", |draft, value| {
        draft.plan.restart_after = time_span::parse(value)?.unwrap_or(Duration::MAX);
        Ok(())
    }),
    known("SuccessExitStatus", |draft, value| add_exits(&mut draft.plan.success, value)),
    known("RestartPreventExitStatus", |draft, value| {
        add_exits(&mut draft.plan.prevent_restart, value)
    }),
    known("RestartForceExitStatus", |draft, value| add_exits(&mut draft.plan.force_restart, value)),
];

const RESTARTS: &[(&str, RestartWhen)] = &[
    ("no", RestartWhen::No),
    ("on-success", RestartWhen::OnSuccess),
    ("on-failure", RestartWhen::OnFailure),
    ("on-abnormal", RestartWhen::OnAbnormal),
    ("on-watchdog", RestartWhen::OnWatchdog),
    ("on-abort", RestartWhen::OnAbort),
    ("always", RestartWhen::Always),
];

fn kind(value: &str) -> Result<ServiceKind, String> {
    match value {
        // Nothing waits for the console here, so `idle` has nothing to wait for.
        "simple" | "exec" | "idle" => Ok(ServiceKind::Simple),
        "forking" => Ok(ServiceKind::Forking),
        "oneshot" => Ok(ServiceKind::Oneshot),
        "notify" | "notify-reload" => Err(format!(
            "`{value}` needs the notification socket of systemd, which this host does not have; \
             use exec, or forking with PIDFile="
        )),
        "dbus" => Err("`dbus` needs a message bus, which this host does not have; use exec".into()),
        _ => Err(format!("`{value}` is no type; use one of simple, exec, idle, forking, oneshot")),
    }
}

/// `143 SIGTERM TEMPFAIL`; an empty value resets the list.
fn add_exits(exits: &mut Exits, value: &str) -> Result<(), String> {
    if value.is_empty() {
        *exits = Exits::default();
    }
    for word in value.split_whitespace() {
        match signals::exit_code(word) {
            Some(code) => exits.codes.push(code),
            None => exits.signals.push(signals::signal(word).ok().filter(|_| !is_number(word)).ok_or_else(
                || format!("`{word}` is neither an exit code from 0 to 255 nor a signal such as SIGTERM"),
            )?),
        }
    }
    Ok(())
}

fn is_number(word: &str) -> bool {
    word.chars().all(|c| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{refused, with};
    use super::*;

    #[test]
    fn every_type_is_taken_or_refused_with_its_reason() {
        let kind = |value| with(&[("Type", value)]).kind;
        for simple in ["simple", "exec", "idle"] {
            assert_eq!(kind(simple), ServiceKind::Simple);
        }
        assert_eq!(kind("forking"), ServiceKind::Forking);
        assert_eq!(kind("oneshot"), ServiceKind::Oneshot);
        for (value, words) in [("notify", "socket"), ("dbus", "bus"), ("fork", "one of")] {
            assert!(refused("Type", value).contains(words), "{value}");
        }
    }

    #[test]
    fn every_value_of_restart_is_known() {
        for (value, meaning) in RESTARTS {
            assert_eq!(with(&[("Restart", value)]).restart, *meaning);
        }
        assert!(refused("Restart", "sometimes").contains("on-abnormal"));
        assert_eq!(
            with(&[("RestartSec", "1min 1ms")]).restart_after,
            Duration::from_millis(60_001)
        );
        assert_eq!(with(&[("RestartSec", "infinity")]).restart_after, Duration::MAX);
    }

    #[test]
    fn exits_are_codes_and_signals_by_name() {
        let plan = with(&[
            ("SuccessExitStatus", "1"),
            ("SuccessExitStatus", ""),
            ("SuccessExitStatus", "143 TEMPFAIL SIGKILL"),
            ("RestartPreventExitStatus", "SIGABRT 6"),
            ("RestartForceExitStatus", "SIGTERM"),
        ]);
        assert_eq!((plan.success.codes, plan.success.signals), (vec![143, 75], vec![9]));
        assert_eq!((plan.prevent_restart.codes, plan.prevent_restart.signals), (vec![6], vec![6]));
        assert_eq!(plan.force_restart.signals, [15]);
        for value in ["256", "SIGFOO", "-1"] {
            assert!(refused("SuccessExitStatus", value).contains(value));
        }
    }

    #[test]
    fn a_pid_file_may_be_named_below_run() {
        let file = |value| with(&[("Type", "forking"), ("PIDFile", value)]).pid_file;
        assert_eq!(file("/run/%p.pid"), Some("/run/app.pid".into()));
        assert!(
            file("app.pid").is_some_and(|path| path.is_absolute() && path.ends_with("app.pid"))
        );
        assert_eq!(file(""), None);
        assert!(refused("PIDFile", "/run/../x").contains(".."));
    }

    #[test]
    fn whether_it_remains_is_yes_or_no() {
        assert!(with(&[("RemainAfterExit", "TRUE"), ("GuessMainPID", "off")]).remain_after_exit);
        assert!(!with(&[("GuessMainPID", "off")]).guess_main_pid);
        assert!(refused("RemainAfterExit", "maybe").contains("neither"));
    }
}
