//! Spans of time as systemd writes them.

use std::time::Duration;

/// Reads `5`, `1.5s`, `1min 30s`, `500ms`; `infinity` is `None`.
///
/// # Source
///
/// systemd.time(7), "Parsing Time Spans"; a bare number is seconds.
pub(crate) fn parse(text: &str) -> Result<Option<Duration>, String> {
    let text = text.trim();
    if text == "infinity" {
        return Ok(None);
    }
    let refuse = || {
        format!(
            "`{text}` is no span of time; write for instance `5`, `500ms`, `1min 30s` or `infinity`"
        )
    };
    let mut total = Duration::ZERO;
    let mut rest = text;
    if rest.is_empty() {
        return Err(refuse());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let number = &rest[..digits];
        rest = rest[digits..].trim_start();
        let letters = rest.find(|c: char| !c.is_alphabetic()).unwrap_or(rest.len());
        let one = one_of(&rest[..letters]).ok_or_else(refuse)?;
        total = total.saturating_add(times(number, one).ok_or_else(refuse)?);
        rest = rest[letters..].trim_start();
    }
    Ok(Some(total))
}

fn one_of(unit: &str) -> Option<Duration> {
    Some(match unit {
        "" | "s" | "sec" | "second" | "seconds" => Duration::from_secs(1),
        "ms" | "msec" => Duration::from_millis(1),
        "us" | "usec" | "µs" | "μs" => Duration::from_micros(1),
        "m" | "min" | "minute" | "minutes" => Duration::from_secs(60),
        "h" | "hr" | "hour" | "hours" => Duration::from_secs(3600),
        "d" | "day" | "days" => Duration::from_secs(86_400),
        "w" | "week" | "weeks" => Duration::from_secs(604_800),
        "M" | "month" | "months" => Duration::from_secs(2_629_800),
        "y" | "year" | "years" => Duration::from_secs(31_557_600),
        _ => return None,
    })
}

/// `1.5` times a unit, to the microsecond.
fn times(number: &str, one: Duration) -> Option<Duration> {
    let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
    let whole: u32 = whole.parse().ok()?;
    let is_fraction = part.len() <= 9 && !part.is_empty() && !part.contains('.');
    let part: f64 = format!("0.{}", Some(part).filter(|_| is_fraction)?).parse().ok()?;
    let fraction = one.mul_f64(part);
    let micros = u64::try_from(fraction.as_micros()).ok()?;
    Some(one.saturating_mul(whole).saturating_add(Duration::from_micros(micros)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_as_systemd_reads_them() {
        let cases = [
            ("5", 5000),
            ("500ms", 500),
            ("1min 30s", 90_000),
            ("1min30s", 90_000),
            ("2h", 7_200_000),
            ("1.5s", 1500),
            ("0.25", 250),
            ("1w", 604_800_000),
            ("0", 0),
        ];
        for (text, milliseconds) in cases {
            assert_eq!(parse(text), Ok(Some(Duration::from_millis(milliseconds))), "{text}");
        }
        assert_eq!(parse("infinity"), Ok(None));
        for text in ["", "x", "5 parsecs", "-1", "1.", ".", "1.2.3", "s"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
