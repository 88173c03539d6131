//! The port for people and their scripts: API, live stream, dashboard. It only reads; the one thing that it changes is
//! that an admin link is used up.
#![forbid(unsafe_code)]

mod api;
mod auth;
mod connections;
mod error;
mod headers;
mod live;
mod pages;

pub use auth::API_PREFIX;

use std::{net::SocketAddr, sync::Arc};

use axum::{Router, middleware, routing::get};
use tokio::{
    net::TcpListener,
    sync::{Semaphore, watch},
};

use crate::{data_dir::DataDir, grpc::Connected, store::Store};

/// Live streams open at a time, over all users.
const STREAMS: usize = 64;

/// What handlers share.
#[derive(Clone, Debug)]
struct State {
    store: Store,
    connected: Connected,
    data: DataDir,
    /// Where hosts connect to.
    grpc: SocketAddr,
    /// True when the collector stops: live streams, which have no end of their own, end then.
    stop: watch::Receiver<bool>,
    streams: Arc<Semaphore>,
}

/// Serves on `listener` until `stop` becomes true.
pub async fn serve(
    listener: TcpListener,
    store: Store,
    connected: Connected,
    data: DataDir,
    grpc: SocketAddr,
    stop: watch::Receiver<bool>,
) {
    let until = stop.clone();
    let state = State { store, connected, data, grpc, stop, streams: Arc::new(Semaphore::new(STREAMS)) };
    connections::serve(listener, router(state), until).await;
}

fn router(state: State) -> Router {
    let api = Router::new()
        .route("/events", get(api::events))
        .route("/events/{id}", get(api::event))
        .route("/hosts", get(api::hosts))
        .route("/servers", get(api::servers))
        .route("/summary", get(api::summary))
        .route("/stream", get(live::stream))
        .fallback(api::not_found);
    let private = Router::new()
        .route("/", get(pages::index))
        .route("/app.js", get(pages::script))
        .fallback(api::not_found)
        .nest("/api/v1", api)
        .layer(middleware::from_fn_with_state(state.clone(), auth::require));
    Router::new()
        .route("/healthz", get(api::healthz))
        .route("/login", get(auth::log_in))
        // Without data in them, and needed by the page that says how to get in.
        .route("/style.css", get(pages::style))
        .route("/favicon.svg", get(pages::icon))
        .merge(private)
        .layer(middleware::from_fn(headers::secure))
        .with_state(state)
}
