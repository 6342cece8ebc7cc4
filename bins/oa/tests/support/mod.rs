//! A node that answers what a test tells it to, and the command that speaks to it.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Command, Output, Stdio};
use std::thread;

/// An answer: status, further headers (each ending in a line break), body.
pub type Answer = (u16, String, String);

/// A stand-in for a node; it serves until the test ends.
pub struct Node {
    url: String,
}

impl Node {
    /// Answers each request with what `answer` gives for its first line (method, path and query) and its body.
    pub fn answering(answer: impl FnMut(&str, &str) -> Answer + Send + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        thread::spawn(move || {
            let mut answer = answer;
            for stream in listener.incoming() {
                // A client that was ended in the middle of a request is part of some tests.
                let _ = serve(stream.expect("a connection"), &mut answer);
            }
        });
        Self { url }
    }

    /// `oa` with this node and nothing of the tester's environment that could matter.
    pub fn oa(&self, arguments: &[&str]) -> Command {
        let mut command = oa(arguments);
        command.env("OA_URL", &self.url).env("OA_TOKEN", "s3cret");
        command
    }

    /// Runs `oa` to its end.
    pub fn run(&self, arguments: &[&str]) -> Ran {
        Ran::of(self.oa(arguments).output().expect("oa runs"))
    }
}

/// `oa` without any node.
pub fn oa(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_oa"));
    command.args(arguments).stdin(Stdio::null());
    for name in ["OA_URL", "OA_TOKEN", "OA_DATA_DIR", "NO_COLOR"] {
        command.env_remove(name);
    }
    command
}

/// How a command ended.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    pub fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("oa prints UTF-8");
        Self {
            code: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }
}

/// 200 with a JSON body.
pub fn ok(body: impl Into<String>) -> Answer {
    (200, "content-type: application/json\r\n".into(), body.into())
}

/// A status with a text.
pub fn status(code: u16, text: &str) -> Answer {
    (code, String::new(), text.into())
}

fn serve(stream: TcpStream, answer: &mut impl FnMut(&str, &str) -> Answer) -> io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let (mut first, mut length) = (String::new(), 0);
    reader.read_line(&mut first)?;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        if let Some(text) = line.strip_prefix("content-length: ") {
            length = text.trim().parse().expect("a number");
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let request = first.trim_end().trim_end_matches(" HTTP/1.1");
    let (code, headers, text) = answer(request, &String::from_utf8_lossy(&body));
    let head = format!(
        "HTTP/1.1 {code} x\r\ncontent-length: {}\r\nconnection: close\r\n{headers}\r\n",
        text.len()
    );
    (&stream).write_all((head + &text).as_bytes())
}
