//! The way to the collector: enrolment once, then events up and acknowledgements down over mutual TLS.
//!
//! An event leaves the spool when the collector has committed it. Whatever goes wrong in between, it is sent again;
//! the collector knows it by (host, epoch, seq).
#![forbid(unsafe_code)]

mod backoff;
mod batches;
mod connect;
mod enrol;
mod error;
mod identity;
mod stream;
mod tls;
mod token;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use gnomon_proto::v1::ingest_client::IngestClient;
use tokio::sync::watch;
use tonic::transport::Channel;

use crate::config::Collector;
use crate::spool::Spool;
use crate::telemetry::Telemetry;
use backoff::Backoff;
use batches::{Batches, Refusal};
pub use error::ShipError;
use identity::Identity;
use stream::{Ended, StreamSettings};

/// A connection that held this long, or moved an event, counts as working.
const WORKED: Duration = Duration::from_secs(30);

/// Ships the spool to one collector.
#[derive(Debug)]
pub struct Shipper {
    collector: Collector,
    state_dir: PathBuf,
    spool: Spool,
    telemetry: Telemetry,
}

impl Shipper {
    /// `state_dir` keeps the host's key and certificate.
    pub fn new(collector: Collector, state_dir: PathBuf, spool: Spool, telemetry: Telemetry) -> Self {
        Self { collector, state_dir, spool, telemetry }
    }

    /// Runs until `stop` becomes true; then what is in the spool is still sent if the collector takes it at once.
    /// Trouble is logged and tried again, for ever: losing the collector must not end the agent.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        let mut backoff = Backoff::default();
        let mut batches = Batches::new(self.spool.clone());
        let mut last_error = String::new();
        loop {
            let started = Instant::now();
            let acked = batches.acked();
            let Err(error) = self.connection(&mut batches, &mut stop).await else { return };
            if batches.acked() != acked || started.elapsed() > WORKED {
                backoff.reset();
                last_error.clear();
            }
            let wait = backoff.next();
            let text = error.to_string();
            if text == last_error {
                tracing::debug!(retry_in = ?wait, "{text}");
            } else {
                let (events, _) = self.spool.size();
                tracing::error!(
                    retry_in = ?wait, spooled = events,
                    "collector {}: {text}. Events stay in the spool", self.collector.address
                );
                last_error = text;
            }
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = stopped(&mut stop) => return,
            }
        }
    }

    /// One connection, from enrolment if need be to its end. `Ok` means that `stop` was obeyed.
    async fn connection(
        &self,
        batches: &mut Batches,
        stop: &mut watch::Receiver<bool>,
    ) -> Result<(), ShipError> {
        let setup = async {
            let identity = self.identity().await?;
            connect::open(&self.collector, tls::mutual(&identity)?).await
        };
        let channel = tokio::select! {
            channel = setup => channel?,
            () = stopped(stop) => return Ok(()),
        };
        tracing::info!(collector = %self.collector.address, "connected");
        let mut client = IngestClient::<Channel>::new(channel);
        let mut settings = StreamSettings {
            heartbeat: Duration::from_secs(self.collector.heartbeat_secs),
            heartbeats: true,
            telemetry: &self.telemetry,
        };
        loop {
            batches.rewind();
            let refusal = match stream::run(&mut client, batches, &settings, stop).await? {
                Ended::Stopped => return Ok(()),
                Ended::Rejected(status) => Refusal::of(&status),
            };
            if batches.isolate(&refusal).await? {
                continue;
            }
            if !std::mem::replace(&mut settings.heartbeats, false) {
                return Err(ShipError::Lost(refusal.reason));
            }
            tracing::error!(
                collector = %self.collector.address, reason = refusal.reason,
                "the collector refuses this host's health report: none is sent on this connection, events are. \
                 Are agent and collector of the same version?"
            );
        }
    }

    async fn identity(&self) -> Result<Identity, ShipError> {
        let token = match &self.collector.token {
            Some(source) => {
                let text = source.read().map_err(|source| ShipError::TokenFile { source });
                match text {
                    Ok(text) => Some(text),
                    // The file may go once it has served.
                    Err(_) if Identity::exists(&self.state_dir) => None,
                    Err(error) => return Err(error),
                }
            }
            None => None,
        };
        match (Identity::load(&self.state_dir)?, token) {
            (Some(identity), None) => Ok(identity),
            (Some(identity), Some(token)) if identity.was_given_for(&token) => Ok(identity),
            // A token other than the one used: the operator wants this host enrolled anew.
            (_, Some(token)) => enrol::enrol(&self.collector, &token, &self.state_dir).await,
            (None, None) => Err(ShipError::NoToken),
        }
    }
}

/// Also when nobody is left who could say stop.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

#[cfg(test)]
mod tests;
