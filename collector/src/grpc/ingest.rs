//! Batches in, acknowledgements out, in order; an acknowledgement leaves after its batch is on the disk.

use std::pin::Pin;

use gnomon_proto::{
    limits::{REJECTED_EPOCH, REJECTED_SEQ},
    v1::{Ack, Batch, ingest_server::Ingest},
};
use tokio::sync::{mpsc, watch};
use tokio_stream::{Stream, wrappers::ReceiverStream};
use tonic::{Request, Response, Status, Streaming};

use super::{
    Connected,
    connected::Slot,
    limits::{self, Refused},
    stopped,
};
use crate::{
    pki::Peer,
    store::{Store, StoreError},
};

/// Acknowledgements that wait for a host to read them. Then its batches wait too.
const ACKS: usize = 8;

pub(super) struct Service {
    store: Store,
    connected: Connected,
    stop: watch::Receiver<bool>,
}

impl Service {
    pub(super) fn new(store: Store, connected: Connected, stop: watch::Receiver<bool>) -> Self {
        Self { store, connected, stop }
    }
}

#[tonic::async_trait]
impl Ingest for Service {
    type ShipStream = Pin<Box<dyn Stream<Item = Result<Ack, Status>> + Send>>;

    async fn ship(&self, request: Request<Streaming<Batch>>) -> Result<Response<Self::ShipStream>, Status> {
        let certificates = request.peer_certs();
        let leaf = certificates.as_deref().and_then(|chain| chain.first());
        let peer = Peer::from_certificate(leaf.map(AsRef::as_ref))
            .map_err(|e| Status::unauthenticated(e.to_string()))?;
        self.store.authorise(peer.clone()).await.map_err(|e| refusal(&peer, &e))?;
        let slot = self.connected.open(&peer.host_id).ok_or_else(|| {
            Status::resource_exhausted("this host has too many streams open: is a second agent running?")
        })?;
        let (acks, receiver) = mpsc::channel(ACKS);
        let stream = HostStream { store: self.store.clone(), peer, _slot: slot, stop: self.stop.clone() };
        tokio::spawn(stream.run(request.into_inner(), acks));
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }
}

struct HostStream {
    store: Store,
    peer: Peer,
    _slot: Slot,
    stop: watch::Receiver<bool>,
}

impl HostStream {
    async fn run(self, mut batches: Streaming<Batch>, acks: mpsc::Sender<Result<Ack, Status>>) {
        tracing::info!(host = %self.peer.host_id, "host connected");
        let mut stop = std::pin::pin!(stopped(self.stop.clone()));
        let end = loop {
            let batch = tokio::select! {
                batch = batches.message() => batch,
                () = &mut stop => break Err(Status::unavailable("the collector is stopping")),
                () = acks.closed() => break Ok(()),
            };
            let answer = match batch {
                Ok(Some(batch)) => self.take(batch).await,
                Ok(None) => break Ok(()),
                Err(status) => Err(status),
            };
            match answer {
                Ok(ack) => {
                    if acks.send(Ok(ack)).await.is_err() {
                        break Ok(());
                    }
                }
                Err(status) => break Err(status),
            }
        };
        match end {
            Ok(()) => tracing::info!(host = %self.peer.host_id, "host disconnected"),
            Err(status) => {
                tracing::info!(host = %self.peer.host_id, %status, "host's stream ended");
                // When the host has gone there is nobody to tell.
                let _ = acks.try_send(Err(status));
            }
        }
    }

    async fn take(&self, batch: Batch) -> Result<Ack, Status> {
        let epoch = batch.epoch.clone();
        let rows = match limits::check(batch) {
            Ok(rows) => rows,
            Err(refused) => return Err(self.reject(&epoch, refused).await),
        };
        let seq = self.store.ingest(self.peer.clone(), rows).await.map_err(|e| refusal(&self.peer, &e))?;
        Ok(Ack { epoch, seq })
    }

    async fn reject(&self, epoch: &str, refused: Refused) -> Status {
        tracing::warn!(host = %self.peer.host_id, %refused, "batch refused");
        if let Err(error) = self.store.count_rejected(self.peer.host_id.clone(), refused.to_string()).await {
            tracing::error!(%error, "a refused batch could not be counted");
        }
        let mut status = Status::invalid_argument(refused.to_string());
        if let Some(seq) = refused.seq {
            status.metadata_mut().insert(REJECTED_SEQ, seq.into());
            // An epoch that is no header text was refused before its events were looked at, or is the sender's own.
            if let Ok(epoch) = epoch.parse() {
                status.metadata_mut().insert(REJECTED_EPOCH, epoch);
            }
        }
        status
    }
}

/// What the host is told. Its operator can mend the first; the others are ours, and in our log.
fn refusal(peer: &Peer, error: &StoreError) -> Status {
    match error {
        StoreError::UnknownHost(_) | StoreError::RevokedHost(_) | StoreError::ReplacedCertificate(_) => {
            tracing::warn!(host = %peer.host_id, %error, "host refused");
            Status::permission_denied(error.to_string())
        }
        _ => {
            tracing::error!(host = %peer.host_id, %error, "a batch could not be stored");
            Status::unavailable("the collector cannot store events now: keep them and come back")
        }
    }
}
