//! A small HTTP server to deploy.
//!
//! It listens on 127.0.0.1, on the port that `--port` or `PORT` names, and answers
//!
//! - `/` with `hello from <INSTANCE> at <REVISION>`,
//! - `/health` with `ok`.
//!
//! It keeps nothing, so `SIGTERM` may end it at once, which is what the system does by itself.

use std::env;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

/// A client that is slower than this is let go.
const PATIENCE: Duration = Duration::from_secs(5);
/// More than any request line with its headers.
const LARGEST_REQUEST: u64 = 16 * 1024;

fn main() -> ExitCode {
    let greeting = format!(
        "hello from {} at {}\n",
        variable("INSTANCE", "hello"),
        variable("REVISION", "no revision")
    );
    let served = port(env::args().skip(1), env::var("PORT").ok()).and_then(|port| {
        let failed = |error: io::Error| format!("cannot listen on 127.0.0.1:{port}: {error}");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(failed)?;
        println!("listening on {}", listener.local_addr().map_err(failed)?);
        serve(&listener, &greeting);
        Ok(())
    });
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

fn variable(name: &str, default: &str) -> String {
    env::var(name).ok().filter(|value| !value.is_empty()).unwrap_or_else(|| default.into())
}

/// The port: `--port N` wins over `PORT`.
fn port(
    mut arguments: impl Iterator<Item = String>,
    variable: Option<String>,
) -> Result<u16, String> {
    let mut text = variable;
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--port" => text = Some(arguments.next().ok_or("--port needs a number")?),
            other => return Err(format!("unknown argument `{other}`; known is --port N")),
        }
    }
    let text = text.ok_or("no port: set PORT or pass --port N")?;
    text.parse().map_err(|_| format!("`{text}` is not a port: it must be a number from 0 to 65535"))
}

fn serve(listener: &TcpListener, greeting: &str) {
    thread::scope(|scope| {
        for stream in listener.incoming() {
            match stream {
                Ok(stream) => {
                    scope.spawn(move || {
                        if let Err(error) = answer(stream, greeting) {
                            eprintln!("a request was not answered: {error}");
                        }
                    });
                }
                Err(error) => eprintln!("a connection was not taken: {error}"),
            }
        }
    });
}

fn answer(mut stream: TcpStream, greeting: &str) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let path = read_path(&stream)?;
    let (status, body) = respond(&path, greeting);
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

fn respond<'a>(path: &str, greeting: &'a str) -> (&'static str, &'a str) {
    match path {
        "/" => ("200 OK", greeting),
        "/health" => ("200 OK", "ok\n"),
        _ => ("404 Not Found", "not found\n"),
    }
}

/// Reads a request up to its blank line and returns its path.
fn read_path(stream: &TcpStream) -> io::Result<String> {
    let mut lines = BufReader::new(stream.take(LARGEST_REQUEST)).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    for line in lines {
        if line?.is_empty() {
            break;
        }
    }
    let target = first.split(' ').nth(1).unwrap_or_default();
    Ok(target.split('?').next().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_argument_wins_over_the_variable() {
        let arguments = || ["--port", "81"].into_iter().map(str::to_owned);
        assert_eq!(port(arguments(), Some("80".into())), Ok(81));
        assert_eq!(port(std::iter::empty(), Some("80".into())), Ok(80));
    }

    #[test]
    fn a_wrong_port_is_refused_with_a_reason() {
        assert!(port(std::iter::empty(), None).is_err_and(|why| why.contains("PORT")));
        assert!(port(std::iter::empty(), Some("x".into())).is_err_and(|why| why.contains("`x`")));
        assert!(port(["-h".to_owned()].into_iter(), None).is_err_and(|why| why.contains("-h")));
    }

    #[test]
    fn a_request_over_tcp_is_answered_with_the_greeting() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("an address");
        let server = thread::spawn(move || answer(listener.accept()?.0, "hello from a at b\n"));
        let mut client = TcpStream::connect(address).expect("a connection");
        client.write_all(b"GET /?x=1 HTTP/1.1\r\nHost: a\r\n\r\n").expect("an open connection");
        let mut text = String::new();
        client.read_to_string(&mut text).expect("an answer");
        server.join().expect("no panic").expect("answered");
        assert!(text.starts_with("HTTP/1.1 200 OK\r\n"), "{text}");
        assert!(text.ends_with("\r\n\r\nhello from a at b\n"), "{text}");
    }

    #[test]
    fn health_is_ok_and_other_paths_are_not_found() {
        assert_eq!(respond("/health", "").0, "200 OK");
        assert_eq!(respond("/x", "").0, "404 Not Found");
    }
}
