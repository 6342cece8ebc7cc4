//! The setting that somebody may have meant.

use std::collections::BTreeSet;

use super::print::explanations;

/// Settings with names near to one that does not exist, for the first such one in a file.
pub(super) fn suggestion(text: &str) -> Option<String> {
    let known: BTreeSet<String> = explanations().into_keys().collect();
    let table: toml::Table = text.parse().ok()?;
    let mut typed = Vec::new();
    paths(&table, "", &mut typed);
    let unknown = typed.into_iter().find(|path| !is_known(path, &known))?;
    let last = |path: &str| path.rsplit('.').next().unwrap_or_default().to_owned();
    let parent = unknown.rsplit_once('.').map_or("", |(parent, _)| parent);
    // Near in the whole path, or the same name in another table.
    let apart = |path: &String| {
        let same_table = path.rsplit_once('.').map_or("", |(parent, _)| parent) == parent;
        let apart = strsim::damerau_levenshtein(&last(path), &last(&unknown));
        (apart, !same_table)
    };
    let nearest = known.iter().min_by_key(|path| apart(path))?;
    let close_enough = apart(nearest).0 <= last(&unknown).chars().count() / 3 + 1;
    close_enough.then(|| format!("`{unknown}` does not exist; did you mean `{nearest}`?"))
}

/// Names below a table of the operator's own names are free.
fn is_known(path: &str, known: &BTreeSet<String>) -> bool {
    known.contains(path) || path.starts_with("builder.https_tokens.")
}

fn paths(table: &toml::Table, above: &str, found: &mut Vec<String>) {
    for (name, value) in table {
        let path = if above.is_empty() { name.clone() } else { format!("{above}.{name}") };
        found.push(path.clone());
        if let Some(inner) = value.as_table() {
            paths(inner, &path, found);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_setting_is_named() {
        let cases = [
            ("[node]\nnaem = \"x\"", "node.name"),
            ("[manager]\nlissten = \"x\"", "manager.listen"),
            ("[mangaer]\nlisten = \"x\"", "manager"),
            ("[cluster.local]\nfirst_prot = 1", "cluster.local.first_port"),
            ("[node]\nlisten = \"x\"", "manager.listen"),
        ];
        for (text, wanted) in cases {
            let found = suggestion(text).unwrap_or_else(|| panic!("nothing for {text}"));
            assert!(found.contains(&format!("did you mean `{wanted}`")), "{found}");
        }
    }

    #[test]
    fn a_stranger_gets_no_suggestion() {
        assert_eq!(suggestion("[node]\nzzzzzzzzzz = 1"), None);
        assert_eq!(suggestion("[node]\nname = \"x\""), None);
    }
}
