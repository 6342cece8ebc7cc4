//! The files of a deployment repository: which are read, what they say, what is rendered.
//!
//! | file | says |
//! |---|---|
//! | `etcd.json` | the cluster |
//! | `source.json` | where the source lies, unless the workflow says it |
//! | `fleet.json` | instances, health, rollout |
//! | `docker.json` | the image; read and checked, nothing is built from it here |
//! | `*.service` | units |
//! | `*.service.eex`, `Dockerfile.eex`, … | templates, rendered to the name without `.eex` |
//!
//! Only the top directory is read, and only regular files of a bounded size.

mod entries;
mod settings;

use std::collections::{BTreeMap, BTreeSet};

use oa_fleet::unit_file;
use oa_protocol::unit::Unit;

use crate::error::BuildError;
use crate::git::{NewFile, Objects, Tree};
use crate::template::{Values, render};

use self::entries::{check_kind, wanted_name};

/// Size that one file may have.
const FILE_LIMIT: usize = 1 << 20;
/// Size that all files that are read may have together.
const TOTAL_LIMIT: usize = 16 << 20;
/// Files that are read at most.
const COUNT_LIMIT: usize = 1000;
/// Ending of a template.
const TEMPLATE: &str = ".eex";
const UNIT: &str = ".service";

/// Templates that are rendered beside those of units.
const TEMPLATES: [&str; 4] =
    ["Dockerfile.eex", "ecs_task_definition.json.eex", "install.sh.eex", "update.sh.eex"];
const JSON_FILES: [&str; 4] = ["docker.json", "etcd.json", "fleet.json", "source.json"];

/// A file as it stands in the repository.
#[derive(Debug, Clone, PartialEq, Eq)]
struct File {
    text: String,
    executable: bool,
}

/// The files of one revision that mean something.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Files {
    files: BTreeMap<String, File>,
}

impl Files {
    /// Reads what means something from `tree`.
    pub(crate) async fn read(objects: &mut Objects, tree: &Tree) -> Result<Self, BuildError> {
        let mut files = BTreeMap::new();
        let mut total = 0;
        for entry in tree {
            let Some(name) = wanted_name(entry)? else { continue };
            check_kind(entry, &name)?;
            let refuse = |why: String| BuildError::File { file: name.clone(), why };
            if files.len() == COUNT_LIMIT {
                return Err(refuse(format!(
                    "it is one file too many; {COUNT_LIMIT} are read at most"
                )));
            }
            let bytes = objects.blob(&entry.object, &name, FILE_LIMIT).await?;
            total += bytes.len();
            if TOTAL_LIMIT < total {
                return Err(refuse(format!(
                    "with it the files have more than {TOTAL_LIMIT} bytes together"
                )));
            }
            let text = String::from_utf8(bytes).map_err(|why| {
                refuse(format!(
                    "it is not UTF-8 text, from byte {} on",
                    why.utf8_error().valid_up_to()
                ))
            })?;
            files.insert(name, File { text, executable: entry.mode == "100755" });
        }
        Ok(Self { files })
    }

    /// Fills `values` into every template and returns what is new or has changed; the files are then as rendered.
    ///
    /// `dst_port` is known in templates of units only, and stays for the Deployer to fill in.
    pub(crate) fn render(&mut self, values: &Values) -> Result<Vec<NewFile>, BuildError> {
        let unit_values = values.clone().with("dst_port", "<%= dst_port %>");
        let mut changed = Vec::new();
        let templates: Vec<String> =
            self.files.keys().filter(|name| name.ends_with(TEMPLATE)).cloned().collect();
        for template in templates {
            let target = template.strip_suffix(TEMPLATE).unwrap_or(&template).to_owned();
            let source = &self.files[&template];
            let values = if target.ends_with(UNIT) { &unit_values } else { values };
            let text = render(&template, &source.text, values)?;
            let before = self.files.get(&target);
            if before.is_some_and(|before| before.text == text) {
                continue;
            }
            let executable = before.map_or(source.executable, |before| before.executable);
            changed.push(NewFile { name: target.clone(), text: text.clone(), executable });
            self.files.insert(target, File { text, executable });
        }
        Ok(changed)
    }

