//! Connections, and what one of them may take: no client, slow or many, can use up the process or hold its end.
//!
//! The limits are far from what probes, scrapers and browsers need. They are per process and not to be set.

use std::collections::VecDeque;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

/// So many at once; one more ends the oldest, so that a probe always comes through.
pub const MOST: usize = 128;
/// From the connection, or the last answer, to the end of a request's head.
pub const HEAD: Duration = Duration::from_secs(10);
/// What is open longer is told to come again: a poller does, and one that reads nothing is cut off.
pub const LIFE: Duration = Duration::from_secs(60);
/// For the answer that is under way then.
const LAST: Duration = Duration::from_secs(5);
/// Of a request's head: more is 431.
const HEAD_BYTES: usize = 16 << 10;
/// After a failed accept (no file descriptor is left): others may end meanwhile.
const AGAIN: Duration = Duration::from_millis(100);

/// Serves until it is dropped.
pub async fn serve(listener: TcpListener, router: Router) {
    let mut open: VecDeque<AbortHandle> = VecDeque::new();
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::debug!(%error, "a connection was not taken");
                tokio::time::sleep(AGAIN).await;
                continue;
            }
        };
        open.retain(|connection| !connection.is_finished());
        if open.len() >= MOST
            && let Some(oldest) = open.pop_front()
        {
            oldest.abort();
        }
        open.push_back(tokio::spawn(connection(stream, router.clone())).abort_handle());
    }
}

async fn connection(stream: TcpStream, router: Router) {
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD).max_buf_size(HEAD_BYTES);
    let mut served = pin!(builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router)));
    let ended = match tokio::time::timeout(LIFE, served.as_mut()).await {
        Ok(ended) => ended,
        Err(_) => {
            served.as_mut().graceful_shutdown();
            tokio::time::timeout(LAST, served).await.unwrap_or(Ok(()))
        }
    };
    // The client went away, or was no client: its loss only.
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection failed");
    }
}
