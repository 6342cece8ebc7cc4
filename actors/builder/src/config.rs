//! The `[builder]` table of the configuration file.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the Builder works.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BuilderConfig {
    /// Directory for what is fetched; each attempt has its own below it, removed at its end. Leftovers of a crash are
    /// removed at start. Default: `builder` in the system's directory for temporary files.
    pub work_dir: PathBuf,
    /// Where `org/name` lies. Default: `https://github.com`.
    pub git_host: String,
    /// Whether repositories may be local paths of this node's user. The node decides; it is no
    /// setting of its own. Default: false.
    #[serde(skip)]
    pub allow_local_repositories: bool,
    /// Private key for git over ssh. Default: none, ssh decides.
    pub ssh_identity: Option<PathBuf>,
    /// Known host keys for git over ssh. Default: those of the node's user.
    pub ssh_known_hosts: Option<PathBuf>,
    /// Certificates of the authorities that may vouch for a host reached by https (PEM). Default: the machine's.
    pub https_ca_file: Option<PathBuf>,
    /// Files with an access token for a host that is reached by https, such as `"github.com" = "/etc/oa/github-token"`;
    /// read again for each call. Default: none.
    pub https_tokens: BTreeMap<String, PathBuf>,
    /// The git program. Default: `git`, looked up in `PATH`.
    pub git_program: PathBuf,
    /// Name of the author of rendered files. Default: `OpenAperture Builder`.
    pub author_name: String,
    /// Mail address of that author. Default: `builder@openaperture.invalid`.
    pub author_email: String,
    /// Size that a fetched repository may have, in bytes. Default: 512 MiB.
    pub repository_limit_bytes: u64,
    /// Longest time of one call of git, such as a fetch; the step that it belongs to has its own. Default: `10m`.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub call_timeout: Duration,
    /// Steps that run at once; further ones wait. Default: 10, as in the original.
    pub parallel: usize,
}

impl Default for BuilderConfig {
    fn default() -> Self {
        Self {
            work_dir: std::env::temp_dir().join("openaperture").join("builder"),
            git_host: "https://github.com".into(),
            allow_local_repositories: false,
            ssh_identity: None,
            ssh_known_hosts: None,
            https_ca_file: None,
            https_tokens: BTreeMap::new(),
            git_program: "git".into(),
            author_name: "OpenAperture Builder".into(),
            author_email: "builder@openaperture.invalid".into(),
            repository_limit_bytes: 512 << 20,
            call_timeout: Duration::from_secs(600),
            parallel: 10,
        }
    }
}
