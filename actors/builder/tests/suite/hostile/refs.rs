//! Refs that lead nowhere, elsewhere, or to something else than a commit; repositories that lead into others.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use super::{Case, Expected, NOT_PUSHED, PUSHED, play};

#[tokio::test]
async fn refs_that_lead_to_no_commit_are_named() {
    play(&[
        Case {
            name: "a tag of a blob",
            build: |stage, command| {
                stage.point_at("refs/tags/v1", &stage.blob(b"no commit"));
                command.deployment_repo_git_ref = Some("v1".into());
            },
            expected: Expected::Refused(&["no branch, tag or commit `v1`"]),
        },
        Case {
            name: "an annotated tag of a tree",
            build: |stage, command| {
                let tree = stage.whole(vec![]);
                stage.git(&["tag", "-a", "-m", "x", "v1", &tree], b"");
                command.deployment_repo_git_ref = Some("v1".into());
            },
            expected: Expected::Refused(&["no branch, tag or commit `v1`"]),
        },
        Case {
            name: "a tag of a tag of a commit",
            build: |stage, command| {
                stage.git(&["tag", "-a", "-m", "x", "v1", "main"], b"");
                stage.git(&["tag", "-a", "-m", "x", "v2", "v1"], b"");
                command.deployment_repo_git_ref = Some("v2".into());
            },
            expected: NOT_PUSHED,
        },
        Case {
            name: "a branch that is a tree",
            build: |stage, _| stage.point_at("refs/heads/main", &stage.whole(vec![])),
            expected: Expected::Refused(&["`main`"]),
        },
        Case {
            name: "a branch that is a missing object",
            build: |stage, _| stage.point_at("refs/heads/main", &"1".repeat(40)),
            expected: Expected::Refused(&[]),
        },
        Case {
            name: "a branch that is text",
            build: |stage, _| stage.point_at("refs/heads/main", "$(canary)\u{1b}[2J"),
            expected: Expected::Refused(&[]),
        },
        Case {
            name: "branches that lead to one another",
            build: |stage, _| {
                stage.point_at("refs/heads/main", "ref: refs/heads/other");
                stage.point_at("refs/heads/other", "ref: refs/heads/main");
            },
            expected: Expected::Refused(&["`main`"]),
        },
        Case {
            name: "a branch that leads out of the repository",
            build: |stage, _| {
                let secret = stage.secret().display().to_string();
                stage.point_at("refs/heads/main", &format!("ref: ../../..{secret}"));
            },
            expected: Expected::Refused(&["`main`"]),
        },
        Case {
            name: "a branch that is a link to a secret",
            build: |stage, _| {
                let file = stage.deployment.path().join("refs/heads/main");
                fs::remove_file(&file).expect("a branch");
                symlink(stage.secret(), file).expect("a link");
            },
            expected: Expected::Refused(&["`main`"]),
        },
        Case {
            name: "no commit at all",
            build: |stage, command| {
                fs::remove_file(stage.deployment.path().join("refs/heads/main")).expect("a branch");
                command.deployment_repo_git_ref = None;
            },
            expected: Expected::Refused(&["has no commit yet"]),
        },
        Case {
            name: "a default branch that was never born",
            build: |stage, command| {
                stage.point_at("HEAD", "ref: refs/heads/none");
                command.deployment_repo_git_ref = None;
            },
            expected: Expected::Refused(&["has no commit yet"]),
        },
    ])
    .await;
}

#[tokio::test]
async fn odd_refs_beside_the_one_that_is_wanted_do_no_harm() {
    play(&[
        Case {
            name: "a detached default",
            build: |stage, command| {
                stage.point_at("HEAD", &stage.deployment.head());
                command.deployment_repo_git_ref = None;
            },
            expected: NOT_PUSHED,
        },
        Case {
            name: "a default branch with the name of an option",
            build: |stage, command| {
                stage.point_at("refs/heads/--exec=canary", &stage.deployment.head());
                stage.point_at("HEAD", "ref: refs/heads/--exec=canary");
                command.deployment_repo_git_ref = None;
            },
            expected: NOT_PUSHED,
        },
        Case {
            name: "refs named like commands",
            build: |stage, _| {
                let head = stage.deployment.head();
                for name in ["--upload-pack=canary", "$(canary)", "`canary`", "a;canary", "-x"] {
                    stage.point_at(&format!("refs/heads/{name}"), &head);
                    stage.point_at(&format!("refs/tags/{name}"), &head);
                }
            },
            expected: PUSHED,
        },
        Case {
            name: "a branch and a tag of one name",
            build: |stage, _| {
                stage.git(&["tag", "-a", "-m", "x", "main", "main"], b"");
            },
            expected: PUSHED,
        },
        Case {
            name: "a branch with the name of another commit",
            build: |stage, command| {
                let name = stage.source.head();
                stage.point_at(&format!("refs/heads/{name}"), &stage.deployment.head());
                command.deployment_repo_git_ref = Some(name);
            },
            expected: Expected::Refused(&["no branch, tag or commit"]),
        },
        Case {
            name: "objects that are replaced by others, and a history of one's own",
            build: |stage, _| {
                let replaced = stage.git(&["rev-parse", "main:etcd.json"], b"");
                let other = stage.blob(b"{\"token\": \"\"}");
                stage.git(&["replace", &replaced, &other], b"");
                let graft = format!("{} {}", stage.deployment.head(), "1".repeat(40));
                stage.point_at("info/grafts", &graft);
            },
            expected: PUSHED,
        },
    ])
    .await;
}

#[tokio::test]
async fn repositories_that_lead_into_others_are_refused() {
    const UNSAFE: Expected = Expected::Refused(&["is not safe to use"]);
    play(&[
        Case {
            name: "objects that lie in another repository",
            build: |stage, _| {
                let objects = stage.source.path().join("objects");
                stage.point_at("objects/info/alternates", &objects.display().to_string());
            },
            expected: UNSAFE,
        },
        Case {
            name: "a repository that shares the settings of another",
            build: |stage, _| {
                stage.point_at("commondir", &stage.source.path().display().to_string());
            },
            expected: UNSAFE,
        },
        Case {
            name: "a list of refs that is a link to a secret",
            build: |stage, _| {
                symlink(stage.secret(), stage.deployment.path().join("packed-refs"))
                    .expect("a link");
            },
            expected: UNSAFE,
        },
        Case {
            name: "a default branch that is a link to a secret",
            build: |stage, command| {
                let head = stage.deployment.path().join("HEAD");
                fs::remove_file(&head).expect("HEAD");
                symlink(stage.secret(), head).expect("a link");
                command.deployment_repo_git_ref = None;
            },
            expected: UNSAFE,
        },
        Case {
            name: "a directory whose .git is a file that points elsewhere",
            build: |stage, command| {
                let place = stage.secret().with_file_name("pointer");
                fs::create_dir_all(&place).expect("a directory");
                let text = format!("gitdir: {}\n", stage.deployment.path().display());
                fs::write(place.join(".git"), text).expect("a file");
                command.deployment_repo = place.display().to_string();
            },
            expected: UNSAFE,
        },
        Case {
            name: "a repository that everyone may write to",
            build: |stage, _| {
                let everyone = fs::Permissions::from_mode(0o777);
                fs::set_permissions(stage.deployment.path(), everyone).expect("permissions");
            },
            expected: UNSAFE,
        },
    ])
    .await;
}
