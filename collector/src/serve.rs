//! The running collector: store, CA, both ports, retention; from start to clean stop.
#![forbid(unsafe_code)]

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

use crate::{
    data_dir::{DataDir, DataDirError, Lock, write_private},
    grpc::{self, Connected},
    http,
    pki::{Ca, PkiError},
    secret::{Kind, NoRandomness, Secret},
    store::{Store, StoreError},
};

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const GRPC_PORT: u16 = 7443;
const HTTP_PORT: u16 = 7480;
const LINK_TTL: Duration = Duration::from_secs(24 * 3600);
const PRUNE_EVERY: Duration = Duration::from_secs(600);
/// Open requests get this long when the collector stops.
const DRAIN: Duration = Duration::from_secs(5);

#[derive(Clone, Debug)]
pub struct Options {
    pub data: std::path::PathBuf,
    pub grpc: SocketAddr,
    pub http: SocketAddr,
    /// Names for the server certificate, beside localhost and the loopback addresses.
    pub names: Vec<String>,
    /// How long events are kept.
    pub retain: Duration,
}

/// Where the ports really are; a file of the data folder while the collector runs.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub struct Addresses {
    pub grpc: SocketAddr,
    pub http: SocketAddr,
}

impl Default for Addresses {
    fn default() -> Self {
        Self { grpc: SocketAddr::new(LOOPBACK, GRPC_PORT), http: SocketAddr::new(LOOPBACK, HTTP_PORT) }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error(transparent)]
    Data(#[from] DataDirError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Pki(#[from] PkiError),
    #[error(transparent)]
    Random(#[from] NoRandomness),
    #[error("cannot listen on {address}: {source}; choose another with {option}")]
    Listen { address: SocketAddr, option: &'static str, source: std::io::Error },
    #[error("{0} ended: {1}")]
    Ended(&'static str, String),
}

/// A collector that runs in the background of this process.
#[derive(Debug)]
pub struct Running {
    pub addresses: Addresses,
    /// On a start before anybody ever logged in: the one-time admin link.
    pub admin_link: Option<String>,
    store: Store,
    data: DataDir,
    stop: watch::Sender<bool>,
    tasks: Vec<(&'static str, JoinHandle<Result<(), String>>)>,
    _lock: Lock,
}

/// Starts everything; returns when both ports answer.
pub async fn start(options: &Options) -> Result<Running, ServeError> {
    let data = DataDir::open(&options.data)?;
    let lock = data.lock()?;
    let store = Store::open(&data.database())?;
    let ca = Arc::new(Ca::open_or_create(&data)?);
    let (grpc_listener, grpc) = listen(options.grpc, "--grpc").await?;
    let (http_listener, http) = listen(options.http, "--http").await?;
    let addresses = Addresses { grpc, http };
    if !http.ip().is_loopback() {
        tracing::warn!(%http, "the dashboard is plain HTTP: put a TLS proxy in front of it, or sessions can be read off the network");
    }

    let (stop, stopped) = watch::channel(false);
    let connected = Connected::default();
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    names.extend(options.names.iter().filter(|name| !names.contains(name)).cloned().collect::<Vec<_>>());
    let grpc_server = {
        let (store, connected, stopped) = (store.clone(), connected.clone(), stopped.clone());
        async move {
            grpc::serve(grpc_listener, &names, ca, store, connected, stopped).await.map_err(|e| e.to_string())
        }
    };
    let http_server = {
        let (store, data, stopped) = (store.clone(), data.clone(), stopped.clone());
        async move {
            http::serve(http_listener, store, connected, data, grpc, stopped).await;
            Ok(())
        }
    };
    let tasks = vec![
        ("the gRPC server", tokio::spawn(grpc_server)),
        ("the HTTP server", tokio::spawn(http_server)),
        ("retention", tokio::spawn(retain(store.clone(), options.retain, stopped))),
    ];
    let admin_link = match store.has_admin().await? {
        true => None,
        false => Some(new_admin_link(&store, &data, http).await?),
    };
    let json = serde_json::to_vec(&addresses).unwrap_or_default();
    write_private(&data.addresses(), &json)?;
    Ok(Running { addresses, admin_link, store, data, stop, tasks, _lock: lock })
}

/// Makes an admin link, worth one login within 24 hours, and writes it into the data folder as well.
pub async fn new_admin_link(store: &Store, data: &DataDir, http: SocketAddr) -> Result<String, ServeError> {
    let secret = Secret::generate()?;
    store.add_secret(Kind::Link, &secret, LINK_TTL).await?;
    let link = format!("http://{http}/login?token={}", secret.text());
    write_private(&data.admin_link(), link.as_bytes())?;
    Ok(link)
}

impl Running {
    /// Returns when `until` does, or with an error when one of the servers ended by itself. Either way everything is
    /// stopped then, and what was taken is on the disk.
    pub async fn run_until(mut self, until: impl Future<Output = ()>) -> Result<(), ServeError> {
        let failure = tokio::select! {
            () = until => None,
            (index, result) = first_end(&mut self.tasks) => {
                let (name, _) = self.tasks.remove(index);
                Some(ServeError::Ended(name, result.err().unwrap_or_else(|| "without a reason".into())))
            }
        };
        self.stop().await;
        failure.map_or(Ok(()), Err)
    }

    /// Ends streams, answers what is under way, finishes writes, closes the database.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        for (name, mut task) in self.tasks {
            if tokio::time::timeout(DRAIN, &mut task).await.is_err() {
                tracing::warn!("{name} had requests open for more than {} s after the stop", DRAIN.as_secs());
                task.abort();
            }
        }
        self.store.close().await;
        if let Err(error) = std::fs::remove_file(self.data.addresses()) {
            tracing::warn!(%error, "addresses.json stays");
        }
    }
}

async fn first_end(
    tasks: &mut [(&'static str, JoinHandle<Result<(), String>>)],
) -> (usize, Result<(), String>) {
    std::future::poll_fn(|context| {
        for (index, (_, task)) in tasks.iter_mut().enumerate() {
            if let std::task::Poll::Ready(end) = std::pin::Pin::new(task).poll(context) {
                return std::task::Poll::Ready((index, end.unwrap_or_else(|e| Err(e.to_string()))));
            }
        }
        std::task::Poll::Pending
    })
    .await
}

async fn listen(address: SocketAddr, option: &'static str) -> Result<(TcpListener, SocketAddr), ServeError> {
    let wrap = |source| ServeError::Listen { address, option, source };
    let listener = TcpListener::bind(address).await.map_err(wrap)?;
    let bound = listener.local_addr().map_err(wrap)?;
    Ok((listener, bound))
}

async fn retain(store: Store, keep: Duration, mut stop: watch::Receiver<bool>) -> Result<(), String> {
    loop {
        match store.prune(keep).await {
            Ok(0) => {}
            Ok(deleted) => tracing::info!(deleted, "events past their retention"),
            Err(error) => tracing::error!(%error, "retention"),
        }
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return Ok(()),
            () = tokio::time::sleep(PRUNE_EVERY) => {}
        }
    }
}
