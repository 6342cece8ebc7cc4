//! Times and foreign text for people.

use std::time::Duration;

/// A duration as people say it: `350 ms`, `3.2 s`, `1 min 5 s`, `2 h 3 min`.
pub(crate) fn duration(time: Duration) -> String {
    let (ms, s) = (time.as_millis(), time.as_secs());
    match s {
        0 => format!("{ms} ms"),
        1..60 => format!("{}.{} s", s, ms % 1000 / 100),
        60..3600 => format!("{} min {} s", s / 60, s % 60),
        _ => format!("{} h {} min", s / 3600, s % 3600 / 60),
    }
}

/// Text from elsewhere in one line, without characters that move the cursor.
pub(crate) fn printable(text: &str) -> String {
    text.trim_end().chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_reads_as_people_say_it() {
        for (ms, text) in [
            (0, "0 ms"),
            (350, "350 ms"),
            (3_250, "3.2 s"),
            (65_000, "1 min 5 s"),
            (7_380_000, "2 h 3 min"),
        ] {
            assert_eq!(duration(Duration::from_millis(ms)), text);
        }
    }
}
