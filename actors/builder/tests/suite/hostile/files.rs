//! What the files say: templates with code in them, JSON that is too much, settings that no clock holds.

use super::{Case, Expected, PUSHED, play};

macro_rules! says {
    ($name:literal, $file:literal, $text:expr, $expected:expr) => {
        Case {
            name: $name,
            build: |stage, command| {
                stage.commit(vec![stage.file($file, $text)]);
                // source.json is read where the workflow leaves something open.
                if $file == "source.json" {
                    (command.source_repo, command.source_repo_git_ref) = (None, None);
                }
            },
            expected: $expected,
        }
    };
}

const CODE: Expected = Expected::Refused(&["x@.service.eex, line 2, column 11"]);

#[tokio::test]
async fn templates_are_filled_in_and_never_executed() {
    play(&[
        says!(
            "Elixir in a template",
            "x@.service.eex",
            "[Service]\nExecStart=<%= System.cmd(\"canary\", []) %>\n",
            CODE
        ),
        says!(
            "a statement in a template",
            "x@.service.eex",
            "[Service]\nExecStart=<% File.read!(\"/etc/passwd\") %>\n",
            CODE
        ),
        says!(
            "an expression in a template",
            "x@.service.eex",
            "[Service]\nExecStart={{ ''.__class__.__mro__ }}\n",
            CODE
        ),
        says!(
            "a filter in a template",
            "x@.service.eex",
            "[Service]\nExecStart={{ commit_hash | shell }}\n",
            CODE
        ),
        says!(
            "a template within a template",
            "x@.service.eex",
            "[Service]\nExecStart=<%= <%= commit_hash %> %>\n",
            CODE
        ),
        says!(
            "a template that does not end",
            "x@.service.eex",
            format!("[Service]\nExecStart=<%= {}", "a".repeat(500_000)),
            CODE
        ),
        says!(
            "500,000 openings without an end",
            "x@.service.eex",
            format!("[Service]\nExecStart={}", "{{{{".repeat(100_000) + "<%"),
            Expected::Refused(&["x@.service.eex, line 2"])
        ),
        says!(
            "a name that exists nowhere",
            "x@.service.eex",
            "[Service]\nExecStart={{ HOME }}\n",
            CODE
        ),
        says!(
            "a unit that begins a second section behind a value",
            "x@.service.eex",
            "[Service]\nExecStart=/bin/app\\\n[X-Fleet]\n{{ commit_hash }}\n",
            Expected::Refused(&["x@.service"])
        ),
    ])
    .await;
}

#[tokio::test]
async fn json_is_read_within_its_limits() {
    play(&[
        says!(
            "JSON, 100,000 deep",
            "etcd.json",
            "[".repeat(100_000),
            Expected::Refused(&["etcd.json, line 1"])
        ),
        says!(
            "an unknown key, 100,000 deep",
            "fleet.json",
            format!("{{\"x\": {}{}}}", "[".repeat(100_000), "]".repeat(100_000)),
            PUSHED
        ),
        says!(
            "a number with 100,000 digits",
            "fleet.json",
            format!("{{\"instance_cnt\": {}}}", "9".repeat(100_000)),
            Expected::Refused(&["fleet.json, line 1"])
        ),
        says!(
            "a number beyond every float",
            "fleet.json",
            "{\"instance_cnt\": 1e99999}",
            Expected::Refused(&["fleet.json, line 1"])
        ),
        says!(
            "two tokens",
            "etcd.json",
            "{\"token\": \"local\", \"token\": \"other\"}",
            Expected::Refused(&["etcd.json", "duplicate field"])
        ),
        says!(
            "JSON that is not UTF-8",
            "etcd.json",
            b"{\"token\": \"\xff\"}",
            Expected::Refused(&["etcd.json", "not UTF-8"])
        ),
        says!(
            "a byte order mark",
            "etcd.json",
            "\u{feff}{\"token\": \"local\"}",
            Expected::Refused(&["etcd.json, line 1"])
        ),
        says!(
            "half a surrogate pair",
            "etcd.json",
            "{\"token\": \"\\ud800\"}",
            Expected::Refused(&["etcd.json, line 1"])
        ),
        says!(
            "a token that is a path",
            "etcd.json",
            "{\"token\": \"../../etc\"}",
            Expected::Refused(&["etcd.json", "token"])
        ),
        says!(
            "a token with a NUL",
            "etcd.json",
            "{\"token\": \"local\\u0000\"}",
            Expected::Refused(&["etcd.json", "token"])
        ),
        says!(
            "a million instances",
            "fleet.json",
            "{\"instance_cnt\": 1000000}",
            Expected::Refused(&["instance_cnt"])
        ),
        says!(
            "a settling time that no clock holds",
            "fleet.json",
            "{\"deploy\": {\"settle\": \"500000000000years\"}}",
            Expected::Refused(&["deploy.settle", "longer than a day"])
        ),
        says!(
            "a health check that is a second request",
            "fleet.json",
            "{\"health\": {\"http\": \"/ HTTP/1.1\\r\\nHost: x\\r\\n\\r\\nGET /\"}}",
            Expected::Refused(&["health.http"])
        ),
        says!(
            "unknown keys of every kind",
            "fleet.json",
            "{\"__proto__\": {}, \"\\u0000\": 1e308, \"$(canary)\": [[[[]]]]}",
            PUSHED
        ),
        says!(
            "a source that is a program",
            "source.json",
            "{\"source_repo\": \"ext::canary\"}",
            Expected::Refused(&["source_repo in source.json"])
        ),
        says!(
            "a source whose ref is an option",
            "source.json",
            "{\"source_repo\": \"org/name\", \"source_repo_git_ref\": \"--upload-pack=canary\"}",
            Expected::Refused(&["source_repo_git_ref in source.json"])
        ),
    ])
    .await;
}
