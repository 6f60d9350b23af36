//! The HTTP server, on a thread of its own.

use super::{Health, StatusSource, connections, policy};
use crate::metrics::Metrics;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use tokio::sync::oneshot;

/// A running server; dropping it ends it.
pub struct Server {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    #[error("cannot listen on {listen}")]
    Listen { listen: String, source: std::io::Error },
    #[error("cannot start the HTTP thread")]
    Thread(#[source] std::io::Error),
}

#[derive(Clone)]
struct Served {
    health: Arc<Health>,
    metrics: Metrics,
    status: StatusSource,
}

impl Server {
    /// Listens on `HOST:PORT`; port 0 takes a free one.
    pub fn start(
        listen: &str,
        health: Arc<Health>,
        metrics: Metrics,
        status: StatusSource,
    ) -> Result<Server, HttpError> {
        let refused = |source| HttpError::Listen { listen: listen.to_owned(), source };
        let listener = TcpListener::bind(listen).map_err(refused)?;
        listener.set_nonblocking(true).map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(HttpError::Thread)?;
        let (stop, stopped) = oneshot::channel();
        let served = Served { health, metrics, status };
        let thread = std::thread::Builder::new()
            .name("http".to_owned())
            .spawn(move || runtime.block_on(serve(listener, served, stopped)))
            .map_err(HttpError::Thread)?;
        Ok(Server { address, stop: Some(stop), thread: Some(thread) })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The receiver is gone only if the thread has ended.
        let _ = self.stop.take().map(|s| s.send(()));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn serve(listener: TcpListener, served: Served, stopped: oneshot::Receiver<()>) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "HTTP does not run"),
    };
    let routes = Router::new()
        .route("/", get(async || Html(policy::PAGE)))
        .route("/livez", get(async |State(s): State<Served>| probe(s.health.liveness())))
        .route("/readyz", get(async |State(s): State<Served>| probe(s.health.readiness())))
        .route("/metrics", get(async |State(s): State<Served>| metrics(&s.metrics)))
        .route("/status", get(async |State(s): State<Served>| Json((s.status)())))
        .with_state(served)
        .layer(axum::middleware::map_response(policy::protect));
    // Open connections are not waited for: a browser's keep-alive would hold the shutdown.
    tokio::select! {
        () = connections::serve(listener, routes) => {}
        _ = stopped => {}
    }
}

fn probe(state: Result<(), String>) -> (StatusCode, String) {
    match state {
        Ok(()) => (StatusCode::OK, "ok\n".to_owned()),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
    }
}

fn metrics(metrics: &Metrics) -> Response {
    match metrics.scrape() {
        Ok(text) => ([(header::CONTENT_TYPE, Metrics::CONTENT_TYPE)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

#[cfg(test)]
mod tests;
