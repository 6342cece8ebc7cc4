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
///
/// The protocol of the repository in hand is the one exception to `protocol.allow`, and is added by the call.
pub(super) const SETTINGS: [&str; 36] = [
    "core.hooksPath=/dev/null",
    "core.attributesFile=/dev/null",
    "core.fsmonitor=false",
    "core.askPass=",
    "core.symlinks=false",
    // What is fetched is thrown away with its attempt, so nothing is gained by flushing it to the disk.
    "core.fsync=none",
    // Larger blobs pass through git in pieces; none of them is ever read.
    "core.bigFileThreshold=1m",
    "core.packedGitWindowSize=16m",
    "core.packedGitLimit=256m",
    "core.deltaBaseCacheLimit=32m",
    "pack.threads=1",
    "pack.writeReverseIndex=false",
    "credential.helper=",
    "protocol.allow=never",
    "protocol.version=2",
    "http.followRedirects=initial",
    "http.lowSpeedLimit=1000",
    "http.lowSpeedTime=30",
    "http.sslVerify=true",
    "transfer.bundleURI=false",
    "transfer.credentialsInUrl=die",
    "transfer.fsckObjects=true",
    "fetch.fsckObjects=true",
    // One pack and not many files, so that the limit of a file is the limit of what is fetched.
    "fetch.unpackLimit=1",
    "fetch.recurseSubmodules=no",
    "fetch.writeCommitGraph=false",
    "fastimport.unpackLimit=0",
    "submodule.recurse=false",
    "push.recurseSubmodules=no",
    "push.gpgSign=false",
    "push.followTags=false",
    "push.negotiate=false",
    "commit.gpgSign=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "log.showSignature=false",
];

/// Settings of the git on the other side of a local transport.
pub(super) const LOCAL_SERVICE_SETTINGS: [&str; 13] = [
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    // Runs for every push, since what is received lies apart until it is checked. An empty one would run the repository.
    "core.alternateRefsCommand=true",
    "core.bigFileThreshold=1m",
    "core.packedGitWindowSize=16m",
    "core.packedGitLimit=256m",
    "pack.threads=1",
    "protocol.allow=never",
    "gc.auto=0",
    "maintenance.auto=false",
    "receive.autogc=false",
    "uploadpack.allowFilter=true",
    "safe.directory=*",
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
    let ssh = ssh_command(config);
    for (name, value) in [
        ("LC_ALL", "C"),
        ("TZ", "UTC"),
        ("GIT_CONFIG_NOSYSTEM", "1"),
        ("GIT_CONFIG_SYSTEM", "/dev/null"),
        ("GIT_CONFIG_GLOBAL", "/dev/null"),
        ("GIT_ATTR_NOSYSTEM", "1"),
        ("GIT_TERMINAL_PROMPT", "0"),
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
         -o ServerAliveInterval=10 -o ServerAliveCountMax=3 \
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
