//! A git server that speaks https: the real `git http-backend` behind a small TLS front.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// Largest request that the server takes.
const MAX_BODY_BYTES: u64 = 16 << 20;

/// A running server; it ends with this value.
#[derive(Debug)]
pub struct HttpsGitServer {
    directory: TempDir,
    address: SocketAddr,
    accepting: JoinHandle<()>,
}

impl HttpsGitServer {
    /// Serves the bare repositories below `root` to whoever sends `Authorization: <authorization>`.
    ///
    /// # Panics
    ///
    /// If no certificate can be made or no port is free: nothing can be tested then.
    pub async fn start(root: &Path, authorization: &str) -> Self {
        let directory = TempDir::with_prefix("oa-test-https-").expect("a temporary directory");
        let acceptor = make_certificate(directory.path()).await.expect("a certificate");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("its address");
        let front =
            Arc::new(Front { root: root.to_path_buf(), authorization: authorization.to_owned() });
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (front, acceptor) = (Arc::clone(&front), acceptor.clone());
                tokio::spawn(async move {
                    // A client that breaks off is the client's affair.
                    let _broken_off = front.serve(stream, acceptor).await;
                });
            }
        });
        Self { directory, address, accepting }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The certificate that vouches for it, as a file.
    #[must_use]
    pub fn certificate(&self) -> PathBuf {
        self.directory.path().join("certificate.pem")
    }
}

impl Drop for HttpsGitServer {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn make_certificate(directory: &Path) -> io::Result<TlsAcceptor> {
    let (certificate, key) = (directory.join("certificate.pem"), directory.join("key.pem"));
    let status = Command::new("/usr/bin/openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "2",
        ])
        .args(["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-out"])
        .arg(&certificate)
        .arg("-keyout")
        .arg(&key)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .await?;
    if !status.success() {
        return Err(io::Error::other("openssl made no certificate"));
    }
    let chain = vec![CertificateDer::from_pem_file(certificate).map_err(io::Error::other)?];
    let key = PrivateKeyDer::from_pem_file(key).map_err(io::Error::other)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(io::Error::other)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

struct Front {
    root: PathBuf,
    authorization: String,
}

/// What the head of a request says.
#[derive(Default)]
struct Head {
    method: String,
    path: String,
    query: String,
    fields: Vec<(String, String)>,
}

impl Head {
    fn field(&self, name: &str) -> &str {
        self.fields.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }
}

impl Front {
    /// Answers one request and closes the connection.
    async fn serve(&self, stream: TcpStream, acceptor: TlsAcceptor) -> io::Result<()> {
        let mut stream = BufReader::new(acceptor.accept(stream).await?);
        let head = read_head(&mut stream).await?;
        if head.field("authorization") != self.authorization {
            let refusal = "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"git\"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            stream.write_all(refusal.as_bytes()).await?;
            return stream.shutdown().await;
        }
        let length = head.field("content-length").parse().unwrap_or(0).min(MAX_BODY_BYTES);
        let mut body = Vec::new();
        (&mut stream).take(length).read_to_end(&mut body).await?;
        let answer = self.ask_backend(&head, &body).await?;
        stream.write_all(&answer).await?;
        stream.shutdown().await
    }

    /// CGI: the request in variables and standard input, the answer on standard output.
    async fn ask_backend(&self, head: &Head, body: &[u8]) -> io::Result<Vec<u8>> {
        let mut child = Command::new("git")
            .arg("http-backend")
            .env("GIT_PROJECT_ROOT", &self.root)
            .env("GIT_HTTP_EXPORT_ALL", "1")
            .env("REMOTE_USER", "test")
            .env("REQUEST_METHOD", &head.method)
            .env("PATH_INFO", &head.path)
            .env("QUERY_STRING", &head.query)
            .env("CONTENT_TYPE", head.field("content-type"))
            .env("CONTENT_LENGTH", body.len().to_string())
            .env("HTTP_CONTENT_ENCODING", head.field("content-encoding"))
            .env("GIT_PROTOCOL", head.field("git-protocol"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let mut input = child.stdin.take().ok_or_else(|| io::Error::other("no standard input"))?;
        input.write_all(body).await?;
        drop(input);
        let output = child.wait_with_output().await?.stdout;
        let split = output.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap_or(0);
        let fields = String::from_utf8_lossy(&output[..split]).into_owned();
        let status =
            fields.lines().find_map(|line| line.strip_prefix("Status: ")).unwrap_or("200 OK");
        let mut answer =
            format!("HTTP/1.1 {status}\r\n{fields}\r\nConnection: close\r\n\r\n").into_bytes();
        answer.extend_from_slice(output.get(split + 4..).unwrap_or_default());
        Ok(answer)
    }
}

async fn read_head(stream: &mut (impl AsyncBufReadExt + Unpin)) -> io::Result<Head> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 || line.trim().is_empty() {
            break;
        }
        lines.push(line.trim_end().to_owned());
    }
    let mut words = lines.first().map(String::as_str).unwrap_or_default().split(' ');
    let method = words.next().unwrap_or_default().to_owned();
    let target = words.next().unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let fields = lines.iter().skip(1).filter_map(|line| line.split_once(": "));
    let fields = fields.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect();
    Ok(Head { method, path: path.to_owned(), query: query.to_owned(), fields })
}
