//! What a workflow may not name, since git, a shell or a file system could misread it.

use serde_json::{Map, Value, json};

use crate::manager::TestManager;

const REPOSITORIES: [&str; 22] = [
    "acme/shop;id",
    "acme/$(id)",
    "acme/`id`",
    "acme/shop|id",
    "acme/shop&id",
    "../shop",
    "acme/..",
    "a/../../b",
    "--upload-pack=id",
    "-oProxyCommand=id/x",
    "acme/-x",
    "acme/shop\nid",
    "acme/\u{0}shop",
    "acme/\u{1b}[2J",
    "ext::sh -c id",
    "http://host/acme/shop",
    "https://user:secret@host/acme/shop",
    "ssh://-oProxyCommand=id/x",
    "git@-host:x",
    "/etc/passwd",
    "file:///etc/passwd",
    "acme",
];

const REVISIONS: [&str; 16] = [
    "-b",
    "--upload-pack=id",
    "master;id",
    "$(id)",
    "`id`",
    "a b",
    "a\nb",
    "a\u{0}b",
    "../x",
    "a..b",
    "refs/../x",
    "a|b",
    "a&b",
    "a>b",
    "a:b",
    "a\\b",
];

#[tokio::test]
async fn hostile_names_are_refused_by_field_and_nothing_is_stored() {
    let manager = TestManager::start().await;
    let table = [("deployment_repo", &REPOSITORIES[..]), ("source_repo", &REPOSITORIES[..])]
        .into_iter()
        .chain([
            ("deployment_repo_git_ref", &REVISIONS[..]),
            ("source_repo_git_ref", &REVISIONS[..]),
        ]);
    for (field, names) in table {
        for name in names {
            let body = Value::Object(Map::from_iter([(field.to_owned(), json!(name))]));
            let answer = manager.post("/workflows", body).await.expect_status(400).json();
            assert!(answer[field].is_string(), "{field} {name:?}: {answer}");
            assert!(
                answer["hint"].as_str().is_some_and(|hint| hint.contains(field)),
                "{field} {name:?}: {answer}"
            );
            assert!(!answer.to_string().contains("secret"), "a secret is not repeated: {answer}");
        }
    }
    assert_eq!(manager.get("/workflows?lookback=0").await.json(), json!([]));
}

#[tokio::test]
async fn hostile_names_are_refused_in_a_change_as_well() {
    let manager = TestManager::start().await;
    let path = manager.workflow(json!({"deployment_repo": "acme/shop"})).await;
    let before = manager.get(&path).await.json();
    manager.put(&path, json!({"deployment_repo": "acme/$(id)"})).await.expect_status(400);
    manager
        .put(&path, json!({"source_repo": "acme/ok", "deployment_repo_git_ref": "-b"}))
        .await
        .expect_status(400);
    let after = manager.get(&path).await.json();
    for field in ["deployment_repo", "source_repo", "deployment_repo_git_ref", "updated_at"] {
        assert_eq!(after[field], before[field], "{field}");
    }
}

#[tokio::test]
async fn remote_repositories_are_accepted_in_every_usual_form() {
    let manager = TestManager::start().await;
    for name in [
        "acme/shop",
        "https://github.com/acme/shop.git",
        "ssh://git@host:22/acme/shop",
        "git@host:acme/shop.git",
    ] {
        manager
            .workflow(json!({"deployment_repo": name, "deployment_repo_git_ref": "release/1.2"}))
            .await;
    }
}

#[tokio::test]
async fn local_repositories_are_accepted_only_where_they_are_allowed() {
    let manager = TestManager::start_with(|config| config.allow_local_repositories = true).await;
    for name in ["/srv/git/shop", "file:///srv/git/shop.git"] {
        manager.workflow(json!({"deployment_repo": name})).await;
    }
    manager.post("/workflows", json!({"deployment_repo": "/srv/../etc"})).await.expect_status(400);
}
