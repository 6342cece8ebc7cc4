//! Every place where git can be talked into running a program.

use oa_protocol::build::ConfigCommand;

use super::stage::Stage;
use super::{Case, Expected, PUSHED, play};
use crate::support::{HOOKS, program};

/// Settings of a repository that name a program; `EVIL` is one.
const SETTINGS: &str = "\
[core]
	fsmonitor = EVIL
	sshCommand = EVIL
	gitProxy = EVIL
	askPass = EVIL
	pager = EVIL
	editor = EVIL
	hooksPath = EVIL.hooks
	alternateRefsCommand = EVIL
[uploadpack]
	packObjectsHook = EVIL
[gc]
	auto = 1
	recentObjectsHook = EVIL
[receive]
	autogc = true
[credential]
	helper = !EVIL
[sequence]
	editor = EVIL
[diff]
	external = EVIL
[diff \"x\"]
	textconv = EVIL
	command = EVIL
[merge \"x\"]
	driver = EVIL
[filter \"x\"]
	smudge = EVIL
	clean = EVIL
	process = EVIL
	required = true
[filter \"lfs\"]
	smudge = EVIL
	process = EVIL
	required = true
[gpg]
	program = EVIL
[interactive]
	diffFilter = EVIL
[alias]
	upload-pack = !EVIL
	receive-pack = !EVIL
[pager]
	upload-pack = EVIL
[protocol]
	allow = always
[protocol \"ext\"]
	allow = always
[url \"ext::EVIL \"]
	insteadOf = /
	pushInsteadOf = /
[trailer \"x\"]
	command = EVIL
";

const ATTRIBUTES: &str = "* filter=x diff=x merge=x\n*.service* filter=lfs\n";
const LFS_POINTER: &str = "version https://git-lfs.github.com/spec/v1\n\
     oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n";

fn hostile_settings(stage: &Stage) {
    stage.configure(&SETTINGS.replace("EVIL", &stage.evil().display().to_string()));
}

fn submodule(stage: &Stage, text: &str) {
    let modules = stage.file(".gitmodules", text);
    stage.commit(vec![modules, ("160000", b"x", stage.source.head())]);
}

#[tokio::test]
async fn no_program_of_a_repository_runs() {
    play(&[
        Case {
            name: "hooks of every kind on the other side",
            build: |stage, _| {
                for hook in HOOKS {
                    program(&stage.deployment.path().join("hooks").join(hook), &stage.canary());
                    program(&stage.source.path().join("hooks").join(hook), &stage.canary());
                }
            },
            expected: PUSHED,
        },
        Case {
            name: "hooks in the tree, where a checkout would put them",
            build: |stage, _| {
                let text = format!("#!/bin/sh\n{}\n", stage.evil().display());
                let hook = stage.tree(&[("100755", b"post-checkout", stage.blob(text.as_bytes()))]);
                stage.commit(vec![("40000", b"hooks", hook), stage.file("HEAD", "ref: refs/x\n")]);
            },
            expected: PUSHED,
        },
        Case {
            name: "settings that name programs",
            build: |stage, _| hostile_settings(stage),
            expected: PUSHED,
        },
        Case {
            name: "attributes that ask for filters, text conversion and merge drivers",
            build: |stage, _| {
                hostile_settings(stage);
                stage.point_at("info/attributes", ATTRIBUTES);
                stage.commit(vec![stage.file(".gitattributes", ATTRIBUTES)]);
            },
            expected: PUSHED,
        },
        Case {
            name: "a pointer to large file storage in the place of a file",
            build: |stage, _| {
                hostile_settings(stage);
                let lfs = "[lfs]\n\turl = ext::canary\n\tconcurrenttransfers = 9\n";
                stage.commit(vec![
                    stage.file(".gitattributes", "*.json filter=lfs\n"),
                    stage.file(".lfsconfig", lfs),
                    stage.file("etcd.json", LFS_POINTER),
                ]);
            },
            expected: Expected::Refused(&["etcd.json, line 1"]),
        },
        Case {
            name: "a hook that wants to take the push in by itself",
            build: |stage, _| {
                let hook = stage.deployment.path().join("hooks/proc-receive");
                program(&hook, &stage.canary());
                stage.configure("[receive]\n\tprocReceiveRefs = refs/heads\n");
            },
            expected: Expected::NotTaken,
        },
        Case {
            name: "settings that take in a file of another place",
            build: |stage, _| {
                let secret = stage.secret().display().to_string();
                stage.configure(&format!("[include]\n\tpath = {secret}\n"));
            },
            expected: Expected::Refused(&["bad config"]),
        },
        Case {
            name: "a partial repository whose rest comes by a program",
            build: partial,
            expected: Expected::Refused(&[]),
        },
    ])
    .await;
}

/// Objects are missing, and the settings promise that a program brings them.
fn partial(stage: &Stage, _: &mut ConfigCommand) {
    let evil = stage.evil().display().to_string();
    stage.commit(vec![("100644", b"x", "1".repeat(40))]);
    stage.configure(&format!(
        "[core]\n\trepositoryformatversion = 1\n[extensions]\n\tpartialClone = x\n\
         [remote \"x\"]\n\turl = ext::{evil}\n\tpromisor = true\n\tuploadpack = {evil}\n\
         [protocol]\n\tallow = always\n"
    ));
}

#[tokio::test]
async fn submodules_are_never_followed() {
    play(&[
        Case {
            name: "a submodule named ../x",
            build: |stage, _| {
                submodule(stage, "[submodule \"../x\"]\n\tpath = x\n\turl = https://git.invalid/x\n");
            },
            expected: Expected::Refused(&["gitmodules"]),
        },
        Case {
            name: "a submodule whose update is a command",
            build: |stage, _| {
                let evil = stage.evil().display().to_string();
                let text = format!(
                    "[submodule \"x\"]\n\tpath = x\n\turl = https://git.invalid/x\n\tupdate = !{evil}\n"
                );
                submodule(stage, &text);
            },
            expected: Expected::Refused(&["gitmodules"]),
        },
        Case {
            name: "a submodule whose URL is an option",
            build: |stage, _| {
                submodule(stage, "[submodule \"x\"]\n\tpath = x\n\turl = -u./canary\n");
            },
            expected: Expected::Refused(&["gitmodules"]),
        },
        Case {
            name: "a submodule whose path is an option",
            build: |stage, _| {
                submodule(stage, "[submodule \"x\"]\n\tpath = --exec=x\n\turl = https://git.invalid/x\n");
            },
            expected: Expected::Refused(&["gitmodules"]),
        },
        Case {
            name: "a submodule that comes by a program",
            build: |stage, _| {
                let evil = stage.evil().display().to_string();
                submodule(stage, &format!("[submodule \"x\"]\n\tpath = x\n\turl = ext::{evil}\n"));
            },
            expected: PUSHED,
        },
        Case {
            name: "a submodule of this machine",
            build: |stage, _| {
                let url = stage.source.path().display().to_string();
                submodule(stage, &format!("[submodule \"x\"]\n\tpath = x\n\turl = {url}\n"));
            },
            expected: PUSHED,
        },
    ])
    .await;
}
