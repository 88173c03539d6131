//! The port for hosts: enrolment without, ingest with a client certificate, both over TLS 1.2 or 1.3.
#![forbid(unsafe_code)]

mod connected;
mod enrolment;
mod ingest;
mod limits;

use std::{sync::Arc, time::Duration};

use gnomon_proto::{
    limits::BATCH_BYTES,
    v1::{enrolment_server::EnrolmentServer, ingest_server::IngestServer},
};
use tokio::{net::TcpListener, sync::watch};
use tonic::transport::{Certificate, Identity, Server, ServerTlsConfig, server::TcpIncoming};

pub use connected::Connected;

use crate::{
    pki::{Ca, PkiError},
    store::Store,
};

const HANDSHAKE: Duration = Duration::from_secs(10);
/// A host that vanished without closing is noticed within the sum of these.
const PING_EVERY: Duration = Duration::from_secs(20);
const PING_WAIT: Duration = Duration::from_secs(10);
/// An enrolment request is a token, a certificate request and two names.
const ENROL_BYTES: usize = 32 << 10;
const CALLS_PER_CONNECTION: u32 = 16;

#[derive(Debug, thiserror::Error)]
pub enum GrpcError {
    #[error(transparent)]
    Pki(#[from] PkiError),
    #[error("gRPC server: {0}")]
    Transport(#[from] tonic::transport::Error),
}

/// Serves on `listener` until `stop` becomes true. `names` go into the server's certificate.
pub async fn serve(
    listener: TcpListener,
    names: &[String],
    ca: Arc<Ca>,
    store: Store,
    connected: Connected,
    stop: watch::Receiver<bool>,
) -> Result<(), GrpcError> {
    let identity = ca.issue_server(names)?;
    // Optional here, because enrolment comes before the certificate; ingest asks for it itself.
    let tls = ServerTlsConfig::new()
        .identity(Identity::from_pem(identity.chain_pem, identity.key_pem))
        .client_ca_root(Certificate::from_pem(ca.pem()))
        .client_auth_optional(true)
        .timeout(HANDSHAKE);
    let enrolment = enrolment::Service::new(ca, store.clone());
    let ingest = ingest::Service::new(store, connected, stop.clone());
    Server::builder()
        .tls_config(tls)?
        .http2_keepalive_interval(Some(PING_EVERY))
        .http2_keepalive_timeout(Some(PING_WAIT))
        .max_concurrent_streams(CALLS_PER_CONNECTION)
        .add_service(EnrolmentServer::new(enrolment).max_decoding_message_size(ENROL_BYTES))
        .add_service(IngestServer::new(ingest).max_decoding_message_size(BATCH_BYTES))
        .serve_with_incoming_shutdown(TcpIncoming::from(listener).with_nodelay(Some(true)), stopped(stop))
        .await?;
    Ok(())
}

async fn stopped(mut stop: watch::Receiver<bool>) {
    // An error means that the sender is gone: the same as stop.
    let _ = stop.wait_for(|stop| *stop).await;
}
