//! Names of signals and of exit codes.
//!
//! # Source
//!
//! signal(7), the numbers that x86, ARM and RISC-V have; systemd.exec(5), "Process Exit Codes"; sysexits.h.

pub(crate) const HUP: i32 = 1;
pub(crate) const INT: i32 = 2;
pub(crate) const KILL: i32 = 9;
pub(crate) const PIPE: i32 = 13;
pub(crate) const TERM: i32 = 15;
pub(crate) const CONT: i32 = 18;

/// Without their `SIG`, by number from 1.
const NAMES: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2",
    "PIPE", "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG",
    "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
];
/// Numbers from here on are real-time signals.
pub(super) const FIRST_REAL_TIME: i32 = 32;
const RTMIN: i32 = 34;
const RTMAX: i32 = 64;

/// `SIGTERM`, `TERM`, `15`, `RTMIN+3`.
pub(crate) fn signal(text: &str) -> Result<i32, String> {
    let name = text.strip_prefix("SIG").unwrap_or(text);
    let number = match name.parse::<i32>() {
        Ok(number) => Some(number).filter(|_| !text.starts_with("SIG") && !name.starts_with('+')),
        Err(_) => by_name(name),
    };
    number.filter(|number| (1..=RTMAX).contains(number)).ok_or_else(|| {
        format!("`{text}` is no signal; use a name such as SIGTERM or a number from 1 to {RTMAX}")
    })
}

fn by_name(name: &str) -> Option<i32> {
    if let Some(at) = NAMES.iter().position(|known| *known == name) {
        return i32::try_from(at + 1).ok();
    }
    let real_time = match name.split_at_checked(5)? {
        ("RTMIN", "") => RTMIN,
        ("RTMAX", "") => RTMAX,
        ("RTMIN", more) => RTMIN + more.strip_prefix('+')?.parse::<u8>().map(i32::from).ok()?,
        ("RTMAX", less) => RTMAX - less.strip_prefix('-')?.parse::<u8>().map(i32::from).ok()?,
        _ => return None,
    };
    (RTMIN..=RTMAX).contains(&real_time).then_some(real_time)
}

/// `TERM` for 15.
pub(crate) fn signal_name(number: i32) -> String {
    let known = usize::try_from(number - 1).ok().and_then(|at| NAMES.get(at));
    match known {
        Some(name) => (*name).to_owned(),
        None if (RTMIN..=RTMAX).contains(&number) => format!("RTMIN+{}", number - RTMIN),
        None => number.to_string(),
    }
}

/// Exit codes that have a name.
const CODES: &[(&str, i32)] = &[
    ("SUCCESS", 0),
    ("FAILURE", 1),
    ("INVALIDARGUMENT", 2),
    ("NOTIMPLEMENTED", 3),
    ("NOPERMISSION", 4),
    ("NOTINSTALLED", 5),
    ("NOTCONFIGURED", 6),
    ("NOTRUNNING", 7),
    ("USAGE", 64),
    ("DATAERR", 65),
    ("NOINPUT", 66),
    ("NOUSER", 67),
    ("NOHOST", 68),
    ("UNAVAILABLE", 69),
    ("SOFTWARE", 70),
    ("OSERR", 71),
    ("OSFILE", 72),
    ("CANTCREAT", 73),
    ("IOERR", 74),
    ("TEMPFAIL", 75),
    ("PROTOCOL", 76),
    ("NOPERM", 77),
    ("CONFIG", 78),
    ("CHDIR", CHDIR),
    ("NICE", NICE),
    ("EXEC", EXEC),
    ("MEMORY", MEMORY),
    ("LIMITS", LIMITS),
    ("OOM_ADJUST", OOM_ADJUST),
    ("STDIN", STDIN),
    ("GROUP", GROUP),
    ("USER", USER),
    ("CGROUP", CGROUP),
];
pub(crate) const CHDIR: i32 = 200;
pub(crate) const NICE: i32 = 201;
pub(crate) const EXEC: i32 = 203;
pub(crate) const MEMORY: i32 = 204;
pub(crate) const LIMITS: i32 = 205;
pub(crate) const OOM_ADJUST: i32 = 206;
pub(crate) const STDIN: i32 = 208;
pub(crate) const GROUP: i32 = 216;
pub(crate) const USER: i32 = 217;
pub(crate) const CGROUP: i32 = 219;

/// A code from 0 to 255, by number or name.
pub(super) fn exit_code(text: &str) -> Option<i32> {
    let named = CODES.iter().find(|(name, _)| *name == text).map(|(_, code)| *code);
    named.or_else(|| text.parse::<u8>().ok().map(i32::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_has_names_and_a_number() {
        let cases = [
            ("SIGTERM", 15),
            ("TERM", 15),
            ("15", 15),
            ("SIGSYS", 31),
            ("RTMIN+3", 37),
            ("SIGRTMAX-1", 63),
            ("RTMIN", 34),
        ];
        for (text, number) in cases {
            assert_eq!(signal(text), Ok(number), "{text}");
        }
        for text in ["", "SIG", "FOO", "0", "65", "-1", "SIG15", "RTMIN+99", "RTMAX+1", "term"] {
            assert!(signal(text).is_err(), "{text}");
        }
        for number in (1..=31).chain(RTMIN..=RTMAX) {
            assert_eq!(signal(&signal_name(number)), Ok(number));
        }
    }

    #[test]
    fn an_exit_code_may_have_a_name() {
        assert_eq!(exit_code("TEMPFAIL"), Some(75));
        assert_eq!(exit_code("143"), Some(143));
        assert_eq!((exit_code("256"), exit_code("SIGTERM")), (None, None));
    }
}
