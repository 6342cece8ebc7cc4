//! Times on the wire: RFC 1123 with the zone written `UTC`, as the original's clients read and write them.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

const FORMAT: &str = "%a, %d %b %Y %H:%M:%S";

/// Writes `ms` (milliseconds since 1970, UTC) as `Tue, 23 Jun 2015 19:39:11 UTC`.
pub(crate) fn rfc1123(ms: i64) -> String {
    let time = Timestamp::from_millisecond(ms).unwrap_or(if ms < 0 {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    });
    format!("{} UTC", time.strftime(FORMAT))
}

/// Reads what [`rfc1123`] writes, and `GMT` for `UTC`.
pub(crate) fn parse_rfc1123(text: &str) -> Option<i64> {
    let text = text.trim();
    let local = text.strip_suffix(" UTC").or_else(|| text.strip_suffix(" GMT"))?;
    let time = DateTime::strptime(FORMAT, local).ok()?.to_zoned(TimeZone::UTC).ok()?;
    Some(time.timestamp().as_millisecond())
}

/// Now, in milliseconds since 1970, UTC.
pub(crate) fn now_ms() -> i64 {
    Timestamp::now().as_millisecond()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_and_read_in_the_original_form() {
        for (ms, text) in [
            (1_435_088_351_000, "Tue, 23 Jun 2015 19:39:11 UTC"),
            (0, "Thu, 01 Jan 1970 00:00:00 UTC"),
            (1_446_451_200_000, "Mon, 02 Nov 2015 08:00:00 UTC"),
        ] {
            assert_eq!(rfc1123(ms), text);
            assert_eq!(parse_rfc1123(text), Some(ms));
        }
        assert_eq!(parse_rfc1123("Tue, 23 Jun 2015 19:39:11 GMT"), Some(1_435_088_351_000));
    }

    #[test]
    fn anything_else_is_no_time() {
        for text in [
            "",
            "tomorrow",
            "2015-06-23T19:39:11Z",
            "Tue, 23 Jun 2015 25:00:00 UTC",
            "Tue, 23 Jun 2015 19:39:11",
        ] {
            assert_eq!(parse_rfc1123(text), None, "{text}");
        }
    }
}
