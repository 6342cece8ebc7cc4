//! Starting and stopping.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use oa_manager::{ManagerArgs, ManagerConfig, child_spec};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::manager::TestManager;

#[tokio::test]
async fn a_port_in_use_is_an_error_with_the_address_and_what_to_do() {
    let manager = TestManager::start().await;
    let other = TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken = other.local_addr().expect("its address");
    let config = ManagerConfig { listen: taken, ..ManagerConfig::default() };
    let args = ManagerArgs::new(
        config,
        manager.data_dir(),
        manager.store().clone(),
        manager.post_office().clone(),
    );
    let spec = child_spec(args).name("second");
    let error = manager
        .system()
        .spawn_ready(spec, Duration::from_secs(10))
        .await
        .expect_err("no second Manager");
    let text = error.to_string();
    assert!(text.contains(&taken.to_string()) && text.contains("`listen`"), "{text}");
}

#[tokio::test]
async fn an_orderly_stop_answers_who_waits_and_gives_the_port_back() {
    let manager = TestManager::start().await;
    let path =
        manager.workflow(json!({"deployment_repo": "acme/shop", "milestones": ["config"]})).await;
    let waiting = manager
        .request("GET", &format!("{path}/events?after=1&wait_ms=60000"))
        .send(manager.address());
    let waiting = tokio::spawn(waiting);
    manager.until_waiting(1).await;

    manager.stop().await;
    waiting.await.expect("no panic").expect_status(200);
    TcpListener::bind(manager.address()).expect("the port is free again");
    assert!(TcpStream::connect(manager.address()).await.is_err());
}

#[tokio::test]
async fn an_idle_connection_does_not_hold_up_a_stop() {
    let manager = TestManager::start().await;
    let mut idle = TcpStream::connect(manager.address()).await.expect("a connection");
    idle.write_all(b"GET /status HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("a request");
    let mut head = [0; 12];
    idle.read_exact(&mut head).await.expect("an answer");
    assert_eq!(&head, b"HTTP/1.1 200");

    let started = Instant::now();
    manager.stop().await;
    assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
}
