//! What is too much, too deep, too slow or not readable.

use std::time::Duration;

use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::http::read_answer;
use crate::manager::TestManager;

#[tokio::test]
async fn a_body_above_the_limit_is_refused_with_the_limit() {
    let manager = TestManager::start().await;
    let body = format!("{{\"deployment_repo\":\"{}\"}}", "x".repeat(1024 * 1024));
    let request = manager.request("POST", "/workflows").body("application/json", body);
    let answer = request.send(manager.address()).await.expect_status(413);
    assert!(answer.message().contains("1048576 bytes"), "{}", answer.body);
    assert_eq!(answer.json()["code"], "body_too_large");
}

#[tokio::test]
async fn broken_json_is_refused_with_line_and_column() {
    let manager = TestManager::start().await;
    let request = manager
        .request("POST", "/clusters")
        .body("application/json", "{\"etcd_token\": \"a\",\n  \"name\" 2}");
    let answer = request.send(manager.address()).await.expect_status(400);
    assert!(answer.message().contains("line 2 column 10"), "{}", answer.body);
    assert_eq!(answer.json()["code"], "broken_json");
}

#[tokio::test]
async fn json_that_is_nested_too_deeply_is_refused() {
    let manager = TestManager::start().await;
    let deep = format!("{{\"data\":{}1{}}}", "[".repeat(500), "]".repeat(500));
    let request = manager.request("POST", "/system_events").body("application/json", deep);
    let answer = request.send(manager.address()).await.expect_status(422);
    assert!(answer.message().contains("64 levels"), "{}", answer.body);
}

#[tokio::test]
async fn a_compressed_body_is_refused() {
    let manager = TestManager::start().await;
    let request = manager
        .request("POST", "/workflows")
        .body("application/json", "x")
        .header("Content-Encoding", "gzip");
    request.send(manager.address()).await.expect_status(415);
}

#[tokio::test]
async fn json_without_its_content_type_is_refused_with_what_to_send() {
    let manager = TestManager::start().await;
    let request = manager
        .request("POST", "/workflows")
        .body("application/x-www-form-urlencoded", "{\"a\":1}");
    let answer = request.send(manager.address()).await.expect_status(400);
    assert!(
        answer.json()["hint"].as_str().is_some_and(|hint| hint.contains("application/json")),
        "{}",
        answer.body
    );
}

#[tokio::test]
async fn a_client_that_takes_no_json_is_told_so() {
    let manager = TestManager::start().await;
    manager
        .request("GET", "/clusters")
        .header("Accept", "text/html")
        .send(manager.address())
        .await
        .expect_status(406);
    let any = manager.request("GET", "/clusters").header("Accept", "text/html, */*;q=0.1");
    any.send(manager.address()).await.expect_status(200);
}

#[tokio::test]
async fn a_body_that_does_not_arrive_is_not_waited_for_without_end() {
    let manager =
        TestManager::start_with(|config| config.body_timeout = Duration::from_millis(50)).await;
    let mut stream = TcpStream::connect(manager.address()).await.expect("a connection");
    let head = format!(
        "POST /workflows HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: {}\r\n\
         Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{{",
        manager.token()
    );
    stream.write_all(head.as_bytes()).await.expect("the head is taken");
    read_answer(&mut stream).await.expect_status(408);
}

#[tokio::test]
async fn a_head_that_does_not_arrive_is_not_waited_for_without_end() {
    let manager =
        TestManager::start_with(|config| config.head_timeout = Duration::from_millis(50)).await;
    let mut stream = TcpStream::connect(manager.address()).await.expect("a connection");
    stream.write_all(b"GET /status HTTP/1.1\r\nHost:").await.expect("the head is taken");
    read_answer(&mut stream).await.expect_status(408);
}

#[tokio::test]
async fn every_error_has_a_code_and_the_id_of_its_request() {
    let manager = TestManager::start().await;
    let request = manager.request("GET", "/clusters/nothing").header("X-Request-Id", "ci-42");
    let answer = request.send(manager.address()).await.expect_status(404);
    assert_eq!(answer.header("x-request-id"), Some("ci-42"));
    assert_eq!(
        answer.json(),
        json!({
            "errors": [{"message": "EtcdCluster was not found"}], "code": "not_found", "request_id": "ci-42"
        })
    );
    let answer = manager.get("/clusters/nothing").await;
    assert_eq!(answer.header("x-request-id"), answer.json()["request_id"].as_str());
    let answer = manager.get("/nowhere").await.expect_status(404);
    assert_eq!(answer.body, "Page not found - 404");
    assert_eq!(answer.header("x-error-code"), Some("no_such_route"));
}

#[tokio::test]
async fn answers_are_not_kept_sniffed_or_framed() {
    let manager = TestManager::start().await;
    for path in ["/status", "/clusters", "/nowhere"] {
        let answer = manager.get(path).await;
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{path}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
    }
}

#[tokio::test]
async fn a_head_is_answered_like_a_get_without_the_body() {
    let manager = TestManager::start().await;
    let answer =
        manager.request("HEAD", "/status").send(manager.address()).await.expect_status(200);
    assert_eq!(answer.body, "");
    assert_eq!(answer.header("content-length"), Some("2"));
}
