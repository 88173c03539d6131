//! A collector in this process: keeps events by (epoch, seq), as the real one does, and misbehaves as told.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};

use gnomon_proto::limits::{REJECTED_EPOCH, REJECTED_SEQ};
use gnomon_proto::v1::enrolment_server::{Enrolment, EnrolmentServer};
use gnomon_proto::v1::ingest_server::{Ingest, IngestServer};
use gnomon_proto::v1::{Ack, Batch, EnrolRequest, EnrolResponse, Event, Health};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DnType, IsCa, Issuer, KeyPair,
};
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tokio_stream::{Stream, StreamExt};
use tonic::transport::{Certificate, Identity, Server, ServerTlsConfig};
use tonic::{Request, Response, Status, Streaming};

pub(super) struct Ca {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
    der: Vec<u8>,
}

impl Ca {
    pub(super) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.distinguished_name.push(DnType::CommonName, "test CA");
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let (pem, der) = (certificate.pem(), certificate.der().to_vec());
        Self { issuer: Issuer::new(params, key), pem, der }
    }

    pub(super) fn token(&self, secret: &str) -> String {
        format!("gn1.{secret}.{}", super::super::identity::hex(&Sha256::digest(&self.der)))
    }

    pub(super) fn server_certificate(
        &self,
        name: &str,
        edit: impl FnOnce(&mut CertificateParams),
    ) -> Identity {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        edit(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Identity::from_pem(certificate.pem() + &self.pem, key.serialize_pem())
    }
}

/// What the collector is told to do wrong.
#[derive(Clone, Copy, Default)]
pub(super) struct Faults {
    /// Ends each stream instead of acknowledging this batch of it, after having kept the batch.
    pub(super) cut_at_batch: Option<usize>,
    /// Refuses events noted "bad".
    pub(super) refuse_bad: bool,
    /// And says which.
    pub(super) name_bad: bool,
    pub(super) refuse_health: bool,
}

#[derive(Default)]
pub(super) struct Seen {
    pub(super) events: BTreeMap<(String, u64), Event>,
    /// First number of each stream's first batch, with the highest acknowledged before it.
    pub(super) resumed: Vec<(u64, u64)>,
    pub(super) acked: u64,
    pub(super) largest_batch: usize,
    pub(super) streams: usize,
    pub(super) health: Vec<Health>,
    pub(super) enrol_calls: Vec<EnrolRequest>,
    pub(super) good_tokens: Vec<String>,
}

#[derive(Clone)]
struct Service {
    ca: Arc<Ca>,
    seen: Arc<Mutex<Seen>>,
    faults: Faults,
}

impl Service {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap()
    }
}

/// Stopping it cuts every connection.
pub(super) struct Collector {
    runtime: Option<tokio::runtime::Runtime>,
    pub(super) address: SocketAddr,
}

impl Collector {
    pub(super) fn start(
        ca: &Arc<Ca>,
        certificate: Identity,
        address: Option<SocketAddr>,
        seen: &Arc<Mutex<Seen>>,
        faults: Faults,
    ) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let address = address.unwrap_or_else(|| "127.0.0.1:0".parse().unwrap());
        let listener = std::net::TcpListener::bind(address).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let service = Service { ca: ca.clone(), seen: seen.clone(), faults };
        let tls = ServerTlsConfig::new()
            .identity(certificate)
            .client_ca_root(Certificate::from_pem(&ca.pem))
            .client_auth_optional(true);
        runtime.spawn(async move {
            Server::builder()
                .tls_config(tls)
                .unwrap()
                .add_service(EnrolmentServer::new(service.clone()))
                .add_service(IngestServer::new(service))
                .serve_with_incoming(TcpListenerStream::new(TcpListener::from_std(listener).unwrap()))
                .await
                .unwrap();
        });
        Self { runtime: Some(runtime), address }
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Waits until the port is free; a thread of its own, as a runtime cannot wait within another.
            let wait = move || runtime.shutdown_timeout(std::time::Duration::from_secs(5));
            std::thread::spawn(wait).join().unwrap();
        }
    }
}

#[tonic::async_trait]
impl Enrolment for Service {
    async fn enrol(&self, request: Request<EnrolRequest>) -> Result<Response<EnrolResponse>, Status> {
        let request = request.into_inner();
        let mut seen = self.seen();
        seen.enrol_calls.push(request.clone());
        let Some(i) = seen.good_tokens.iter().position(|t| *t == request.token) else {
            return Err(Status::unauthenticated("used"));
        };
        seen.good_tokens.remove(i);
        let csr = CertificateSigningRequestParams::from_der(&request.csr_der.into()).unwrap();
        Ok(Response::new(EnrolResponse {
            host_id: "h-1".into(),
            certificate_pem: csr.signed_by(&self.ca.issuer).unwrap().pem(),
            ca_pem: self.ca.pem.clone(),
        }))
    }
}

#[tonic::async_trait]
impl Ingest for Service {
    type ShipStream = Pin<Box<dyn Stream<Item = Result<Ack, Status>> + Send>>;

    async fn ship(&self, request: Request<Streaming<Batch>>) -> Result<Response<Self::ShipStream>, Status> {
        if request.peer_certs().is_none() {
            return Err(Status::unauthenticated("no client certificate"));
        }
        let mut batches = request.into_inner();
        let (acks, receiver) = tokio::sync::mpsc::channel(8);
        let service = self.clone();
        service.seen().streams += 1;
        tokio::spawn(async move {
            let mut count = 0;
            while let Some(Ok(batch)) = batches.next().await {
                if !batch.events.is_empty() {
                    count += 1;
                }
                let answer = service.take(batch, count);
                let end = answer.is_err();
                if acks.send(answer).await.is_err() || end {
                    return;
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }
}

impl Service {
    fn take(&self, batch: Batch, count: usize) -> Result<Ack, Status> {
        let mut seen = self.seen();
        if let Some(health) = batch.health {
            if self.faults.refuse_health {
                return Err(Status::invalid_argument("health is wrong"));
            }
            seen.health.push(health);
        }
        if let Some(bad) = batch.events.iter().find(|e| e.note == "bad").filter(|_| self.faults.refuse_bad) {
            let mut status = Status::invalid_argument("bad event");
            if self.faults.name_bad {
                status.metadata_mut().insert(REJECTED_SEQ, bad.seq.into());
                status.metadata_mut().insert(REJECTED_EPOCH, batch.epoch.parse().unwrap());
            }
            return Err(status);
        }
        if count == 1
            && let Some(first) = batch.events.first()
        {
            let acked = seen.acked;
            seen.resumed.push((first.seq, acked));
        }
        seen.largest_batch = seen.largest_batch.max(batch.events.len());
        let last = batch.events.last().map(|e| e.seq);
        seen.events.extend(batch.events.into_iter().map(|e| ((batch.epoch.clone(), e.seq), e)));
        if self.faults.cut_at_batch == Some(count) {
            return Err(Status::unavailable("cut"));
        }
        seen.acked = last.unwrap_or(seen.acked);
        Ok(Ack { epoch: batch.epoch, seq: seen.acked })
    }
}
