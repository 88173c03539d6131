//! What this agent has seen, stopped and lost since it started. Every module counts here, at the place where the
//! thing happens; the heartbeat, `gnomon-agent status` and the journal's loss events read it.
#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use gnomon_proto::limits::{LIST_ENTRIES, TEXT_BYTES};
use gnomon_proto::v1::{Health, Loss};

/// Why something was not seen or not kept. The wire name is [`LossKind::name`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LossKind {
    /// The kernel found no room in the ring buffer.
    RingFull,
    /// Bytes are missing in the middle of a stream.
    StreamGap,
    /// A stream's state was dropped to keep the total under its cap.
    StreamEvicted,
    /// A message was longer than what is kept of one.
    StreamTruncated,
    /// More events per second than the disk takes: the journal's queue was full.
    JournalFull,
    /// The spool was full: its oldest events made room.
    SpoolEvicted,
    /// The spool's database, or a row of it, could not be read. A whole database counts as one.
    SpoolCorrupt,
    /// The collector refused an event for good.
    BatchRejected,
}

impl LossKind {
    pub const ALL: [LossKind; 8] = [
        Self::RingFull,
        Self::StreamGap,
        Self::StreamEvicted,
        Self::StreamTruncated,
        Self::JournalFull,
        Self::SpoolEvicted,
        Self::SpoolCorrupt,
        Self::BatchRejected,
    ];

    /// The name in `Loss.what` of the wire contract.
    pub fn name(self) -> &'static str {
        match self {
            Self::RingFull => "ring_full",
            Self::StreamGap => "stream_gap",
            Self::StreamEvicted => "stream_evicted",
            Self::StreamTruncated => "stream_truncated",
            Self::JournalFull => "journal_full",
            Self::SpoolEvicted => "spool_evicted",
            Self::SpoolCorrupt => "spool_corrupt",
            Self::BatchRejected => "batch_rejected",
        }
    }

    /// The spool keeps these itself until they are written as an event, in the transaction that lost the rows, so
    /// that a crash in between cannot hide them.
    fn kept_by_spool(self) -> bool {
        matches!(self, Self::SpoolEvicted | Self::SpoolCorrupt | Self::BatchRejected)
    }
}

/// Shared by the whole process; cloning is cheap.
#[derive(Clone, Debug, Default)]
pub struct Telemetry(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    messages: AtomicU64,
    denied: AtomicU64,
    policy_revision: AtomicU64,
    spool_events: AtomicU64,
    spool_bytes: AtomicU64,
    losses: [Counter; LossKind::ALL.len()],
    host: Mutex<Host>,
}

#[derive(Debug, Default)]
struct Counter {
    count: AtomicU64,
    bytes: AtomicU64,
    /// The part of the totals that already went out as a loss event.
    reported_count: AtomicU64,
    reported_bytes: AtomicU64,
}

#[derive(Debug, Default)]
struct Host {
    level: String,
    lacks: Vec<String>,
}

impl Telemetry {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn add_message(&self) {
        self.0.messages.fetch_add(1, Relaxed);
    }

    pub fn add_denied(&self) {
        self.0.denied.fetch_add(1, Relaxed);
    }

    /// Counts a loss: `count` things of `kind`, `bytes` in all (0 when unknown).
    pub fn lose(&self, kind: LossKind, count: u64, bytes: u64) {
        let counter = &self.0.losses[kind as usize];
        counter.count.fetch_add(count, Relaxed);
        counter.bytes.fetch_add(bytes, Relaxed);
    }

    pub fn set_policy_revision(&self, revision: u64) {
        self.0.policy_revision.store(revision, Relaxed);
    }

    /// What this host can do to a denied message: `prevent-by-drop`, `cut` or `observe`.
    pub fn set_level(&self, level: &str) {
        self.host().level = level.to_owned();
    }

    /// The features this host lacks, each with its reason, as `doctor` says it.
    pub fn set_lacks(&self, mut lacks: Vec<String>) {
        // A health report over the collector's limits would be refused whole.
        lacks.truncate(LIST_ENTRIES);
        for text in &mut lacks {
            text.truncate(text.floor_char_boundary(TEXT_BYTES));
        }
        self.host().lacks = lacks;
    }

    pub(crate) fn set_spool(&self, events: u64, bytes: u64) {
        self.0.spool_events.store(events, Relaxed);
        self.0.spool_bytes.store(bytes, Relaxed);
    }

    /// Total of one kind since the agent started: how many, and how many bytes.
    pub fn lost(&self, kind: LossKind) -> (u64, u64) {
        let counter = &self.0.losses[kind as usize];
        (counter.count.load(Relaxed), counter.bytes.load(Relaxed))
    }

    /// The state of the host as the collector and `gnomon-agent status` get it.
    pub fn health(&self) -> Health {
        let uname = rustix::system::uname();
        let host = self.host();
        Health {
            hostname: uname.nodename().to_string_lossy().into_owned(),
            agent_version: env!("CARGO_PKG_VERSION").to_owned(),
            kernel: uname.release().to_string_lossy().into_owned(),
            policy_revision: self.0.policy_revision.load(Relaxed),
            level: host.level.clone(),
            messages: self.0.messages.load(Relaxed),
            denied: self.0.denied.load(Relaxed),
            losses: LossKind::ALL
                .into_iter()
                .filter_map(|kind| {
                    let (count, bytes) = self.lost(kind);
                    (count > 0).then(|| Loss { what: kind.name().to_owned(), count, bytes })
                })
                .collect(),
            spool_events: self.0.spool_events.load(Relaxed),
            spool_bytes: self.0.spool_bytes.load(Relaxed),
            lacks: host.lacks.clone(),
        }
    }

    /// What was lost since the last call, for the journal, which is the only caller.
    pub(crate) fn take_unreported(&self) -> Vec<Loss> {
        LossKind::ALL
            .into_iter()
            .filter(|kind| !kind.kept_by_spool())
            .filter_map(|kind| {
                let (count, bytes) = self.lost(kind);
                let counter = &self.0.losses[kind as usize];
                let count = count - counter.reported_count.swap(count, Relaxed);
                let bytes = bytes.saturating_sub(counter.reported_bytes.swap(bytes, Relaxed));
                (count > 0).then(|| Loss { what: kind.name().to_owned(), count, bytes })
            })
            .collect()
    }

    fn host(&self) -> std::sync::MutexGuard<'_, Host> {
        self.0.host.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_are_reported_once_and_stay_in_the_totals() {
        let telemetry = Telemetry::new();
        telemetry.lose(LossKind::RingFull, 2, 100);
        telemetry.lose(LossKind::SpoolEvicted, 5, 9);
        let first = telemetry.take_unreported();
        assert_eq!(first.len(), 1, "the spool reports its own: {first:?}");
        assert_eq!((first[0].what.as_str(), first[0].count, first[0].bytes), ("ring_full", 2, 100));
        telemetry.lose(LossKind::RingFull, 1, 50);
        assert_eq!(telemetry.take_unreported()[0].count, 1);
        assert!(telemetry.take_unreported().is_empty());
        let health = telemetry.health();
        let totals: Vec<_> = health.losses.iter().map(|l| (l.what.as_str(), l.count, l.bytes)).collect();
        assert_eq!(totals, [("ring_full", 3, 150), ("spool_evicted", 5, 9)]);
    }
}
