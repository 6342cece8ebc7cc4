//! HTTP as it stands in a recording, sent byte for byte over a unix socket.

use std::path::Path;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

/// A request and its answer.
pub(crate) struct Exchange {
    pub(crate) request: Message,
    pub(crate) answer: Answer,
}

#[derive(Debug, Clone)]
pub(crate) struct Message {
    /// Request line or status line, and headers.
    head: Vec<String>,
    body: String,
}

#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

impl Message {
    pub(crate) fn method_and_path(&self) -> (&str, &str) {
        let mut words = self.head[0].split(' ');
        (words.next().unwrap_or_default(), words.next().unwrap_or_default())
    }
}

/// Reads a recording.
pub(crate) fn parse(bytes: &[u8]) -> Exchange {
    let text = String::from_utf8(bytes.to_vec()).expect("recordings are text");
    let (request, answer) = text.split_once("### response\n").expect("a recording has two parts");
    exchange(request, answer)
}

/// An exchange from its two texts.
pub(crate) fn exchange(request: &str, answer: &str) -> Exchange {
    Exchange { request: message(request), answer: answer_of(message(answer)) }
}

fn message(text: &str) -> Message {
    let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
    let head = head.lines().map(str::to_owned).collect();
    Message { head, body: body.strip_suffix('\n').unwrap_or(body).to_owned() }
}

fn answer_of(message: Message) -> Answer {
    let status = message.head.first().and_then(|line| line.split(' ').nth(1)?.parse().ok());
    let headers = message.head.iter().skip(1).filter_map(|line| line.split_once(':'));
    let headers = headers.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect();
    Answer { status: status.unwrap_or(0), headers, body: message.body }
}

/// A request with a JSON body.
pub(crate) fn request(method: &str, path: &str, body: &str) -> Message {
    let head = [
        format!("{method} {path} HTTP/1.1"),
        "Host: fleet.example".into(),
        "Content-Type: application/json".into(),
        format!("Content-Length: {}", body.len()),
    ];
    Message { head: head.into(), body: body.into() }
}

/// Sends a recorded request and reads the answer.
pub(crate) async fn send(socket: &Path, request: &Message) -> Answer {
    let mut stream = UnixStream::connect(socket).await.expect("the host listens");
    let head = request.head.join("\r\n");
    let text = format!("{head}\r\nConnection: close\r\n\r\n{}", request.body);
    stream.write_all(text.as_bytes()).await.expect("the host reads");
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.expect("the host answers");
    let text = String::from_utf8(bytes).expect("answers are text");
    let (head, body) = text.split_once("\r\n\r\n").expect("an answer has a head");
    let head: Vec<String> = head.lines().map(str::to_owned).collect();
    let chunked = head.iter().any(|line| line.eq_ignore_ascii_case("transfer-encoding: chunked"));
    let body = if chunked { joined(body) } else { body.to_owned() };
    answer_of(Message { head, body })
}

/// The chunks of a body, joined.
fn joined(mut text: &str) -> String {
    let mut body = String::new();
    while let Some((size, rest)) = text.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).expect("a chunk has a size");
        if size == 0 {
            break;
        }
        body.push_str(&rest[..size]);
        text = rest[size..].trim_start_matches("\r\n");
    }
    body
}
