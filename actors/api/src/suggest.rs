//! Names that somebody may have meant.

/// Most names that are suggested.
const SHOWN: usize = 3;

/// So much farther than the nearest name a name may be and still be meant.
const RIVALS: usize = 2;

/// Up to three of `names` that are near `typed`, the nearest first.
///
/// A name is near if it holds what was typed, or if at most a third of the characters (and one) have to be inserted,
/// removed, replaced or swapped, and not many more than to the nearest name.
pub fn nearest<'a>(typed: &str, names: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let typed = typed.to_lowercase();
    let limit = typed.chars().count() / 3 + 1;
    let mut near: Vec<(usize, &str)> = Vec::new();
    for name in names {
        let lower = name.to_lowercase();
        let holds = typed.chars().count() > 1 && lower.contains(&typed);
        let apart = if holds { 0 } else { strsim::osa_distance(&typed, &lower) };
        if apart <= limit && !near.iter().any(|(_, known)| *known == name) {
            near.push((apart, name));
        }
    }
    near.sort();
    let best = near.first().map_or(0, |(apart, _)| *apart);
    let rivals = near.into_iter().take_while(|(apart, _)| *apart <= best + RIVALS);
    rivals.take(SHOWN).map(|(_, name)| name).collect()
}

/// `did you mean a, b or c?`; nothing if no name is near.
pub fn did_you_mean<'a>(typed: &str, names: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let near: Vec<String> = nearest(typed, names).iter().map(|name| format!("`{name}`")).collect();
    let (last, first) = near.split_last()?;
    Some(match first {
        [] => format!("did you mean {last}?"),
        first => format!("did you mean {} or {last}?", first.join(", ")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 4] =
        ["hello@0.service", "hello@1.service", "db.service", "hallo@0.service"];

    #[test]
    fn the_nearest_names_come_first_and_strangers_never() {
        let near = ["hello@0.service", "hallo@0.service", "hello@1.service"];
        assert_eq!(nearest("helo@0.service", NAMES), near);
        assert_eq!(nearest("db", NAMES), ["db.service"]);
        assert!(nearest("zzz", NAMES).is_empty());
        assert!(nearest("", NAMES).is_empty());
    }

    #[test]
    fn two_swapped_letters_are_one_slip() {
        assert_eq!(nearest("mian", ["main", "topic"]), ["main"]);
        assert_eq!(nearest("slwo.service", ["slow.service", "busy.service"]), ["slow.service"]);
    }

    #[test]
    fn a_suggestion_reads_as_a_sentence() {
        assert_eq!(
            did_you_mean("mian", ["main", "topic"]).as_deref(),
            Some("did you mean `main`?")
        );
        assert_eq!(
            did_you_mean("helo@0.service", NAMES).as_deref(),
            Some("did you mean `hello@0.service`, `hallo@0.service` or `hello@1.service`?")
        );
        assert_eq!(did_you_mean("zzz", NAMES), None);
    }
}
