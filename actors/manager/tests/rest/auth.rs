//! Who gets in, and what the others are told.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use oa_manager::{Permission, inventory};

use crate::http::Request;
use crate::manager::TestManager;

/// A path that the pattern of a route matches.
fn path_of(pattern: &str) -> String {
    let names = [
        (":etcd_token", "local"),
        (":machine_id", "m1"),
        (":unit_name", "app@0.service"),
        (":id", "0193a5b0-0000-7000-8000-000000000000"),
    ];
    names.iter().fold(pattern.to_owned(), |path, (name, value)| path.replace(name, value))
}

#[tokio::test]
async fn every_route_but_the_probes_answers_401_without_a_token() {
    let manager = TestManager::start().await;
    for (method, pattern, permission) in inventory() {
        let answer = Request::new(method, &path_of(pattern)).send(manager.address()).await;
        if permission == Permission::Open {
            assert_eq!(answer.status, 200, "{method} {pattern}");
            continue;
        }
        assert_eq!(
            (answer.status, answer.body.as_str()),
            (401, "Unauthorized"),
            "{method} {pattern}"
        );
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"), "{method} {pattern}");
    }
}

#[tokio::test]
async fn a_wrong_token_answers_401_in_every_form() {
    let manager = TestManager::start().await;
    let almost = format!("{}0", &manager.token()[..manager.token().len() - 1]);
    let almost = if almost == manager.token() { manager.token()[..63].to_owned() } else { almost };
    for value in [
        "Bearer wrong",
        "wrong",
        "Bearer",
        "Bearer ",
        &format!("Bearer {almost}"),
        "Basic YWRtaW46YWRtaW4=",
    ] {
        let answer = Request::new("GET", "/workflows")
            .header("Authorization", value)
            .send(manager.address())
            .await;
        assert_eq!((answer.status, answer.body.as_str()), (401, "Unauthorized"), "{value}");
    }
}

#[tokio::test]
async fn the_token_is_accepted_in_every_form_that_clients_write() {
    let manager = TestManager::start().await;
    let token = manager.token();
    for value in [
        format!("Bearer {token}"),
        format!("bearer {token}"),
        format!("Bearer access_token={token}"),
        format!("bearer{token}"),
        token.to_owned(),
    ] {
        let answer = Request::new("GET", "/clusters")
            .header("authorization", &value)
            .send(manager.address())
            .await;
        assert_eq!(answer.status, 200, "{value}");
    }
}

#[tokio::test]
async fn two_authorization_headers_are_no_token() {
    let manager = TestManager::start().await;
    let token = format!("Bearer {}", manager.token());
    let request = Request::new("GET", "/clusters")
        .header("Authorization", &token)
        .header("Authorization", &token);
    request.send(manager.address()).await.expect_status(401);
}

#[tokio::test]
async fn a_body_of_a_stranger_is_not_read() {
    let manager = TestManager::start().await;
    let answer = Request::new("POST", "/workflows")
        .body("application/json", "{broken")
        .send(manager.address())
        .await;
    answer.expect_status(401);
}

#[tokio::test]
async fn the_admin_token_lies_in_a_file_of_its_owner_alone_and_survives_a_restart() {
    let manager = TestManager::start().await;
    let file = manager.data_dir().join("admin-token");
    assert_eq!(fs::metadata(&file).expect("the file").permissions().mode() & 0o777, 0o600);
    let token = manager.token().to_owned();

    let manager = manager.restart().await;
    assert_eq!(manager.token(), token);
    manager.get("/clusters").await.expect_status(200);
}

#[tokio::test]
async fn pages_of_other_origins_are_refused_unless_they_are_listed() {
    let preflight = || {
        Request::new("OPTIONS", "/workflows")
            .header("Origin", "https://console.example")
            .header("Access-Control-Request-Method", "POST")
    };
    let manager = TestManager::start().await;
    let answer = preflight().send(manager.address()).await;
    assert_eq!(answer.header("access-control-allow-origin"), None);

    let manager = TestManager::start_with(|config| {
        config.cors_origins = vec!["https://console.example".to_owned()]
    })
    .await;
    let answer = preflight().send(manager.address()).await.expect_status(204);
    assert_eq!(answer.header("access-control-allow-origin"), Some("https://console.example"));
    let answer = manager.request("GET", "/clusters").header("Origin", "https://console.example");
    let answer = answer.send(manager.address()).await.expect_status(200);
    assert!(
        answer
            .header("access-control-expose-headers")
            .is_some_and(|names| names.contains("location"))
    );
    let answer = manager.request("GET", "/clusters").header("Origin", "https://other.example");
    assert_eq!(answer.send(manager.address()).await.header("access-control-allow-origin"), None);
}