    /// Every `*.service`, read.
    pub(crate) fn units(&self, needed: bool) -> Result<Vec<Unit>, BuildError> {
        let units = self.files.iter().filter(|(name, _)| name.ends_with(UNIT));
        let units: Vec<Unit> = units
            .map(|(name, file)| Ok(Unit::new(name.clone(), unit_file::parse(&file.text, name)?)))
            .collect::<Result<_, BuildError>>()?;
        if needed && units.is_empty() {
            return Err(BuildError::MissingFile {
                file: "*.service file",
                why: "a deployment needs at least one unit",
            });
        }
        Ok(units)
    }

    /// What a person wrote: all but what templates are rendered to.
    pub(crate) fn inputs(&self) -> Self {
        let rendered = |name: &str| self.files.contains_key(&format!("{name}{TEMPLATE}"));
        let inputs = self.files.iter().filter(|(name, _)| !rendered(name));
        Self { files: inputs.map(|(name, file)| (name.clone(), file.clone())).collect() }
    }

    /// Names of files that differ from those of `other`, or are on one side only.
    pub(crate) fn differences(&self, other: &Self) -> Vec<String> {
        let names: BTreeSet<&String> = self.files.keys().chain(other.files.keys()).collect();
        let differs = |name: &&String| self.files.get(*name) != other.files.get(*name);
        names.into_iter().filter(differs).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Files {
        /// These files (name, text), none of them executable.
        pub(crate) fn of(files: &[(&str, &str)]) -> Self {
            let file = |text: &str| File { text: text.to_owned(), executable: false };
            Self {
                files: files.iter().map(|(name, text)| ((*name).to_owned(), file(text))).collect(),
            }
        }
    }

    fn values() -> Values {
        Values::default()
            .with("commit_hash", "abc")
            .with("timestamp", "Tue, 24 Nov 2026 21:30:39 GMT")
    }

    #[test]
    fn every_template_of_the_list_is_rendered() {
        let mut repository = Files::of(&[
            (
                "app@.service.eex",
                "[Service]\nExecStart=/bin/app {{ commit_hash }} <%= dst_port %>\n",
            ),
            ("Dockerfile.eex", "LABEL c=<%= commit_hash %> t=\"<%= timestamp %>\"\n"),
            ("install.sh.eex", "echo {{ commit_hash }}\n"),
            ("update.sh.eex", "echo {{ commit_hash }}\n"),
            ("ecs_task_definition.json.eex", "{\"tag\": \"{{ commit_hash }}\"}"),
        ]);
        let changed = repository.render(&values()).expect("rendered");
        let names: Vec<&str> = changed.iter().map(|file| file.name.as_str()).collect();
        assert_eq!(
            names,
            ["Dockerfile", "app@.service", "ecs_task_definition.json", "install.sh", "update.sh"]
        );
        assert!(changed[1].text.ends_with("app abc <%= dst_port %>\n"), "{}", changed[1].text);
        assert_eq!(repository.units(true).expect("units")[0].name, "app@.service");
        assert!(
            repository.render(&values()).expect("rendered").is_empty(),
            "a second run changes nothing"
        );
    }

    #[test]
    fn dst_port_is_unknown_outside_of_units() {
        let refusal = Files::of(&[("Dockerfile.eex", "EXPOSE {{ dst_port }}")])
            .render(&values())
            .expect_err("no port");
        assert!(refusal.to_string().contains("Dockerfile.eex, line 1, column 8"), "{refusal}");
    }

    #[test]
    fn a_deployment_needs_a_unit() {
        assert!(
            Files::of(&[])
                .units(true)
                .expect_err("no unit")
                .to_string()
                .contains("at least one unit")
        );
        assert!(Files::of(&[]).units(false).expect("fine").is_empty());
    }

    #[test]
    fn what_templates_are_rendered_to_is_no_input() {
        let before = Files::of(&[("a.service.eex", "1"), ("a.service", "1"), ("b.service", "1")]);
        let mut after = before.clone();
        after.files.remove("a.service");
        assert!(after.inputs().differences(&before.inputs()).is_empty());
        for name in ["a.service.eex", "b.service", "etcd.json"] {
            let file = File { text: "2".into(), executable: false };
            let mut after = before.clone();
            after.files.insert(name.to_owned(), file);
            assert_eq!(after.inputs().differences(&before.inputs()), [name]);
        }
    }
}
