//! From the command line and the file to a configuration that has been checked.

use std::path::Path;

use oa_builder::BuilderConfig;

use super::{Component, Config, unknown};
use crate::args::Args;
use crate::error::NodeError;

/// Reads the file, if there is one, and lays the command line over it.
pub(crate) fn load(args: &Args) -> Result<Config, NodeError> {
    let mut config = match &args.config {
        Some(path) => read(path)?,
        None => Config::default(),
    };
    if let Some(path) = &args.data_dir {
        config.node.data_dir.clone_from(path);
    }
    if let Some(listen) = args.listen {
        config.manager.listen = listen;
    }
    config.cluster.local.stop_units |= args.stop_units;
    if config.node.data_dir.as_os_str().is_empty() {
        let why = "there is no home directory to put it in; name one, or use --data-dir".into();
        return Err(NodeError::BadSetting { key: "node.data_dir", why });
    }
    config.node.data_dir = std::path::absolute(&config.node.data_dir)
        .map_err(|cause| NodeError::DataDir { path: config.node.data_dir.clone(), cause })?;
    let config = config.completed();
    config.check()?;
    Ok(config)
}

fn read(path: &Path) -> Result<Config, NodeError> {
    let text = std::fs::read_to_string(path)
        .map_err(|cause| NodeError::ReadConfig { path: path.to_path_buf(), cause })?;
    // The message of the parser shows line, column and the key.
    toml::from_str(&text).map_err(|cause| NodeError::BadConfig {
        path: path.to_path_buf(),
        why: cause.to_string().trim().to_owned(),
        suggestion: unknown::suggestion(&text),
    })
}

impl Config {
    /// Hands settings of the node on to the components that they concern.
    pub(super) fn completed(mut self) -> Self {
        let alone = self.node.components.len() == Component::ALL.len();
        let allow_local = *self.node.allow_local_repositories.get_or_insert(alone);
        self.manager.allow_local_repositories = allow_local;
        self.builder.allow_local_repositories = allow_local;
        if self.builder.work_dir == BuilderConfig::default().work_dir {
            self.builder.work_dir = self.node.data_dir.join("work");
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config, String> {
        let config: Config = toml::from_str(text).map_err(|why| why.to_string())?;
        config.check().map_err(|why| why.to_string())?;
        Ok(config)
    }

    #[test]
    fn an_empty_file_is_the_embedded_default() {
        let config = parse("").expect("defaults are fine");
        assert_eq!(config.node.components.len(), 8);
        assert_eq!(config.manager.listen.to_string(), "127.0.0.1:4000");
    }

    #[test]
    fn an_unknown_key_is_named_with_its_line() {
        let why = parse("[node]\nnaem = \"x\"\n").expect_err("a typing error");
        assert!(why.contains("line 2") && why.contains("naem"), "{why}");
    }

    #[test]
    fn a_public_address_without_tls_is_refused() {
        let why = parse("[manager]\nlisten = \"0.0.0.0:4000\"\n").expect_err("a public address");
        assert!(why.contains("manager.listen") && why.contains("TLS"), "{why}");
    }

    #[test]
    fn manager_and_orchestrator_come_together() {
        let why = parse("[node]\ncomponents = [\"manager\"]\n").expect_err("half of Management");
        assert!(why.contains("node.components"), "{why}");
    }
}
