//! Names of entries: what a terminal, a shell, a file system or git could misread.

use super::stage::Stage;
use super::{Case, Expected, PUSHED, play};

const UNIT: &str = "[Service]\nExecStart=/bin/app\n";
/// What git itself refuses when it takes the objects in.
const BY_GIT: Expected = Expected::Refused(&["holds what git refuses"]);

/// A repository with an entry of that name.
fn named(stage: &Stage, name: &[u8]) {
    stage.commit(vec![("100644", name, stage.blob(UNIT.as_bytes()))]);
}

#[tokio::test]
async fn names_of_units_are_checked() {
    play(&[
        Case {
            name: "a unit with a newline in its name",
            build: |stage, _| named(stage, b"a\nb.service"),
            expected: Expected::Refused(&["a\\nb.service", "unit name"]),
        },
        Case {
            name: "a unit with a quote in its name",
            build: |stage, _| named(stage, b"a\"b'.service"),
            expected: Expected::Refused(&["unit name"]),
        },
        Case {
            name: "a unit whose name begins with a dash",
            build: |stage, _| named(stage, b"--exec=x.service"),
            expected: Expected::Refused(&["must not begin with"]),
        },
        Case {
            name: "a unit with a control character in its name",
            build: |stage, _| named(stage, b"a\x1b[2Jb.service"),
            expected: Expected::Refused(&["\\u{1b}", "unit name"]),
        },
        Case {
            name: "a unit with a reversed name",
            build: |stage, _| named(stage, "a\u{202e}x.service".as_bytes()),
            expected: Expected::Refused(&["unit name"]),
        },
        Case {
            name: "a unit whose name is not UTF-8",
            build: |stage, _| named(stage, b"\xff\xfe.service"),
            expected: Expected::Refused(&["not UTF-8"]),
        },
        Case {
            name: "a unit that is named like a command",
            build: |stage, _| named(stage, b"$(canary);`canary`.service.eex"),
            expected: Expected::Refused(&["unit name"]),
        },
        Case {
            name: "a unit with a name of 300 characters",
            build: |stage, _| named(stage, format!("{}.service", "a".repeat(300)).as_bytes()),
            expected: Expected::Refused(&["1 to 256 characters"]),
        },
        Case {
            name: "a unit without a name",
            build: |stage, _| named(stage, b".service"),
            expected: Expected::Refused(&["unit name"]),
        },
        Case {
            name: "other files with names of every kind",
            build: |stage, _| {
                let object = || stage.blob(b"x");
                stage.commit(vec![
                    ("100644", b"\xff\xfe", object()),
                    ("100644", b"--upload-pack=x", object()),
                    ("100644", b"a\nb", object()),
                    ("100644", b"$(canary)", object()),
                    ("100644", "\u{202e}etcd.json".as_bytes(), object()),
                    ("100644", b"ETCD.JSON", object()),
                    ("100644", b"etcd.json ", object()),
                ]);
            },
            expected: PUSHED,
        },
    ])
    .await;
}

#[tokio::test]
async fn paths_that_lead_elsewhere_do_not_come_in() {
    play(&[
        Case {
            name: "an entry `..`",
            build: |stage, _| {
                let inner = stage.tree(&[stage.file("x", "x")]);
                stage.commit(vec![("40000", b"..", inner)]);
            },
            expected: BY_GIT,
        },
        Case { name: "an entry `.`", build: |stage, _| named(stage, b"."), expected: BY_GIT },
        Case { name: "an entry `.git`", build: |stage, _| named(stage, b".git"), expected: BY_GIT },
        Case {
            name: "an entry `.GiT`, the same on some file systems",
            build: |stage, _| named(stage, b".GiT"),
            expected: BY_GIT,
        },
        Case {
            name: "an entry `.git` with an ignorable character",
            build: |stage, _| named(stage, ".g\u{200c}it".as_bytes()),
            expected: BY_GIT,
        },
        Case {
            name: "an entry `git~1`, the short name of `.git`",
            build: |stage, _| named(stage, b"git~1"),
            expected: BY_GIT,
        },
        Case {
            name: "a template whose name has path parts",
            build: |stage, _| named(stage, b"../../x@.service.eex"),
            expected: BY_GIT,
        },
        Case {
            name: "an absolute path as a name",
            build: |stage, _| named(stage, b"/etc/cron.d/x"),
            expected: BY_GIT,
        },
        Case {
            name: "an entry without a name",
            build: |stage, _| named(stage, b""),
            expected: BY_GIT,
        },
        Case {
            name: "a name of 5,000 bytes",
            build: |stage, _| named(stage, "x".repeat(5_000).as_bytes()),
            expected: BY_GIT,
        },
        Case {
            name: "two entries of one name",
            build: |stage, _| {
                let entries =
                    [stage.file("etcd.json", "{\"token\": \"a\"}"), stage.file("etcd.json", "{}")];
                stage.commit_tree(&stage.tree(&entries));
            },
            expected: BY_GIT,
        },
        Case {
            name: "entries out of order",
            build: |stage, _| {
                let entries = [stage.file("etcd.json", "{}"), stage.file("a.service", UNIT)];
                stage.commit_tree(&stage.tree(&entries));
            },
            expected: BY_GIT,
        },
        Case {
            name: "a mode with a leading zero",
            build: |stage, _| {
                let (_, name, object) = stage.file("x", "x");
                stage.commit(vec![("0100644", name, object)]);
            },
            expected: BY_GIT,
        },
        Case {
            name: "an entry that leads to no object",
            build: |stage, _| {
                stage.commit(vec![("160000", b"x", "0".repeat(40))]);
            },
            expected: BY_GIT,
        },
        Case {
            name: "directories in directories, 1,000 deep",
            build: |stage, _| stage.deep(1_000),
            expected: PUSHED,
        },
        Case {
            name: "directories in directories, deeper than git goes",
            build: |stage, _| stage.deep(5_000),
            expected: BY_GIT,
        },
    ])
    .await;
}
