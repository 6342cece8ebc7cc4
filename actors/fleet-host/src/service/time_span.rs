//! Spans of time as systemd writes them.

use std::time::Duration;

/// Reads `5`, `5s`, `1min 30s`, `500ms`; `infinity` and `0` where a limit is meant are `None`.
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
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let number: u32 = rest[..digits].parse().map_err(|_| refuse())?;
        rest = rest[digits..].trim_start();
        let letters = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        let unit = match &rest[..letters] {
            "" | "s" | "sec" | "second" | "seconds" => Duration::from_secs(1),
            "ms" | "msec" => Duration::from_millis(1),
            "us" | "usec" => Duration::from_micros(1),
            "m" | "min" | "minute" | "minutes" => Duration::from_secs(60),
            "h" | "hr" | "hour" | "hours" => Duration::from_secs(3600),
            "d" | "day" | "days" => Duration::from_secs(86400),
            _ => return Err(refuse()),
        };
        total = total.saturating_add(unit.saturating_mul(number));
        rest = rest[letters..].trim_start();
    }
    Ok(Some(total))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_as_systemd_reads_them() {
        let cases =
            [("5", 5000), ("500ms", 500), ("1min 30s", 90_000), ("2h", 7_200_000), ("0", 0)];
        for (text, milliseconds) in cases {
            assert_eq!(parse(text), Ok(Some(Duration::from_millis(milliseconds))), "{text}");
        }
        assert_eq!(parse("infinity"), Ok(None));
        for text in ["", "x", "5 parsecs", "-1"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
