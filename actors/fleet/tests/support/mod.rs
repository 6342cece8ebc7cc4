//! A server that answers from a script and remembers what it was asked.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use oa_fleet::FleetClient;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use url::Url;

#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// Path and query as they came.
    pub(crate) target: String,
    pub(crate) body: String,
}

impl Request {
    pub(crate) fn line(&self) -> String {
        format!("{} {}", self.method, self.target)
    }
}

#[derive(Debug)]
pub(crate) struct Answer {
    status: u16,
    body: String,
    closes: bool,
}

impl Answer {
    pub(crate) fn json(status: u16, body: &str) -> Self {
        Self { status, body: body.to_owned(), closes: false }
    }

    /// The server closes the connection afterwards without having said so.
    pub(crate) fn then_close(self) -> Self {
        Self { closes: true, ..self }
    }

    pub(crate) fn empty(status: u16) -> Self {
        Self::json(status, "")
    }
}

type Script = dyn Fn(&Request) -> Answer + Send + Sync;

pub(crate) struct ScriptedServer {
    url: Url,
    requests: Arc<Mutex<Vec<Request>>>,
    connections: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl ScriptedServer {
    pub(crate) async fn start(script: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound address");
        let requests = Arc::new(Mutex::new(Vec::new()));
        let connections = Arc::new(AtomicUsize::new(0));
        let script: Arc<Script> = Arc::new(script);
        let (seen, counted) = (Arc::clone(&requests), Arc::clone(&connections));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(serve(stream, Arc::clone(&script), Arc::clone(&seen)));
            }
        });
        let url = Url::parse(&format!("http://{address}/")).expect("a valid URL");
        Self { url, requests, connections, task }
    }

    pub(crate) fn client(&self) -> FleetClient {
        // One provider for all tests of a process; whoever is second finds it installed.
        let _installed = rustls::crypto::ring::default_provider().install_default();
        FleetClient::http(self.url.clone()).expect("a client")
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Closes the port.
    pub(crate) async fn stop(self) {
        self.task.abort();
        let _cancelled = self.task.await;
    }
}

async fn serve(stream: TcpStream, script: Arc<Script>, seen: Arc<Mutex<Vec<Request>>>) {
    let mut stream = BufReader::new(stream);
    while let Some(request) = read(&mut stream).await {
        let answer = script(&request);
        seen.lock().unwrap_or_else(PoisonError::into_inner).push(request);
        // 204 has no body and no length.
        let length = match answer.status {
            204 => String::new(),
            _ => format!("Content-Length: {}\r\n", answer.body.len()),
        };
        let text = format!(
            "HTTP/1.1 {} X\r\nContent-Type: application/json\r\n{length}\r\n{}",
            answer.status, answer.body
        );
        if stream.write_all(text.as_bytes()).await.is_err() || answer.closes {
            return;
        }
    }
}

async fn read(stream: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut line = String::new();
    stream.read_line(&mut line).await.ok().filter(|count| *count > 0)?;
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, target) = (words.next()?, words.next()?);
    let mut length = 0;
    loop {
        let mut header = String::new();
        stream.read_line(&mut header).await.ok()?;
        if header.trim().is_empty() {
            break;
        }
        if let Some(value) = header.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some(Request { method, target, body: String::from_utf8(body).ok()? })
}
