//! What one process may use (`Limit*=`), and what all of the unit may use together (control groups).

use std::fs;

use super::super::draft::Draft;
use super::super::plan::{Limit, Resources};
use super::super::time_span;
use super::{Known, boolean, known};

macro_rules! limit_options {
    ($($name:literal: $read:path),* $(,)?) => {
        &[
            $(known($name, |draft, value| limit(draft, $name, value, $read)),)*
            known("MemoryMax", memory_max),
            known("MemoryLimit", memory_max),
            known("CPUQuota", cpu_quota),
            known("TasksMax", tasks_max),
            known("MemoryAccounting", |_, value| boolean(value).map(drop)),
            known("CPUAccounting", |_, value| boolean(value).map(drop)),
            known("TasksAccounting", |_, value| boolean(value).map(drop)),
        ]
    };
}

pub(super) const OPTIONS: &[Known] = limit_options! {
    "LimitAS": bytes,
    "LimitCORE": bytes,
    "LimitCPU": seconds,
    "LimitDATA": bytes,
    "LimitFSIZE": bytes,
    "LimitLOCKS": number,
    "LimitMEMLOCK": bytes,
    "LimitMSGQUEUE": bytes,
    "LimitNICE": nice,
    "LimitNOFILE": number,
    "LimitNPROC": number,
    "LimitRSS": bytes,
    "LimitRTPRIO": number,
    "LimitRTTIME": microseconds,
    "LimitSIGPENDING": number,
    "LimitSTACK": bytes,
};

/// `5`, `soft:hard` or `infinity`; the last one counts.
fn limit(
    draft: &mut Draft<'_>,
    option: &str,
    value: &str,
    read: fn(&str) -> Option<u64>,
) -> Result<(), String> {
    let value = draft.specifiers.expand(value)?;
    let one = |text: &str| match text {
        "infinity" => Ok(None),
        text => read(text).map(Some).ok_or_else(|| {
            format!("`{value}` is no limit; write for instance `1024`, `512:1024` or `infinity`")
        }),
    };
    let (soft, hard) = match value.split_once(':') {
        Some((soft, hard)) => (one(soft)?, one(hard)?),
        None => (one(&value)?, one(&value)?),
    };
    if hard.is_some_and(|hard| soft.is_none_or(|soft| soft > hard)) {
        return Err(format!("`{value}`: the soft limit is above the hard one"));
    }
    draft.plan.limits.retain(|limit| limit.option != option);
    draft.plan.limits.push(Limit { option: option.to_owned(), soft, hard });
    Ok(())
}

fn number(text: &str) -> Option<u64> {
    text.parse().ok()
}

/// `-5` or `+5` as `Nice=` has it, or the kernel's own number from 0 to 40.
fn nice(text: &str) -> Option<u64> {
    let is_nice = text.starts_with(['+', '-']);
    let value: i64 = text.parse().ok()?;
    let value = if is_nice { 20 - value } else { value };
    u64::try_from(value).ok().filter(|value| *value <= 40)
}

fn seconds(text: &str) -> Option<u64> {
    let span = time_span::parse(text).ok()??;
    Some(span.as_secs() + u64::from(span.subsec_nanos() > 0))
}

/// A bare number is microseconds here.
fn microseconds(text: &str) -> Option<u64> {
    let bare = text.parse().ok();
    bare.or_else(|| u64::try_from(time_span::parse(text).ok()??.as_micros()).ok())
}

/// `512`, `1.5G`; the units are powers of 1024.
fn bytes(text: &str) -> Option<u64> {
    let (number, unit) = match text.char_indices().next_back() {
        Some((at, unit)) if unit.is_ascii_alphabetic() => (&text[..at], unit),
        _ => (text, 'B'),
    };
    let power = "BKMGTPE".find(unit)?;
    let one = 1_u64.checked_shl(u32::try_from(power * 10).ok()?)?;
    match number.trim().split_once('.') {
        None => number.trim().parse::<u64>().ok()?.checked_mul(one),
        Some((whole, part)) if part.len() <= 6 => {
            let scale = 10_u64.pow(u32::try_from(part.len()).ok()?);
            let fraction: u64 = part.parse().ok()?;
            let whole = whole.parse::<u64>().ok()?.checked_mul(one)?;
            let part = u128::from(fraction) * u128::from(one) / u128::from(scale);
            whole.checked_add(u64::try_from(part).ok()?)
        }
        Some(_) => None,
    }
}

/// `20%` or `12.5%`, in hundredths of a percent.
fn percent(text: &str) -> Option<u64> {
    let number = text.strip_suffix('%')?;
    let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
    if part.is_empty() || part.len() > 2 {
        return None;
    }
    let part: u64 = format!("{part:0<2}").parse().ok()?;
    whole.parse::<u64>().ok()?.checked_mul(100)?.checked_add(part)
}

fn share(of: u64, hundredths: u64) -> u64 {
    u64::try_from(u128::from(of) * u128::from(hundredths) / 10_000).unwrap_or(u64::MAX)
}

