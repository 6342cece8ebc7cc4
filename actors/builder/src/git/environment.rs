//! What git may see: a few variables of this process, and settings that nothing on this machine can change.

use std::ffi::OsString;

use crate::config::BuilderConfig;

/// Variables of this process that git and its transports may see: where programs lie, and how the network is reached.
const PASSED_ON: [&str; 9] = [
    "PATH",
    "HTTPS_PROXY",
    "https_proxy",
    "ALL_PROXY",
    "all_proxy",
    "NO_PROXY",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
];

/// Settings of every call; the command line wins over each configuration file.
pub(super) const SETTINGS: [&str; 20] = [
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.askPass=",
    "credential.helper=",
    "protocol.allow=never",
    "protocol.https.allow=always",
    "protocol.ssh.allow=always",
    "protocol.version=2",
    "http.followRedirects=initial",
    "http.lowSpeedLimit=1000",
    "http.lowSpeedTime=30",
    "submodule.recurse=false",
    "fetch.recurseSubmodules=no",
    "fetch.writeCommitGraph=false",
    "fetch.fsckObjects=true",
    "push.recurseSubmodules=no",
    "push.gpgSign=false",
    "push.followTags=false",
    "gc.auto=0",
    "maintenance.auto=false",
];

/// What git may see of the environment.
pub(super) fn environment(
    config: &BuilderConfig,
    parent: impl Iterator<Item = (OsString, OsString)>,
) -> Vec<(OsString, OsString)> {
    let mut kept: Vec<_> = parent
        .filter(|(name, _)| {
            // An agent holds the user's keys; a configured key stands alone.
            PASSED_ON.iter().any(|known| name == known)
                || (name == "SSH_AUTH_SOCK" && config.ssh_identity.is_none())
        })
        .collect();
    let protocols = if config.allow_local_repositories { "https:ssh:file" } else { "https:ssh" };
    let ssh = ssh_command(config);
    for (name, value) in [
        ("LC_ALL", "C"),
        ("TZ", "UTC"),
        ("GIT_CONFIG_NOSYSTEM", "1"),
        ("GIT_CONFIG_SYSTEM", "/dev/null"),
        ("GIT_CONFIG_GLOBAL", "/dev/null"),
        ("GIT_ATTR_NOSYSTEM", "1"),
        ("GIT_TERMINAL_PROMPT", "0"),
        ("GIT_ALLOW_PROTOCOL", protocols),
        ("GIT_PROTOCOL_FROM_USER", "0"),
        ("GIT_LFS_SKIP_SMUDGE", "1"),
        ("GIT_NO_LAZY_FETCH", "1"),
        ("GIT_NO_REPLACE_OBJECTS", "1"),
        ("GIT_SSH_COMMAND", &ssh),
        ("GIT_SSH_VARIANT", "ssh"),
    ] {
        kept.push((name.into(), value.into()));
    }
    if let Some(file) = &config.https_ca_file {
        kept.push(("GIT_SSL_CAINFO".into(), file.into()));
    }
    kept
}

/// How git calls ssh: without questions, without the user's configuration, only to known hosts.
fn ssh_command(config: &BuilderConfig) -> String {
    let mut command = String::from(
        "ssh -F /dev/null -o BatchMode=yes -o StrictHostKeyChecking=yes -o ConnectTimeout=10 -o ClearAllForwardings=yes \
         -o ForwardAgent=no -o PermitLocalCommand=no -o ControlMaster=no -o ControlPath=none",
    );
    if let Some(hosts) = &config.ssh_known_hosts {
        // ssh splits the value at blanks, hence the inner quotes.
        let value = format!("UserKnownHostsFile=\"{}\"", hosts.display());
        command.push_str(&format!(" -o {} -o GlobalKnownHostsFile=/dev/null", quote(&value)));
    }
    if let Some(identity) = &config.ssh_identity {
        command
            .push_str(&format!(" -o IdentitiesOnly=yes -i {}", quote(&identity.to_string_lossy())));
    }
    command
}

/// One word for the parser that git uses on the values above; they come from the configuration, never from users.
pub(super) fn quote(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_hostile_environment_reaches_git() {
        let hostile = [
            "GIT_DIR",
            "GIT_CONFIG_PARAMETERS",
            "GIT_EXEC_PATH",
            "GIT_ALLOW_PROTOCOL",
            "LD_PRELOAD",
            "HOME",
        ];
        let parent = hostile.iter().map(|name| (OsString::from(name), OsString::from("hostile")));
        let kept = environment(&BuilderConfig::default(), parent);
        assert!(kept.iter().all(|(_, value)| value != "hostile"), "{kept:?}");
    }

    #[test]
    fn a_configured_key_is_the_only_one() {
        let config = BuilderConfig {
            ssh_identity: Some("/keys/o'brien".into()),
            ssh_known_hosts: Some("/keys/known hosts".into()),
            ..BuilderConfig::default()
        };
        let agent = || std::iter::once((OsString::from("SSH_AUTH_SOCK"), OsString::from("/agent")));
        assert!(!environment(&config, agent()).iter().any(|(_, value)| value == "/agent"));
        assert!(
            environment(&BuilderConfig::default(), agent())
                .iter()
                .any(|(_, value)| value == "/agent")
        );
        let ssh = ssh_command(&config);
        assert!(ssh.ends_with(r"-o IdentitiesOnly=yes -i '/keys/o'\''brien'"), "{ssh}");
        assert!(ssh.contains(r#"'UserKnownHostsFile="/keys/known hosts"'"#), "{ssh}");
    }
}
