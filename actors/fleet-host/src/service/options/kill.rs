//! How a unit is ended.

use super::super::plan::KillMode;
use super::super::signals;
use super::{Known, boolean, known, one_of};

pub(super) const OPTIONS: &[Known] = &[
    known("KillMode", |draft, value| {
        draft.plan.kill.mode = one_of(value, MODES)?;
        Ok(())
    }),
    known("KillSignal", |draft, value| {
        draft.plan.kill.signal = sendable(value)?;
        Ok(())
    }),
    known("FinalKillSignal", |draft, value| {
        draft.plan.kill.final_signal = sendable(value)?;
        Ok(())
    }),
    known("SendSIGHUP", |draft, value| {
        draft.plan.kill.and_hangup = boolean(value)?;
        Ok(())
    }),
    known("SendSIGKILL", |draft, value| {
        draft.plan.kill.and_kill = boolean(value)?;
        Ok(())
    }),
];

const MODES: &[(&str, KillMode)] = &[
    ("control-group", KillMode::ControlGroup),
    ("mixed", KillMode::Mixed),
    ("process", KillMode::Process),
    ("none", KillMode::None),
];

/// Real-time signals have no meaning to begin with, and none is sent by this host.
fn sendable(value: &str) -> Result<i32, String> {
    let number = signals::signal(value)?;
    let fine = number < signals::FIRST_REAL_TIME;
    fine.then_some(number)
        .ok_or_else(|| format!("`{value}` is a real-time signal, which this host does not send"))
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{refused, with};
    use super::*;

    #[test]
    fn the_end_is_read_as_it_is_asked_for() {
        for (value, mode) in MODES {
            assert_eq!(with(&[("KillMode", value)]).kill.mode, *mode);
        }
        let kill = with(&[
            ("KillSignal", "SIGINT"),
            ("FinalKillSignal", "QUIT"),
            ("SendSIGHUP", "yes"),
            ("SendSIGKILL", "no"),
        ]);
        let kill = kill.kill;
        assert_eq!((kill.signal, kill.final_signal), (2, 3));
        assert!(kill.and_hangup && !kill.and_kill);
        assert!(refused("KillSignal", "SIGRTMIN+3").contains("real-time"));
        for name in ["KillMode", "KillSignal", "FinalKillSignal", "SendSIGHUP", "SendSIGKILL"] {
            assert!(refused(name, "whatever").contains("whatever"));
        }
    }
}
