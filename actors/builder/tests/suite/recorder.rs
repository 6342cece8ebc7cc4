//! Every argument and variable that git gets, as a program in its place records them.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::support::{Workshop, command, deployment, executable, source};

/// Settings that every call must carry.
const SETTINGS: [&str; 20] = [
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.attributesFile=/dev/null",
    "core.askPass=",
    "credential.helper=",
    "protocol.allow=never",
    "protocol.version=2",
    "http.followRedirects=initial",
    "http.lowSpeedLimit=1000",
    "http.lowSpeedTime=30",
    "http.sslVerify=true",
    "transfer.fsckObjects=true",
    "transfer.bundleURI=false",
    "fetch.fsckObjects=true",
    "submodule.recurse=false",
    "fetch.recurseSubmodules=no",
    "push.recurseSubmodules=no",
    "push.gpgSign=false",
    "gc.auto=0",
    "maintenance.auto=false",
];

/// All that git may see of an environment.
const VARIABLES: [&str; 28] = [
    "PATH",
    "HOME",
    "XDG_CONFIG_HOME",
    "LC_ALL",
    "TZ",
    "HTTPS_PROXY",
    "https_proxy",
    "ALL_PROXY",
    "all_proxy",
    "NO_PROXY",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "SSH_AUTH_SOCK",
    "GIT_DIR",
    "GIT_CONFIG_NOSYSTEM",
    "GIT_CONFIG_SYSTEM",
    "GIT_CONFIG_GLOBAL",
    "GIT_ATTR_NOSYSTEM",
    "GIT_TERMINAL_PROMPT",
    "GIT_ALLOW_PROTOCOL",
    "GIT_PROTOCOL_FROM_USER",
    "GIT_LFS_SKIP_SMUDGE",
    "GIT_NO_LAZY_FETCH",
    "GIT_NO_REPLACE_OBJECTS",
    "GIT_SSH_COMMAND",
    "GIT_SSH_VARIANT",
    "PWD",
];

/// One call: its arguments and its variables.
type Recorded = (Vec<String>, Vec<String>);

/// A git that writes down how it was called.
fn recorder(place: &Path) -> std::path::PathBuf {
    let git = place.join("git");
    let script = format!(
        "#!/bin/sh\ncall=$(mktemp -d {0}/call-XXXXXX)\nfor word in \"$@\"; do printf '%s\\0' \"$word\"; done >$call/argv\n\
         cat /proc/self/environ >$call/environ\ndate +%s%N >$call/time\nexec git \"$@\"\n",
        place.display()
    );
    executable(&git, &script);
    git
}

fn recorded(place: &Path) -> Vec<Recorded> {
    let read = |path: std::path::PathBuf| {
        let text = fs::read_to_string(path).expect("a record");
        text.split_terminator('\0').map(str::to_owned).collect::<Vec<_>>()
    };
    let calls = fs::read_dir(place).expect("readable").flatten().map(|entry| entry.path());
    let mut calls: Vec<_> = calls.filter(|path| path.is_dir()).collect();
    calls.sort_by_key(|path| fs::read_to_string(path.join("time")).expect("a time"));
    calls.into_iter().map(|path| (read(path.join("argv")), read(path.join("environ")))).collect()
}

/// The subcommand: the first word that is no setting.
fn subcommand(arguments: &[String]) -> &str {
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        if word != "-c" {
            return word;
        }
        words.next();
    }
    ""
}

#[tokio::test]
async fn every_call_of_git_carries_its_rules_and_nothing_of_ours() {
    let place = tempfile::tempdir().expect("a directory");
    let workshop = Workshop::with(|config| config.git_program = recorder(place.path())).await;
    let (deployment, source) = (deployment(), source());
    assert!(workshop.run(&command(&deployment, &source)).await.expect("config succeeds").pushed);

    let calls = recorded(place.path());
    // The git on the other side of a local transport is called by git, the version is asked for before any rule.
    let ours = calls.iter().filter(|(arguments, _)| {
        !["version", "upload-pack", "receive-pack"].contains(&subcommand(arguments))
    });
    let ours: Vec<&Recorded> = ours.collect();
    let commands: Vec<&str> = ours.iter().map(|(arguments, _)| subcommand(arguments)).collect();
    let mut sorted = commands.clone();
    sorted.sort_unstable();
    assert_eq!(
        sorted,
        ["cat-file", "cat-file", "fast-import", "fetch", "fetch", "push"],
        "no init, no checkout, nothing twice"
    );
    for (arguments, environment) in &ours {
        let rules: BTreeSet<&str> = arguments
            .windows(2)
            .filter(|pair| pair[0] == "-c")
            .map(|pair| pair[1].as_str())
            .collect();
        for setting in SETTINGS {
            assert!(rules.contains(setting), "{setting} is missing in {arguments:?}");
        }
        let named: Vec<&str> =
            environment.iter().filter_map(|entry| entry.split('=').next()).collect();
        let stranger = named.iter().find(|name| !VARIABLES.contains(name));
        assert_eq!(stranger, None, "git sees a variable that it should not");
        let value = |name: &str| {
            let prefix = format!("{name}=");
            environment.iter().find_map(|entry| entry.strip_prefix(&prefix)).unwrap_or_default()
        };
        assert_eq!(value("GIT_TERMINAL_PROMPT"), "0");
        assert_eq!(value("GIT_PROTOCOL_FROM_USER"), "0");
        assert_eq!(value("GIT_LFS_SKIP_SMUDGE"), "1");
        assert_eq!(value("GIT_CONFIG_SYSTEM"), "/dev/null");
        assert_eq!(value("GIT_CONFIG_GLOBAL"), "/dev/null");
        let home = workshop.directory.path().join("work/attempt-");
        assert!(value("HOME").starts_with(&home.display().to_string()), "{}", value("HOME"));
        let remote = ["fetch", "push"].contains(&subcommand(arguments));
        assert_eq!(value("GIT_ALLOW_PROTOCOL"), if remote { "file" } else { "none" });
        if remote {
            let end = arguments.iter().position(|word| word == "--").expect("options end");
            assert!(arguments[end..].iter().all(|word| word == "--" || !word.starts_with('-')));
            assert_eq!(arguments.len(), end + 3, "a place and one refspec: {arguments:?}");
        }
    }
    let fetches: Vec<_> = ours.iter().filter(|(words, _)| subcommand(words) == "fetch").collect();
    for (arguments, _) in fetches {
        for option in ["--no-tags", "--depth=1", "--no-auto-maintenance", "--no-write-fetch-head"] {
            assert!(arguments.iter().any(|word| word == option), "{option}");
        }
    }
}

#[tokio::test]
async fn the_git_on_the_other_side_of_a_local_transport_has_rules_of_its_own() {
    let place = tempfile::tempdir().expect("a directory");
    let workshop = Workshop::with(|config| config.git_program = recorder(place.path())).await;
    let (deployment, source) = (deployment(), source());
    workshop.run(&command(&deployment, &source)).await.expect("config succeeds");
    let calls = recorded(place.path());
    let services = calls
        .iter()
        .filter(|(arguments, _)| ["upload-pack", "receive-pack"].contains(&subcommand(arguments)));
    let services: Vec<&Recorded> = services.collect();
    assert_eq!(services.len(), 3, "two fetches, one push");
    for (arguments, _) in services {
        for setting in [
            "core.hooksPath=/dev/null",
            "core.fsmonitor=false",
            "protocol.allow=never",
            "gc.auto=0",
        ] {
            assert!(arguments.iter().any(|word| word == setting), "{setting}: {arguments:?}");
        }
    }
}
