//! Names that somebody may have meant.

/// Up to three of `names` that are near `typed`, the nearest first.
pub(crate) fn nearest<'a>(typed: &str, names: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let typed_lower = typed.to_lowercase();
    let limit = typed.chars().count() / 3 + 1;
    let mut near: Vec<(usize, &str)> = Vec::new();
    for name in names {
        let lower = name.to_lowercase();
        let apart = if lower.contains(&typed_lower) { 0 } else { distance(&typed_lower, &lower) };
        if apart <= limit && !near.iter().any(|(_, known)| *known == name) {
            near.push((apart, name));
        }
    }
    near.sort();
    near.into_iter().take(3).map(|(_, name)| name).collect()
}

/// Characters to insert, remove or replace (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_edits() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "ab"), 2);
        assert_eq!(distance("same", "same"), 0);
    }

    #[test]
    fn the_nearest_names_come_first_and_strangers_never() {
        let names = ["hello@0.service", "hello@1.service", "db.service", "hallo@0.service"];
        assert_eq!(
            nearest("helo@0.service", names),
            ["hello@0.service", "hallo@0.service", "hello@1.service"]
        );
        assert_eq!(nearest("db", names), ["db.service"]);
        assert!(nearest("zzz", names).is_empty());
    }
}
