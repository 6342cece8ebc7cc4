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

use std::collections::BTreeMap;

use oa_fleet::unit_file;
use oa_protocol::cluster::FleetConfig;
use oa_protocol::unit::Unit;
use oa_protocol::{EtcdToken, UnitName};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::error::BuildError;
use crate::git::{NewFile, Objects, Tree, TreeEntry};
use crate::template::{Values, render};

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

/// `source.json`: where the source lies.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct SourceFile {
    #[serde(default)]
    pub(crate) source_repo: Option<String>,
    #[serde(default)]
    pub(crate) source_repo_git_ref: Option<String>,
}

#[derive(Debug, Deserialize)]
struct EtcdFile {
    #[serde(default)]
    token: Option<String>,
}

#[derive(Debug, Deserialize)]
struct DockerFile {
    #[serde(default)]
    docker_url: Option<String>,
    #[serde(default)]
    docker_registry_url: Option<String>,
    #[serde(default)]
    docker_registry_username: Option<String>,
    #[serde(default)]
    docker_registry_email: Option<String>,
    #[serde(default)]
    docker_registry_password: Option<String>,
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

    /// `etcd.json`: the cluster.
    pub(crate) fn cluster(&self, needed: bool) -> Result<Option<EtcdToken>, BuildError> {
        const FILE: &str = "etcd.json";
        let Some(EtcdFile { token }) = self.json(FILE)? else {
            let missing = BuildError::MissingFile {
                file: FILE,
                why: "a deployment needs the `token` of its cluster",
            };
            return if needed { Err(missing) } else { Ok(None) };
        };
        let refuse = |why: String| BuildError::File { file: FILE.into(), why };
        match token.filter(|token| !token.is_empty()) {
            None => Err(refuse("`token` is missing or empty; it names the cluster".into())),
            Some(token) => {
                EtcdToken::new(token).map(Some).map_err(|why| refuse(format!("`token`: {why}")))
            }
        }
    }

    /// `source.json`; what is empty counts as absent.
    pub(crate) fn source(&self) -> Result<SourceFile, BuildError> {
        let SourceFile { source_repo, source_repo_git_ref } =
            self.json("source.json")?.unwrap_or_default();
        let given = |text: Option<String>| text.filter(|text| !text.is_empty());
        Ok(SourceFile {
            source_repo: given(source_repo),
            source_repo_git_ref: given(source_repo_git_ref),
        })
    }

    /// `fleet.json`; keys that nobody knows are ignored.
    pub(crate) fn fleet(&self) -> Result<FleetConfig, BuildError> {
        let config: FleetConfig = self.json("fleet.json")?.unwrap_or_default();
        let refuse = |why: String| Err(BuildError::File { file: "fleet.json".into(), why });
        if let Some(count) = config.instance_cnt.filter(|count| !(1..=1000).contains(count)) {
            return refuse(format!("`instance_cnt` is {count}; use 1 to 1000"));
        }
        let path = config.health.as_ref().and_then(|health| health.http.as_deref()).unwrap_or("/");
        if !path.starts_with('/') || path.chars().any(|c| c.is_control() || c == ' ') {
            return refuse("`health.http` is the path of a request, such as `/health`".into());
        }
        match config.deploy.as_ref().and_then(|deploy| deploy.quorum) {
            Some(0) => refuse("`deploy.quorum` is 0; at least one instance must be healthy".into()),
            Some(quorum) if config.instance_cnt.is_some_and(|count| count < quorum) => {
                refuse(format!("`deploy.quorum` is {quorum}, more than `instance_cnt`"))
            }
            _ => Ok(config),
        }
    }

