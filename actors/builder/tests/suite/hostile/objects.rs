//! Objects: too large, too many, broken, or not what they should be.

use super::stage::{Entry, Stage};
use super::{Case, Expected, PUSHED, play, play_with};
use crate::support::noise;

/// What git itself refuses when it takes the objects in.
const BY_GIT: Expected = Expected::Refused(&["holds what git refuses"]);

/// Makes `main` a commit with this text behind its tree.
fn commit_text(stage: &Stage, text: &str) {
    let tree = stage.whole(vec![]);
    let commit = stage.literal("commit", format!("tree {tree}\n{text}").as_bytes());
    stage.point_at("refs/heads/main", &commit);
}

fn same_file_many_times<'a>(stage: &Stage, names: &'a [String]) -> Vec<Entry<'a>> {
    let object = stage.blob(b"[Service]\nExecStart=/bin/app\n");
    names.iter().map(|name| ("100644", name.as_bytes(), object.clone())).collect()
}

#[tokio::test]
async fn what_is_too_much_is_refused() {
    play_with(
        &[
            Case {
                name: "a unit that is a bomb: 16 MiB of nothing in 16 KiB",
                build: |stage, _| {
                    stage.commit(vec![stage.file("huge.service", vec![0; 16 << 20])]);
                },
                expected: Expected::Refused(&[
                    "huge.service",
                    "16777216 bytes; 1048576 are allowed",
                ]),
            },
            Case {
                name: "a bomb that nobody reads",
                build: |stage, _| {
                    stage.commit(vec![stage.file("huge", vec![0; 16 << 20])]);
                },
                expected: PUSHED,
            },
            Case {
                name: "a bomb of deltas, each doubling the one before",
                build: |stage, _| {
                    // Similar blobs, which git packs as deltas of one another.
                    let blob = |at: usize| vec![u8::try_from(at).expect("small"); 2 << 20];
                    let names: Vec<String> = (0..8).map(|at| format!("delta-{at}")).collect();
                    let files =
                        names.iter().enumerate().map(|(at, name)| stage.file(name, blob(at)));
                    stage.commit(files.collect());
                },
                expected: PUSHED,
            },
            Case {
                name: "more bytes than may be fetched",
                build: |stage, _| {
                    stage.commit(vec![stage.file("noise", noise(3 << 20))]);
                },
                expected: Expected::Refused(&["is larger than 2097152 bytes"]),
            },
            Case {
                name: "many files that together are more than may be fetched",
                build: |stage, _| {
                    let text = noise(4 << 20);
                    let names: Vec<String> = (0..16).map(|at| format!("noise-{at}")).collect();
                    let parts = names.iter().zip(text.as_bytes().chunks(256 << 10));
                    stage.commit(parts.map(|(name, part)| stage.file(name, part)).collect());
                },
                expected: Expected::Refused(&["is larger than 2097152 bytes"]),
            },
            Case {
                name: "10,000 units",
                build: |stage, _| {
                    let names: Vec<String> =
                        (0..10_000).map(|at| format!("u{at}.service")).collect();
                    stage.commit(same_file_many_times(stage, &names));
                },
                expected: Expected::Refused(&["one file too many; 1000 are read at most"]),
            },
            Case {
                name: "a directory of 60,000 files with long names",
                build: |stage, _| {
                    let names: Vec<String> = (0..60_000).map(|at| format!("{at:050}")).collect();
                    stage.commit(same_file_many_times(stage, &names));
                },
                expected: Expected::Refused(&["4194304 are allowed"]),
            },
        ],
        |config| config.repository_limit_bytes = 2 << 20,
    )
    .await;
}

#[tokio::test]
async fn commits_of_every_kind_are_refused_or_do_no_harm() {
    const WHO: &str = "Eve <eve@example.invalid> 1700000000 +0000";
    play(&[
        Case {
            name: "author and message are commands and control characters",
            build: |stage, _| {
                let who = "$(canary)`canary`;-x\u{1b}[2J <--exec=canary> 1700000000 +0000";
                commit_text(
                    stage,
                    &format!(
                        "author {who}\ncommitter {who}\n\n$(canary)\n\u{1b}[31m\u{202e}--exec\n"
                    ),
                );
            },
            expected: PUSHED,
        },
        Case {
            name: "a header that tells another tree and another time",
            build: |stage, _| {
                let text = format!(
                    "author {WHO}\ncommitter {WHO}\nencoding $(canary)\ngpgsig -----BEGIN\n x\n\n\
                     tree 0\nauthor nobody\n"
                );
                commit_text(stage, &text);
            },
            expected: PUSHED,
        },
        Case {
            name: "a commit without an author",
            build: |stage, _| commit_text(stage, &format!("committer {WHO}\n\nx\n")),
            expected: BY_GIT,
        },
        Case {
            name: "an author without a time",
            build: |stage, _| {
                commit_text(stage, &format!("author Eve <e@x>\ncommitter {WHO}\n\nx\n"));
            },
            expected: BY_GIT,
        },
        Case {
            name: "a time that no clock holds",
            build: |stage, _| {
                let who = "Eve <e@x> 99999999999999999999999 +0000";
                commit_text(stage, &format!("author {who}\ncommitter {who}\n\nx\n"));
            },
            expected: BY_GIT,
        },
        Case {
            name: "a source of the year 300,000",
            build: |stage, command| {
                let who = "Eve <e@x> 9400000000000 +0000";
                commit_text(stage, &format!("author {who}\ncommitter {who}\n\nx\n"));
                command.source_repo = Some(command.deployment_repo.clone());
            },
            expected: PUSHED,
        },
        Case {
            name: "a template that needs the time of the year 300,000",
            build: |stage, command| {
                let template = stage.file("Dockerfile.eex", "{{ timestamp }}");
                let tree = stage.whole(vec![template]);
                let who = "Eve <e@x> 9400000000000 +0000";
                let text = format!("tree {tree}\nauthor {who}\ncommitter {who}\n\nx\n");
                stage.point_at("refs/heads/main", &stage.literal("commit", text.as_bytes()));
                command.source_repo = Some(command.deployment_repo.clone());
            },
            expected: Expected::Refused(&["Dockerfile.eex", "out of range"]),
        },
        Case {
            name: "a NUL in a commit",
            build: |stage, _| {
                commit_text(stage, &format!("author {WHO}\ncommitter {WHO}\n\nx\0y\n"));
            },
            expected: BY_GIT,
        },
        Case {
            name: "a commit of a tree that is not there",
            build: |stage, _| {
                let text = format!("tree {}\nauthor {WHO}\ncommitter {WHO}\n\nx\n", "1".repeat(40));
                stage.point_at("refs/heads/main", &stage.literal("commit", text.as_bytes()));
            },
            expected: Expected::Refused(&[]),
        },
        Case {
            name: "a commit whose tree is a blob",
            build: |stage, _| {
                let blob = stage.blob(b"100644 etcd.json\0");
                let text = format!("tree {blob}\nauthor {WHO}\ncommitter {WHO}\n\nx\n");
                stage.point_at("refs/heads/main", &stage.literal("commit", text.as_bytes()));
            },
            expected: Expected::Refused(&[]),
        },
        Case {
            name: "an object that is no zlib stream",
            build: |stage, _| {
                let object = stage.blob(b"soon broken");
                let file =
                    stage.deployment.path().join("objects").join(&object[..2]).join(&object[2..]);
                stage.commit(vec![("100644", b"x", object)]);
                crate::support::overwrite(&file, b"nonsense");
            },
            expected: Expected::Refused(&[]),
        },
    ])
    .await;
}
