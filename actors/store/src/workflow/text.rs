//! Times as text for people.

/// A duration as people say it: `350 ms`, `2 s`, `1 min 5 s`, `2 h 3 min`, `1 d 4 h`.
#[must_use]
pub fn duration_text(ms: i64) -> String {
    let ms = ms.max(0);
    if ms < 1000 {
        return format!("{ms} ms");
    }
    let (s, min, h, d) = (ms / 1000, ms / 60_000, ms / 3_600_000, ms / 86_400_000);
    match (d, h, min) {
        (0, 0, 0) => format!("{s} s"),
        (0, 0, _) => format!("{min} min {} s", s % 60),
        (0, _, _) => format!("{h} h {} min", min % 60),
        _ => format!("{d} d {} h", h % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::duration_text;

    #[test]
    fn a_duration_reads_as_people_say_it() {
        let cases = [
            (-5, "0 ms"),
            (350, "350 ms"),
            (2_999, "2 s"),
            (65_000, "1 min 5 s"),
            (7_380_000, "2 h 3 min"),
            (100_800_000, "1 d 4 h"),
        ];
        for (ms, text) in cases {
            assert_eq!(duration_text(ms), text);
        }
    }
}
