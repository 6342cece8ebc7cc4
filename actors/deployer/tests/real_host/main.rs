//! Deployments to a real host: real keepers, real processes, real sockets.
//!
//! The program has a `main` of its own, since it plays three parts: the tests, the keeper of the units, and the server
//! that the units run. So nothing has to be built or installed beside it.

mod stage;

use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use oa_protocol::deploy::DeployOutput;
use oa_protocol::step::StepNews;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

use crate::stage::{Stage, release, stop};

/// The tests by name; a macro, since every future has a type of its own.
macro_rules! tests {
    ($($name:ident),* $(,)?) => {
        const NAMES: &[&str] = &[$(stringify!($name)),*];

        async fn run_one(name: &str) {
            match name {
                $(stringify!($name) => Box::pin($name()).await,)*
                _ => unreachable!("only listed tests are run"),
            }
        }
    };
}

tests! {
    a_first_deployment_answers_on_the_ports_that_it_reports,
    replacing_the_instances_leaves_at_most_one_of_them_silent,
    a_release_that_crashes_is_taken_back_and_its_last_words_are_told,
    the_next_node_finishes_what_this_one_began_and_starts_no_unit_twice,
}

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let text = |index: usize| {
        arguments.get(index).and_then(|argument| argument.to_str()).unwrap_or_default()
    };
    match text(0) {
        "unit-keeper" => oa_fleet_host::keeper::run(arguments.into_iter().skip(1)),
        "serve" => serve(text(1), text(2)),
        "crash" => {
            println!("cannot read the configuration");
            ExitCode::from(3)
        }
        _ => run_tests(&arguments),
    }
}

/// Speaks the part of libtest's command line that `cargo test` and `cargo nextest` use.
fn run_tests(arguments: &[OsString]) -> ExitCode {
    let has = |flag: &str| arguments.iter().any(|argument| argument == flag);
    if has("--list") {
        if !has("--ignored") {
            NAMES.iter().for_each(|name| println!("{name}: test"));
        }
        return ExitCode::SUCCESS;
    }
    let wanted: Vec<&str> = arguments.iter().filter_map(|argument| argument.to_str()).collect();
    let filters: Vec<&&str> = wanted.iter().filter(|argument| !argument.starts_with('-')).collect();
    for name in NAMES
        .iter()
        .filter(|name| filters.is_empty() || filters.iter().any(|filter| name.contains(**filter)))
    {
        println!("{name}");
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        runtime.block_on(run_one(name));
    }
    ExitCode::SUCCESS
}

/// What the units run: answers every request with `text`. It ends by itself, should a failed test leave it behind.
fn serve(port: &str, text: &str) -> ExitCode {
    println!("started {text}");
    let port: u16 = port.parse().expect("a port");
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{text}",
        text.len()
    );
    let serving = async {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port))
            .await
            .expect("the port is free");
        loop {
            let Ok((mut stream, _)) = listener.accept().await else { continue };
            let _ = stream.read(&mut [0; 1024]).await;
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    };
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let _ =
        runtime.block_on(async { tokio::time::timeout(Duration::from_secs(120), serving).await });
    ExitCode::SUCCESS
}

fn addresses(output: &DeployOutput) -> Vec<SocketAddr> {
    let text =
        output.units.iter().map(|unit| unit.address.as_deref().expect("a port was asked for"));
    text.map(|address| address.parse().expect("host and port")).collect()
}

/// What a server answers; `None` if it does not.
async fn body(address: SocketAddr) -> Option<String> {
    let mut stream = tokio::net::TcpStream::connect(address).await.ok()?;
    stream.write_all(b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n").await.ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.ok()?;
    answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned())
}

async fn a_first_deployment_answers_on_the_ports_that_it_reports() {
    let mut stage = Stage::set().await;
    let node = stage.node().await;
    let begun = Instant::now();
    let output =
        stage.deploy(&release("serve <%= dst_port %> one", 1)).await.expect("a deployment");
    println!("two fresh instances were reported healthy after {:?}", begun.elapsed());
    for address in addresses(&output) {
        assert_eq!(body(address).await.as_deref(), Some("one"));
    }
    stage.strike(node).await;
}

async fn replacing_the_instances_leaves_at_most_one_of_them_silent() {
    let mut stage = Stage::set().await;
    let node = stage.node().await;
    let first = stage.deploy(&release("serve <%= dst_port %> one", 1)).await.expect("a deployment");
    let ports = addresses(&first);

    let (done, both_silent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let visitor = tokio::spawn({
        let (ports, done, both_silent) =
            (ports.clone(), Arc::clone(&done), Arc::clone(&both_silent));
        async move {
            while !done.load(Ordering::Acquire) {
                // One after the other: a port that is asked second must answer if the first one did not.
                if body(ports[0]).await.is_none()
                    && body(ports[1]).await.is_none()
                    && body(ports[0]).await.is_none()
                {
                    both_silent.fetch_add(1, Ordering::AcqRel);
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
    });
    let second =
        stage.deploy(&release("serve <%= dst_port %> two", 2)).await.expect("a second one");
    done.store(true, Ordering::Release);
    visitor.await.expect("the visitor ends");
    assert_eq!(both_silent.load(Ordering::Acquire), 0);
    assert_eq!(addresses(&second), ports, "a unit keeps its port");
    for address in ports {
        assert_eq!(body(address).await.as_deref(), Some("two"));
    }
    stage.strike(node).await;
}

async fn a_release_that_crashes_is_taken_back_and_its_last_words_are_told() {
    let mut stage = Stage::set().await;
    let node = stage.node().await;
    let first = stage.deploy(&release("serve <%= dst_port %> one", 1)).await.expect("a deployment");
    let failure = stage.deploy(&release("crash <%= dst_port %>", 2)).await.expect_err("it crashes");
    for part in
        ["app@0.service is failed", "cannot read the configuration", "app@0.service: restored"]
    {
        assert!(failure.message.contains(part), "{failure}");
    }
    assert_eq!(failure.hint.as_deref(), Some("oa logs app@0.service"));
    for address in addresses(&first) {
        assert_eq!(body(address).await.as_deref(), Some("one"));
    }
    stage.strike(node).await;
}

async fn the_next_node_finishes_what_this_one_began_and_starts_no_unit_twice() {
    let mut stage = Stage::set().await;
    let node = stage.node().await;
    let mut command = release("serve <%= dst_port %> one", 1);
    command.fleet_config.deploy.as_mut().expect("a policy").settle = Duration::from_millis(500);
    stage.send(&command).await;
    stage
        .report(|report| match &report.news {
            StepNews::Progress { waiting_for: Some(reason), .. }
                if reason.contains("of being healthy") =>
            {
                Some(())
            }
            _ => None,
        })
        .await;
    stop(node).await;

    let node = stage.node().await;
    let output = stage.end_of(&command).await.expect("the next node goes on");
    assert_eq!(output.units.len(), 2);
    for unit in ["app@0.service", "app@1.service"] {
        assert_eq!(stage.log_of(unit).await, "started one\n", "{unit} was started once");
    }
    stage.strike(node).await;
}
