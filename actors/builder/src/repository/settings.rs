//! What the JSON files of a deployment repository say, checked.

use std::time::Duration;

use oa_protocol::EtcdToken;
use oa_protocol::cluster::FleetConfig;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::Files;
use crate::error::BuildError;

/// Longest time that `fleet.json` may name.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
/// Characters of a reason that are shown.
const LONGEST_REASON: usize = 200;
/// Longest path of a health check.
const LONGEST_PATH: usize = 2048;

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
        if let Some(health) = &config.health {
            let path = health.http.as_deref().unwrap_or("/");
            let plain = path.bytes().all(|byte| byte.is_ascii_graphic());
            if !path.starts_with('/') || !plain || LONGEST_PATH < path.len() {
                return refuse(format!(
                    "`health.http` is the path of a request, such as `/health`: up to {LONGEST_PATH} printable ASCII \
                     characters without blanks"
                ));
            }
        }
        let (health, deploy) = (config.health.as_ref(), config.deploy.as_ref());
        for (key, time) in [
            ("health.timeout", health.map(|health| health.timeout)),
            ("deploy.settle", deploy.map(|deploy| deploy.settle)),
            ("deploy.healthy_within", deploy.map(|deploy| deploy.healthy_within)),
        ] {
            if time.is_some_and(|time| LONGEST < time) {
                return refuse(format!("`{key}` is longer than a day"));
            }
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

    fn json<T: DeserializeOwned>(&self, file: &'static str) -> Result<Option<T>, BuildError> {
        let Some(found) = self.files.get(file) else { return Ok(None) };
        serde_json::from_str(&found.text).map(Some).map_err(|why| {
            let text = why.to_string();
            // serde_json repeats the place at the end, and the text that it could not read however long it is.
            let text = text.rsplit_once(" at line ").map_or(text.as_str(), |(text, _)| text);
            let text = match text.char_indices().nth(LONGEST_REASON) {
                Some((at, _)) => format!("{}…", &text[..at]),
                None => text.to_owned(),
            };
            BuildError::Json { file, line: why.line(), column: why.column(), why: text }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broken_json_is_refused_with_file_line_and_column() {
        let refusal =
            Files::of(&[("etcd.json", "{\n  \"token\": x\n}")]).cluster(true).expect_err("no JSON");
        assert!(
            refusal.to_string().starts_with("etcd.json, line 2, column 12: expected value"),
            "{refusal}"
        );
        let refusal = Files::of(&[("fleet.json", "{\"instance_cnt\": \"two\"}")])
            .fleet()
            .expect_err("a text");
        assert!(
            refusal.to_string().contains("fleet.json, line 1")
                && refusal.to_string().contains("two"),
            "{refusal}"
        );
        assert!(Files::of(&[("source.json", "[1]")]).source().is_err());
        let long = format!("{{\"instance_cnt\": \"{}\"}}", "x".repeat(10_000));
        let refusal = Files::of(&[("fleet.json", &long)]).fleet().expect_err("a text").to_string();
        assert!(refusal.len() < 300 && refusal.ends_with('…'), "{refusal}");
    }

    #[test]
    fn the_cluster_is_demanded_only_for_a_deployment() {
        assert!(
            Files::of(&[]).cluster(true).expect_err("no file").to_string().contains("no etcd.json")
        );
        assert_eq!(Files::of(&[]).cluster(false).expect("fine"), None);
        let token =
            Files::of(&[("etcd.json", "{\"token\": \"local\"}")]).cluster(true).expect("a token");
        assert_eq!(token, Some(EtcdToken::new("local").expect("a token")));
        for text in [
            "{}",
            "{\"token\": \"\"}",
            "{\"token\": \"../x\"}",
            "{\"token\": 7}",
            "{\"token\": null}",
        ] {
            assert!(Files::of(&[("etcd.json", text)]).cluster(false).is_err(), "{text}");
        }
    }

    #[test]
    fn fleet_json_keeps_its_bounds_and_ignores_unknown_keys() {
        let config = Files::of(&[("fleet.json", "{\"instance_cnt\": 2, \"other\": {\"a\": 1}}")])
            .fleet()
            .expect("a config");
        assert_eq!(config.instance_cnt, Some(2));
        for text in [
            "{\"instance_cnt\": 0}",
            "{\"instance_cnt\": 1001}",
            "{\"instance_cnt\": -1}",
            "{\"health\": {\"http\": \"health\"}}",
            "{\"health\": {\"htp\": \"/\"}}",
            "{\"health\": {\"http\": \"/a b\"}}",
            "{\"health\": {\"http\": \"/\u{e9}\"}}",
            "{\"health\": {\"http\": \"/\\r\\nHost: x\"}}",
            "{\"health\": {\"http\": \"/\", \"timeout\": \"2days\"}}",
            "{\"deploy\": {\"settle\": \"500000000000years\"}}",
            "{\"deploy\": {\"healthy_within\": \"18446744073709551615s\"}}",
            "{\"deploy\": {\"quorum\": 0}}",
            "{\"instance_cnt\": 1, \"deploy\": {\"quorum\": 2}}",
        ] {
            assert!(Files::of(&[("fleet.json", text)]).fleet().is_err(), "{text}");
        }
    }

    #[test]
    fn docker_json_needs_the_whole_registry_or_none() {
        assert!(Files::of(&[]).check_docker().is_ok());
        assert!(
            Files::of(&[("docker.json", "{\"docker_url\": \"org/app\"}")]).check_docker().is_ok()
        );
        assert!(Files::of(&[("docker.json", "{}")]).check_docker().is_err());
        let half = "{\"docker_url\": \"a\", \"docker_registry_url\": \"b\", \"docker_registry_username\": \"c\"}";
        let refusal = Files::of(&[("docker.json", half)]).check_docker().expect_err("no mail");
        assert!(refusal.to_string().contains("docker_registry_email"), "{refusal}");
    }
}
