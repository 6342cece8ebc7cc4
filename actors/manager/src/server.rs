//! The HTTP server, on a thread of its own.

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::{Server, ServerHandle};
use actix_web::{HttpServer, web};
use tokio::sync::oneshot;

use crate::app::App;
use crate::dispatch::dispatch;

/// Time for the last bytes of answers after the last request has ended.
const FLUSH_SECS: u64 = 1;
/// Time in which a client that was refused early may still send.
const LINGER: Duration = Duration::from_secs(2);

/// Why there is no HTTP server.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// The system gives no thread.
    #[error("failed to start the thread of the HTTP server")]
    Thread(#[source] io::Error),
    /// It ended while it started.
    #[error("the HTTP server ended while it started: {reason}")]
    Start {
        /// Why.
        reason: String,
    },
}

/// A running server. Dropping it ends it at once.
#[derive(Debug)]
pub(crate) struct HttpThread {
    handle: ServerHandle,
}

/// Resolves when the server has ended, with the reason.
pub(crate) type Ended = oneshot::Receiver<String>;

impl HttpThread {
    /// Serves `app` on `listener`.
    pub(crate) async fn start(
        app: Arc<App>,
        listener: TcpListener,
    ) -> Result<(Self, Ended), ServerError> {
        let (ready, is_ready) = oneshot::channel();
        let (ended, has_ended) = oneshot::channel();
        let serve = move || {
            let reason = actix_web::rt::System::new().block_on(async move {
                match build(app, listener) {
                    Ok(server) => {
                        // Nobody waits any more if the Manager was ended meanwhile; then the server ends too.
                        if ready.send(server.handle()).is_err() {
                            return "nobody waits for it".to_owned();
                        }
                        server.await.map_or_else(
                            |error| error.to_string(),
                            |()| "it was stopped".to_owned(),
                        )
                    }
                    Err(error) => error.to_string(),
                }
            });
            let _ = ended.send(reason);
        };
        std::thread::Builder::new()
            .name("manager-http".to_owned())
            .spawn(serve)
            .map_err(ServerError::Thread)?;

        match is_ready.await {
            Ok(handle) => Ok((Self { handle }, has_ended)),
            Err(_) => {
                let reason = has_ended.await.unwrap_or_else(|_| "its thread panicked".to_owned());
                Err(ServerError::Start { reason })
            }
        }
    }

    /// Takes no further connections.
    pub(crate) async fn pause(&self) {
        self.handle.pause().await;
    }

    /// Ends the server after the answers under way are written.
    pub(crate) async fn stop(&self) {
        self.handle.stop(true).await;
    }
}

impl Drop for HttpThread {
    fn drop(&mut self) {
        // The command is on its way as soon as this is called; nobody needs to wait for it.
        drop(self.handle.stop(false));
    }
}

fn build(app: Arc<App>, listener: TcpListener) -> io::Result<Server> {
    let config = app.config.clone();
    let data = web::Data::from(app);
    let server = HttpServer::new(move || {
        actix_web::App::new().app_data(data.clone()).default_service(web::to(dispatch))
    })
    .workers(config.workers.max(1))
    .max_connections(config.max_connections.max(1))
    .tcp_nodelay(true)
    .client_request_timeout(config.head_timeout)
    .client_disconnect_timeout(LINGER)
    .keep_alive(config.keep_alive)
    .shutdown_timeout(FLUSH_SECS)
    .disable_signals()
    .listen(listener)?
    .run();
    Ok(server)
}