fn memory_max(draft: &mut Draft<'_>, value: &str) -> Result<(), String> {
    let limit = match value {
        "" | "infinity" => None,
        value => {
            let of_all = percent(value).map(|hundredths| share(memory_of_machine(), hundredths));
            let limit = bytes(value).or(of_all).filter(|limit| *limit > 0);
            Some(limit.ok_or_else(|| {
                format!("`{value}` is no amount of memory; write for instance `512M`, `25%` or `infinity`")
            })?)
        }
    };
    draft.plan.resources.memory_max_bytes = limit;
    Ok(())
}

fn cpu_quota(draft: &mut Draft<'_>, value: &str) -> Result<(), String> {
    draft.plan.resources.cpu_quota_us = match value {
        "" => None,
        value => {
            let quota = percent(value).filter(|hundredths| *hundredths > 0);
            let quota = quota.ok_or_else(|| {
                format!("`{value}` is no share of a processor; write for instance `50%` or `200%`")
            })?;
            // The kernel takes no less than a millisecond.
            Some(share(Resources::CPU_PERIOD_US, quota).max(1000))
        }
    };
    Ok(())
}

fn tasks_max(draft: &mut Draft<'_>, value: &str) -> Result<(), String> {
    draft.plan.resources.tasks_max = match value {
        "" | "infinity" => None,
        value => {
            let of_all = percent(value).map(|hundredths| share(tasks_of_machine(), hundredths));
            let limit = number(value).or(of_all).filter(|limit| *limit > 0);
            Some(limit.ok_or_else(|| {
                format!(
                    "`{value}` is no number of tasks; write for instance `64`, `10%` or `infinity`"
                )
            })?)
        }
    };
    Ok(())
}

fn memory_of_machine() -> u64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse().ok());
    kib.unwrap_or(0_u64) * 1024
}

fn tasks_of_machine() -> u64 {
    let number = |name: &str| {
        let text = fs::read_to_string(format!("/proc/sys/kernel/{name}")).unwrap_or_default();
        text.trim().parse().unwrap_or(32_768_u64)
    };
    number("pid_max").min(number("threads-max"))
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{refused, with};
    use super::*;

    #[test]
    fn limits_of_a_process_are_soft_and_hard() {
        let limits = |name, value| {
            let limit = with(&[(name, "1"), (name, value)]).limits.remove(0);
            (limit.soft, limit.hard)
        };
        let cases = [
            ("LimitNOFILE", "1024", Some(1024), Some(1024)),
            ("LimitNOFILE", "512:infinity", Some(512), None),
            ("LimitCORE", "infinity", None, None),
            ("LimitMEMLOCK", "64K:1M", Some(65_536), Some(1_048_576)),
            ("LimitAS", "1.5G", Some(1_610_612_736), Some(1_610_612_736)),
            ("LimitCPU", "1min 1500ms", Some(62), Some(62)),
            ("LimitRTTIME", "5:10ms", Some(5), Some(10_000)),
            ("LimitNICE", "-5:30", Some(25), Some(30)),
            ("LimitNPROC", "7", Some(7), Some(7)),
        ];
        for (name, value, soft, hard) in cases {
            assert_eq!(limits(name, value), (soft, hard), "{name}={value}");
        }
        let bad = [
            ("LimitNOFILE", "many"),
            ("LimitNOFILE", "2:1"),
            ("LimitCORE", "1Q"),
            ("LimitNICE", "-30"),
        ];
        for (name, value) in bad {
            assert!(refused(name, value).contains(value));
        }
    }

    #[test]
    fn limits_of_all_processes_are_amounts_or_shares() {
        let resources = |name, value| with(&[(name, value)]).resources;
        assert_eq!(resources("MemoryMax", "64M").memory_max_bytes, Some(64 << 20));
        assert_eq!(resources("MemoryLimit", "1048576").memory_max_bytes, Some(1 << 20));
        assert_eq!(resources("MemoryMax", "infinity").memory_max_bytes, None);
        let half = resources("MemoryMax", "50%").memory_max_bytes.expect("a limit");
        assert_eq!(half, memory_of_machine() / 2);
        assert_eq!(resources("CPUQuota", "150%").cpu_quota_us, Some(150_000));
        assert_eq!(resources("CPUQuota", "12.5%").cpu_quota_us, Some(12_500));
        assert_eq!(resources("CPUQuota", "0.01%").cpu_quota_us, Some(1000));
        assert_eq!(resources("TasksMax", "64").tasks_max, Some(64));
        assert!(resources("TasksMax", "10%").tasks_max.is_some_and(|tasks| tasks > 64));
        let reset = with(&[("TasksMax", "64"), ("TasksMax", "")]).resources;
        assert_eq!(reset, Resources::default());
        let bad = [
            ("MemoryMax", "0"),
            ("MemoryMax", "x"),
            ("CPUQuota", "50"),
            ("CPUQuota", "0%"),
            ("TasksMax", "-1"),
        ];
        for (name, value) in bad {
            assert!(refused(name, value).contains(value));
        }
    }
}
