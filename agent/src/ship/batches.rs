//! Which events go next, which are on their way, and which one the collector will not have.

use std::collections::VecDeque;

use gnomon_proto::limits::{REJECTED_EPOCH, REJECTED_SEQ};
use gnomon_proto::v1::{Ack, Batch};
use tokio::sync::watch;
use tonic::Status;

use super::ShipError;
use crate::spool::{Spool, SpoolError};

const MAX_EVENTS: usize = 500;
/// With the framing of 500 events a batch stays under 1 MiB, unless a single event is larger.
const MAX_BYTES: usize = (1 << 20) - (8 << 10);
/// Batches sent ahead of their acknowledgement.
pub(super) const WINDOW: usize = 8;

#[derive(Debug)]
pub(super) struct Batches {
    spool: Spool,
    epoch: String,
    sent: u64,
    acked: u64,
    unacked: VecDeque<Sent>,
    /// Below [`MAX_EVENTS`] while an event that the collector refuses is looked for.
    max_events: usize,
}

#[derive(Debug)]
struct Sent {
    first: u64,
    last: u64,
    events: usize,
}

/// The collector's answer to something that it will never take.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) reason: String,
    /// Epoch and number of the event to blame, when the collector names it.
    event: Option<(String, u64)>,
}

impl Refusal {
    pub(super) fn of(status: &Status) -> Self {
        let text = |key| status.metadata().get(key).and_then(|value| value.to_str().ok());
        let event = text(REJECTED_EPOCH)
            .zip(text(REJECTED_SEQ))
            .and_then(|(epoch, seq)| Some((epoch.to_owned(), seq.parse().ok()?)));
        Self { reason: status.message().to_owned(), event }
    }
}

impl Batches {
    pub(super) fn new(spool: Spool) -> Self {
        Self {
            epoch: spool.epoch(),
            spool,
            sent: 0,
            acked: 0,
            unacked: VecDeque::new(),
            max_events: MAX_EVENTS,
        }
    }

    pub(super) fn epoch(&self) -> &str {
        &self.epoch
    }

    /// Number of the last event that the collector has.
    pub(super) fn acked(&self) -> u64 {
        self.acked
    }

    pub(super) fn newest(&self) -> watch::Receiver<u64> {
        self.spool.newest()
    }

    pub(super) fn all_acked(&self) -> bool {
        self.unacked.is_empty()
    }

    pub(super) fn has_room(&self) -> bool {
        let window = if self.isolating() { 1 } else { WINDOW };
        self.unacked.len() < window
    }

    /// A new stream begins: what was not acknowledged goes again.
    pub(super) fn rewind(&mut self) {
        self.sent = self.acked;
        self.unacked.clear();
    }

    /// The next batch to send; `None` when the spool has no more.
    pub(super) async fn next(&mut self) -> Result<Option<Batch>, ShipError> {
        let (epoch, sent, max_events) = (self.epoch.clone(), self.sent, self.max_events);
        let chunk = self.blocking(move |spool| spool.read_after(&epoch, sent, MAX_BYTES, max_events)).await?;
        if chunk.epoch != self.epoch {
            (self.sent, self.acked) = (0, 0);
            self.unacked.clear();
            self.epoch = chunk.epoch.clone();
        }
        let (Some(first), Some(last)) = (chunk.events.first(), chunk.events.last()) else { return Ok(None) };
        self.unacked.push_back(Sent { first: first.seq, last: last.seq, events: chunk.events.len() });
        self.sent = last.seq;
        Ok(Some(Batch { epoch: chunk.epoch, events: chunk.events, health: None }))
    }

    pub(super) async fn ack(&mut self, ack: Ack) -> Result<(), ShipError> {
        let seq = ack.seq.min(self.sent);
        if ack.epoch != self.epoch || seq <= self.acked {
            return Ok(());
        }
        self.blocking(move |spool| spool.ack(&ack.epoch, seq)).await?;
        self.acked = seq;
        while self.unacked.front().is_some_and(|sent| sent.last <= seq) {
            self.unacked.pop_front();
            self.max_events = self.max_events.saturating_mul(2).min(MAX_EVENTS);
        }
        Ok(())
    }

    /// True while small batches go one at a time, to find the event that the collector refuses.
    pub(super) fn isolating(&self) -> bool {
        self.max_events < MAX_EVENTS
    }

    /// The collector refused something. An event that it names, or that was alone, is dropped and counted; otherwise
    /// smaller batches follow until it is found. `false` when no event can be to blame.
    pub(super) async fn isolate(&mut self, refusal: &Refusal) -> Result<bool, ShipError> {
        let (Some(oldest), Some(newest)) = (self.unacked.front(), self.unacked.back()) else {
            return Ok(false);
        };
        let on_its_way = oldest.first..=newest.last;
        if let Some((epoch, seq)) = &refusal.event
            && *epoch == self.epoch
            && on_its_way.contains(seq)
        {
            self.reject(*seq, &refusal.reason).await?;
        } else if oldest.events > 1 || !self.isolating() {
            tracing::warn!(
                first = oldest.first,
                last = oldest.last,
                reason = refusal.reason,
                "the collector refused a batch: looking for the event it does not take"
            );
            self.max_events = (oldest.events / 2).max(1);
        } else {
            self.reject(oldest.last, &refusal.reason).await?;
        }
        Ok(true)
    }

    async fn reject(&self, seq: u64, reason: &str) -> Result<(), ShipError> {
        tracing::error!(
            epoch = self.epoch,
            seq,
            reason,
            "the collector refused an event: dropped and counted as lost (batch_rejected). \
             Are agent and collector of the same version?"
        );
        let epoch = self.epoch.clone();
        self.blocking(move |spool| spool.reject(&epoch, seq)).await
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(Spool) -> Result<T, SpoolError> + Send + 'static,
    ) -> Result<T, ShipError> {
        let spool = self.spool.clone();
        match tokio::task::spawn_blocking(move || work(spool)).await {
            Ok(done) => Ok(done?),
            Err(e) => Err(ShipError::Lost(format!("reading the spool: {e}"))),
        }
    }
}
