//! Links where a file is expected, and links that nobody asked for.

use super::{Case, Expected, PUSHED, play};

const LINK: Expected = Expected::Refused(&["symbolic link"]);

#[tokio::test]
async fn links_are_never_followed() {
    play(&[
        Case {
            name: "etcd.json is an absolute link to a secret",
            build: |stage, _| {
                stage.commit(vec![stage.link("etcd.json", stage.secret())]);
            },
            expected: Expected::Refused(&["etcd.json", "symbolic link"]),
        },
        Case {
            name: "source.json is a relative link that leaves the tree",
            build: |stage, _| {
                stage.commit(vec![stage.link("source.json", "../../../../etc/hostname")]);
            },
            expected: Expected::Refused(&["source.json", "symbolic link"]),
        },
        Case {
            name: "fleet.json is a link to the directory above",
            build: |stage, _| {
                stage.commit(vec![stage.link("fleet.json", "..")]);
            },
            expected: Expected::Refused(&["fleet.json", "symbolic link"]),
        },
        Case {
            name: "docker.json is the end of a chain of links",
            build: |stage, _| {
                stage.commit(vec![
                    stage.link("a", stage.secret()),
                    stage.link("b", "a"),
                    stage.link("docker.json", "b"),
                ]);
            },
            expected: Expected::Refused(&["docker.json", "symbolic link"]),
        },
        Case {
            name: "the template of a unit is a link to a secret",
            build: |stage, _| {
                stage.commit(vec![stage.link("app@.service.eex", stage.secret())]);
            },
            expected: LINK,
        },
        Case {
            name: "what a template is rendered to is a link to a victim",
            build: |stage, _| {
                stage.commit(vec![stage.link("app@.service", stage.victim())]);
            },
            expected: LINK,
        },
        Case {
            name: "Dockerfile.eex is a link to the environment of whoever reads it",
            build: |stage, _| {
                stage.commit(vec![stage.link("Dockerfile.eex", "/proc/self/environ")]);
            },
            expected: LINK,
        },
        Case {
            name: "install.sh, rendered from a template, is a link to a victim",
            build: |stage, _| {
                let template = stage.file("install.sh.eex", "{{ commit_hash }}\n");
                stage.commit(vec![template, stage.link("install.sh", stage.victim())]);
            },
            expected: LINK,
        },
        Case {
            name: "a unit is a link to itself",
            build: |stage, _| {
                stage.commit(vec![stage.link("loop.service", "loop.service")]);
            },
            expected: LINK,
        },
        Case {
            name: "a unit is a link within the tree",
            build: |stage, _| {
                stage.commit(vec![stage.link("twin@.service.eex", "app@.service.eex")]);
            },
            expected: LINK,
        },
        Case {
            name: "a link whose target is 100,000 bytes long",
            build: |stage, _| {
                stage.commit(vec![stage.link("long.service", "x/".repeat(50_000))]);
            },
            expected: LINK,
        },
        Case {
            name: "etcd.json is a directory",
            build: |stage, _| {
                let inner = stage.tree(&[stage.file("etcd.json", "{}")]);
                stage.commit(vec![("40000", b"etcd.json", inner)]);
            },
            expected: Expected::Refused(&["etcd.json", "directory"]),
        },
        Case {
            name: "etcd.json is a submodule",
            build: |stage, _| {
                stage.commit(vec![("160000", b"etcd.json", stage.source.head())]);
            },
            expected: Expected::Refused(&["etcd.json", "submodule"]),
        },
        Case {
            name: "a unit has a mode that no file has",
            build: |stage, _| {
                let (_, name, object) = stage.file("odd.service", "[Service]\nExecStart=/a\n");
                stage.commit(vec![("10644", name, object)]);
            },
            expected: Expected::Refused(&["odd.service", "no regular file"]),
        },
    ])
    .await;
}

#[tokio::test]
async fn links_that_mean_nothing_here_stay_what_they_are() {
    play(&[
        Case {
            name: "a directory is a link to a directory of the machine",
            build: |stage, _| {
                stage.commit(vec![stage.link("units", "/etc")]);
            },
            expected: PUSHED,
        },
        Case {
            name: "a nested link leads to a secret",
            build: |stage, _| {
                let inner = stage.tree(&[stage.link("etcd.json", stage.secret())]);
                stage.commit(vec![("40000", b"docs", inner)]);
            },
            expected: PUSHED,
        },
        Case {
            name: "the target of a link has a newline and a control character",
            build: |stage, _| {
                stage.commit(vec![stage.link("odd", "a\n\u{1b}[2J")]);
            },
            expected: PUSHED,
        },
        Case {
            name: ".gitattributes is a link",
            build: |stage, _| {
                stage.commit(vec![stage.link(".gitattributes", stage.secret())]);
            },
            expected: PUSHED,
        },
        Case {
            name: ".gitmodules is a link",
            build: |stage, _| {
                stage.commit(vec![stage.link(".gitmodules", stage.secret())]);
            },
            expected: Expected::Refused(&["gitmodules"]),
        },
    ])
    .await;
}