    /// `docker.json`, if it is there.
    pub(crate) fn check_docker(&self) -> Result<(), BuildError> {
        let Some(docker) = self.json::<DockerFile>("docker.json")? else { return Ok(()) };
        let given = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
        let mut needed = vec![("docker_url", given(&docker.docker_url))];
        if given(&docker.docker_registry_url) {
            needed.push(("docker_registry_username", given(&docker.docker_registry_username)));
            needed.push(("docker_registry_email", given(&docker.docker_registry_email)));
            needed.push(("docker_registry_password", given(&docker.docker_registry_password)));
        }
        match needed.into_iter().find(|(_, given)| !given) {
            Some((key, _)) => Err(BuildError::File {
                file: "docker.json".into(),
                why: format!("`{key}` is missing or empty"),
            }),
            None => Ok(()),
        }
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

    fn json<T: DeserializeOwned>(&self, file: &'static str) -> Result<Option<T>, BuildError> {
        let Some(found) = self.files.get(file) else { return Ok(None) };
        serde_json::from_str(&found.text).map(Some).map_err(|why| {
            let text = why.to_string();
            // serde_json repeats the place at the end.
            let text =
                text.rsplit_once(" at line ").map_or(text.as_str(), |(text, _)| text).to_owned();
            BuildError::Json { file, line: why.line(), column: why.column(), why: text }
        })
    }
}

/// The name of an entry that is read, checked; `None` for what means nothing here.
fn wanted_name(entry: &TreeEntry) -> Result<Option<String>, BuildError> {
    let Ok(name) = std::str::from_utf8(&entry.name) else {
        let file = String::from_utf8_lossy(&entry.name);
        let unit = file.strip_suffix(TEMPLATE).unwrap_or(&file).ends_with(UNIT);
        let why = "its name is not UTF-8 text";
        return if unit {
            Err(BuildError::File { file: printable(&file), why: why.into() })
        } else {
            Ok(None)
        };
    };
    let target = name.strip_suffix(TEMPLATE).unwrap_or(name);
    if target.ends_with(UNIT) {
        UnitName::new(target)
            .map_err(|why| BuildError::File { file: printable(name), why: why.to_string() })?;
        return Ok(Some(name.to_owned()));
    }
    // A rendered file is read too, to see whether it changes.
    let known = JSON_FILES.contains(&name)
        || TEMPLATES.iter().any(|t| *t == name || t.strip_suffix(TEMPLATE) == Some(name));
    Ok(known.then(|| name.to_owned()))
}

fn check_kind(entry: &TreeEntry, name: &str) -> Result<(), BuildError> {
    let why = match entry.mode.as_str() {
        "100644" | "100755" | "100664" => return Ok(()),
        "120000" => "it is a symbolic link; commit the file itself",
        "40000" => "it is a directory where a file is expected",
        "160000" => "it is a submodule where a file is expected",
        _ => "it is no regular file",
    };
    Err(BuildError::File { file: name.to_owned(), why: why.into() })
}

fn printable(name: &str) -> String {
    name.chars().take(80).flat_map(char::escape_default).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(files: &[(&str, &str)]) -> Files {
        let file = |text: &str| File { text: text.to_owned(), executable: false };
        Files { files: files.iter().map(|(name, text)| ((*name).to_owned(), file(text))).collect() }
    }

    fn entry(mode: &str, name: &[u8]) -> TreeEntry {
        TreeEntry { mode: mode.into(), name: name.to_vec(), object: "0".repeat(40) }
    }

    fn values() -> Values {
        Values::default()
            .with("commit_hash", "abc")
            .with("timestamp", "Tue, 24 Nov 2026 21:30:39 GMT")
    }

    #[test]
    fn broken_json_is_refused_with_file_line_and_column() {
        let refusal =
            files(&[("etcd.json", "{\n  \"token\": x\n}")]).cluster(true).expect_err("no JSON");
        assert!(
            refusal.to_string().starts_with("etcd.json, line 2, column 12: expected value"),
            "{refusal}"
        );
        let refusal =
            files(&[("fleet.json", "{\"instance_cnt\": \"two\"}")]).fleet().expect_err("a text");
        assert!(
            refusal.to_string().contains("fleet.json, line 1")
                && refusal.to_string().contains("two"),
            "{refusal}"
        );
        assert!(files(&[("source.json", "[1]")]).source().is_err());
    }

    #[test]
    fn the_cluster_is_demanded_only_for_a_deployment() {
        assert!(
            files(&[]).cluster(true).expect_err("no file").to_string().contains("no etcd.json")
        );
        assert_eq!(files(&[]).cluster(false).expect("fine"), None);
        let token =
            files(&[("etcd.json", "{\"token\": \"local\"}")]).cluster(true).expect("a token");
        assert_eq!(token, Some(EtcdToken::new("local").expect("a token")));
        for text in [
            "{}",
            "{\"token\": \"\"}",
            "{\"token\": \"../x\"}",
            "{\"token\": 7}",
            "{\"token\": null}",
        ] {
            assert!(files(&[("etcd.json", text)]).cluster(false).is_err(), "{text}");
        }
    }

    #[test]
    fn fleet_json_keeps_its_bounds_and_ignores_unknown_keys() {
        let config = files(&[("fleet.json", "{\"instance_cnt\": 2, \"other\": {\"a\": 1}}")])
            .fleet()
            .expect("a config");
        assert_eq!(config.instance_cnt, Some(2));
        for text in [
            "{\"instance_cnt\": 0}",
            "{\"instance_cnt\": 1001}",
            "{\"instance_cnt\": -1}",
            "{\"health\": {\"http\": \"health\"}}",
            "{\"health\": {\"htp\": \"/\"}}",
            "{\"deploy\": {\"quorum\": 0}}",
            "{\"instance_cnt\": 1, \"deploy\": {\"quorum\": 2}}",
        ] {
            assert!(files(&[("fleet.json", text)]).fleet().is_err(), "{text}");
        }
    }

    #[test]
    fn docker_json_needs_the_whole_registry_or_none() {
        assert!(files(&[]).check_docker().is_ok());
        assert!(files(&[("docker.json", "{\"docker_url\": \"org/app\"}")]).check_docker().is_ok());
        assert!(files(&[("docker.json", "{}")]).check_docker().is_err());
        let half = "{\"docker_url\": \"a\", \"docker_registry_url\": \"b\", \"docker_registry_username\": \"c\"}";
        let refusal = files(&[("docker.json", half)]).check_docker().expect_err("no mail");
        assert!(refusal.to_string().contains("docker_registry_email"), "{refusal}");
    }

    #[test]
    fn every_template_of_the_list_is_rendered() {
        let mut repository = files(&[
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
        let refusal = files(&[("Dockerfile.eex", "EXPOSE {{ dst_port }}")])
            .render(&values())
            .expect_err("no port");
        assert!(refusal.to_string().contains("Dockerfile.eex, line 1, column 8"), "{refusal}");
    }

    #[test]
    fn hostile_names_of_units_are_refused() {
        for name in [
            "a;b.service",
            "$(id).service.eex",
            "-x.service",
            "a b.service",
            "a\nb.service",
            ".service",
            "a\\\"b.service",
        ] {
            let refusal = wanted_name(&entry("100644", name.as_bytes())).expect_err(name);
            assert!(!refusal.to_string().contains('\n'), "{refusal}");
        }
        assert!(wanted_name(&entry("100644", b"\xff.service")).is_err());
        assert_eq!(wanted_name(&entry("100644", b"\xff")).expect("ignored"), None);
        assert_eq!(wanted_name(&entry("100644", b"README.md.eex")).expect("ignored"), None);
    }

    #[test]
    fn only_regular_files_are_read() {
        assert!(check_kind(&entry("100644", b"etcd.json"), "etcd.json").is_ok());
        for mode in ["120000", "40000", "160000"] {
            assert!(check_kind(&entry(mode, b"etcd.json"), "etcd.json").is_err(), "{mode}");
        }
    }

    #[test]
    fn a_deployment_needs_a_unit() {
        assert!(
            files(&[]).units(true).expect_err("no unit").to_string().contains("at least one unit")
        );
        assert!(files(&[]).units(false).expect("fine").is_empty());
    }
}
