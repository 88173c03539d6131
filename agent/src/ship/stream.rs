//! One Ship stream, from its first heartbeat to its end.

use std::error::Error as _;
use std::time::Duration;

use gnomon_proto::v1::Batch;
use gnomon_proto::v1::ingest_client::IngestClient;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Code, Status};

use super::batches::{Batches, WINDOW};
use super::connect::lost;
use super::{ShipError, stopped};
use crate::telemetry::Telemetry;

/// A collector that commits nothing for this long is given up, as far as this connection goes.
const ANSWER: Duration = Duration::from_secs(30);
/// How long a stop waits for what is still in the spool.
const DRAIN_AT_STOP: Duration = Duration::from_secs(3);

pub(super) struct StreamSettings<'a> {
    pub(super) heartbeat: Duration,
    pub(super) heartbeats: bool,
    pub(super) telemetry: &'a Telemetry,
}

pub(super) enum Ended {
    Stopped,
    /// The oldest batch on its way holds something that the collector will never take.
    Rejected(Status),
}

pub(super) async fn run(
    client: &mut IngestClient<Channel>,
    batches: &mut Batches,
    settings: &StreamSettings<'_>,
    stop: &mut watch::Receiver<bool>,
) -> Result<Ended, ShipError> {
    let (up, outgoing) = mpsc::channel(WINDOW + 1);
    let health = |batches: &Batches| Batch {
        epoch: batches.epoch().to_owned(),
        events: Vec::new(),
        health: Some(settings.telemetry.health()),
    };
    // None while an event that the collector refuses is looked for: the refusal must be that event's.
    let heartbeats = |batches: &Batches| settings.heartbeats && !batches.isolating();
    if heartbeats(batches) {
        // The queue is empty: this cannot fail.
        let _ = up.try_send(health(batches));
    }
    let opened = timeout(ANSWER, client.ship(ReceiverStream::new(outgoing)));
    let mut acks = match opened.await {
        Ok(Ok(response)) => response.into_inner(),
        Ok(Err(status)) => return ended(status),
        Err(_) => return Err(ShipError::Timeout(ANSWER.as_secs())),
    };
    let mut newest = batches.newest();
    let mut heartbeat = interval_at(Instant::now() + settings.heartbeat, settings.heartbeat);
    heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut progress = Instant::now();
    let mut drained = false;
    let mut upward = true;
    let mut stop_at = None;
    loop {
        if stop_at.is_some() && drained && batches.all_acked() {
            return Ok(Ended::Stopped);
        }
        tokio::select! {
            received = acks.message() => match received {
                Ok(Some(ack)) => {
                    batches.ack(ack).await?;
                    progress = Instant::now();
                }
                Ok(None) => return Err(ShipError::Ended),
                Err(status) => return ended(status),
            },
            permit = up.reserve(), if upward && !drained && batches.has_room() => match permit {
                Ok(permit) => {
                    if batches.all_acked() {
                        progress = Instant::now();
                    }
                    match batches.next().await? {
                        Some(batch) => permit.send(batch),
                        None => drained = true,
                    }
                }
                // The stream is over; why, comes down.
                Err(_) => upward = false,
            },
            _ = newest.changed(), if drained => drained = false,
            _ = heartbeat.tick(), if heartbeats(batches) => {
                // With a full queue the collector is behind, and the next heartbeat will do.
                let _ = up.try_send(health(batches));
            }
            () = sleep_until(progress + ANSWER), if !batches.all_acked() => {
                return Err(ShipError::Timeout(ANSWER.as_secs()));
            }
            () = stopped(stop), if stop_at.is_none() => {
                stop_at = Some(Instant::now() + DRAIN_AT_STOP);
                // One more look: the spool's own signal may not have been seen yet.
                drained = false;
            }
            () = sleep_until(stop_at.unwrap_or(progress)), if stop_at.is_some() => return Ok(Ended::Stopped),
        }
    }
}

fn ended(status: Status) -> Result<Ended, ShipError> {
    match status.code() {
        // OUT_OF_RANGE is gRPC's own answer to a message over its size limit.
        Code::InvalidArgument | Code::OutOfRange => Ok(Ended::Rejected(status)),
        Code::Unauthenticated | Code::PermissionDenied => {
            Err(ShipError::HostRefused(status.message().to_owned()))
        }
        Code::Unavailable | Code::Cancelled | Code::Unknown if status.source().is_some() => {
            Err(lost(&status))
        }
        code => Err(ShipError::Lost(format!("{}: {}", code.description(), status.message()))),
    }
}
