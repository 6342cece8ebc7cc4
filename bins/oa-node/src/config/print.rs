//! The configuration as a file: every setting with its explanation and the value that holds.

use std::collections::BTreeMap;
use std::fmt::Write;

use schemars::generate::SchemaSettings;
use serde_json::Value;

use super::Config;

/// Columns of a line of explanation.
const WIDTH: usize = 100;

impl Config {
    /// Everything that can be set, as TOML that `--config` reads again.
    ///
    /// A setting without a value is a comment. One that differs from its default says what that is.
    pub(crate) fn explained(&self) -> String {
        let explanations = explanations();
        let defaults = settings(&text_of(&Self::default().completed()));
        let mut page = String::new();
        let mut section = Section::default();
        for line in text_of(self).lines() {
            if let Some(name) = header(line) {
                section.close(&mut page, &explanations);
                section = Section { name: name.to_owned(), written: Vec::new() };
                explain(&mut page, explanations.get(name));
                let _infallible = writeln!(page, "{line}");
                continue;
            }
            if let Some((key, value)) = setting(line) {
                let path = format!("{}.{key}", section.name);
                section.written.push(path.clone());
                explain(&mut page, explanations.get(&path));
                if let Some(default) = defaults.get(&path).filter(|default| **default != value) {
                    let _infallible = writeln!(page, "# (changed; the default is {default})");
                }
            }
            if !line.is_empty() {
                let _infallible = writeln!(page, "{line}");
            }
        }
        section.close(&mut page, &explanations);
        page
    }
}

/// A table that is being written.
#[derive(Default)]
struct Section {
    name: String,
    written: Vec<String>,
}

impl Section {
    /// Adds what could be set here and is not, and the line between tables.
    fn close(&self, page: &mut String, explanations: &BTreeMap<String, String>) {
        if self.name.is_empty() {
            return;
        }
        for (path, text) in explanations {
            let key = path.strip_prefix(&self.name).and_then(|rest| rest.strip_prefix('.'));
            let Some(key) = key.filter(|key| !key.contains('.')) else { continue };
            let is_table = explanations.keys().any(|other| other.starts_with(&format!("{path}.")));
            if !is_table && !self.written.contains(path) && !text.starts_with(MAP) {
                explain(page, Some(text));
                let _infallible = writeln!(page, "# {key} = \"…\"");
            }
        }
        page.push('\n');
    }
}

/// Begins the explanation of a setting that is a table of names chosen by the operator.
const MAP: &str = "A table: ";

fn text_of(config: &Config) -> String {
    toml::to_string(config).expect("every setting has a form in TOML")
}

/// The value of each setting, by its path.
fn settings(text: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut section = "";
    for line in text.lines() {
        if let Some(name) = header(line) {
            section = name;
        } else if let Some((key, value)) = setting(line) {
            found.insert(format!("{section}.{key}"), value.to_owned());
        }
    }
    found
}

fn header(line: &str) -> Option<&str> {
    line.strip_prefix('[')?.strip_suffix(']')
}

fn setting(line: &str) -> Option<(&str, &str)> {
    line.split_once(" = ").filter(|(key, _)| !key.contains(['"', '[', ' ']))
}

fn explain(page: &mut String, text: Option<&String>) {
    let Some(text) = text else { return };
    let mut line = String::from("#");
    for word in text.split_whitespace() {
        if line.len() + 1 + word.len() > WIDTH {
            page.push_str(&line);
            line = "\n#".into();
        }
        line.push(' ');
        line.push_str(word);
    }
    page.push_str(&line);
    page.push('\n');
}

/// The comment on each field, by the path of its setting.
pub(super) fn explanations() -> BTreeMap<String, String> {
    let settings = SchemaSettings::draft2020_12().with(|with| with.inline_subschemas = true);
    let schema = settings.into_generator().into_root_schema_for::<Config>();
    let mut found = BTreeMap::new();
    collect(schema.as_value(), "", &mut found);
    found
}

fn collect(schema: &Value, path: &str, found: &mut BTreeMap<String, String>) {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return };
    for (name, property) in properties {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let text = property.get("description").and_then(Value::as_str).unwrap_or_default();
        let is_map = property.get("additionalProperties").is_some_and(Value::is_object);
        found.insert(path.clone(), if is_map { format!("{MAP}{text}") } else { text.to_owned() });
        collect(property, &path, found);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the page of the documentation shows: a node whose name and directory depend on no machine.
    fn example() -> Config {
        let mut config = Config::default();
        config.node.name = "node-1".into();
        config.node.data_dir = "/var/lib/openaperture".into();
        config.completed()
    }

    #[test]
    fn every_setting_is_explained() {
        for (path, text) in explanations() {
            assert!(text.len() > 10, "{path} has no explanation: {text:?}");
        }
    }

    #[test]
    fn what_is_printed_is_read_again_as_the_same_configuration() {
        let page = example().explained();
        let again: Config = toml::from_str(&page).unwrap_or_else(|why| panic!("{why}\n{page}"));
        assert_eq!(again.completed().explained(), page);
    }

    #[test]
    fn a_setting_that_was_changed_says_its_default() {
        let mut config = example();
        config.manager.workers = 7;
        let page = config.explained();
        assert!(page.contains("# (changed; the default is 2)\nworkers = 7\n"), "{page}");
    }

    /// `OA_BLESS=1` writes the page instead.
    #[test]
    fn the_documentation_shows_what_is_printed() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration.md");
        let page = std::fs::read_to_string(file).expect("the page");
        let (before, rest) = page.split_once("```toml\n").expect("the page shows a file");
        let (shown, after) = rest.split_once("```").expect("the block ends");
        let printed = example().explained();
        let own = |line: &&str| !line.starts_with("# (changed;");
        let printed =
            printed.trim().lines().filter(own).fold(String::new(), |text, line| text + line + "\n");
        if std::env::var_os("OA_BLESS").is_some() {
            let page = format!("{before}```toml\n{printed}```{after}");
            return std::fs::write(file, page).expect("the page is written");
        }
        assert!(shown == printed, "the page is not up to date; run this test with OA_BLESS=1");
    }
}
