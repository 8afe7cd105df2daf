//! Connections: accepted, served, and cut when asked for.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::http;
use super::shared::Shared;

/// How long to wait when the system has no file descriptor left.
const BREATH: Duration = Duration::from_millis(50);

/// Serves until the future is dropped, which ends every connection.
pub(super) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection(stream, Arc::clone(&shared)));
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(BREATH).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(stream: TcpStream, shared: Arc<Shared>) {
    let mut line = shared.line();
    if line.borrow_and_update().away {
        return;
    }
    let served = tokio::select! {
        served = answer(stream, &shared) => served,
        // Dropping the connection closes it, in the middle of an answer or not.
        _ = line.changed() => Ok(()),
    };
    if let Err(error) = served {
        tracing::debug!(%error, "a connection has failed");
    }
}

async fn answer(stream: TcpStream, shared: &Arc<Shared>) -> io::Result<()> {
    // An answer must not wait for the acknowledgement of the one before.
    stream.set_nodelay(true)?;
    let service = service_fn(|request| {
        let shared = Arc::clone(shared);
        async move { Ok::<_, Infallible>(http::answer(&shared, request).await) }
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service)
        .await
        .map_err(io::Error::other)
}
