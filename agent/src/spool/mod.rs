//! Events on their way to the collector, kept on disk until it has them.
//!
//! One SQLite database, `DIR/spool.db`, opened by one process at a time. [`Spool::append`] returns after the events
//! are on disk (WAL, `synchronous=FULL`); they leave by [`Spool::ack`], or as a counted loss when the spool is full.
//! The calls block on the disk: async code runs them through `spawn_blocking`.
#![forbid(unsafe_code)]

mod db;
mod error;
mod fault;
mod open;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use gnomon_proto::v1::Event;
use tokio::sync::watch;

use crate::telemetry::{LossKind, Telemetry};
use db::Db;
pub use error::SpoolError;

/// Handle on the spool; cloning is cheap.
#[derive(Clone, Debug)]
pub struct Spool(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    db: Mutex<Db>,
    newest: watch::Sender<u64>,
}

/// Events in the order of their sequence numbers, all of one epoch.
#[derive(Clone, Debug, PartialEq)]
pub struct Chunk {
    pub epoch: String,
    pub events: Vec<Event>,
}

/// How much is kept, and what it means when the oldest events make room.
#[derive(Clone, Copy, Debug)]
pub struct SpoolLimits {
    /// Bytes of encoded events.
    pub max_bytes: u64,
    /// Without a collector the spool is only a history, and its end no loss.
    pub has_collector: bool,
}

impl Spool {
    /// Opens or creates the spool in the folder `dir`, within `limits`.
    ///
    /// A database that is damaged is renamed to `spool.db.corrupt-SECONDS`, and a new one, with a new epoch, takes its
    /// place; that counts as a loss.
    pub fn open(dir: &Path, limits: SpoolLimits, telemetry: Telemetry) -> Result<Self, SpoolError> {
        let db = Db::open(dir, limits, telemetry)?;
        let newest = watch::Sender::new(db.last_seq());
        Ok(Self(Arc::new(Inner { db: Mutex::new(db), newest })))
    }

    /// Numbers `events` and writes them in one transaction. With `report_losses`, what the spool itself has lost since
    /// the last report is appended to `events` and written with them.
    pub fn append(&self, events: &mut Vec<Event>, report_losses: bool) -> Result<(), SpoolError> {
        let mut db = self.db();
        db.repairing(|db| db.append(events, report_losses))?;
        self.0.newest.send_replace(db.last_seq());
        Ok(())
    }

    /// The oldest events with a number above `after`: at most `max_events` of them and `max_bytes` of their encoded
    /// form, but at least one if there is one. When `epoch` is over, those of the present epoch from its beginning.
    pub fn read_after(
        &self,
        epoch: &str,
        after: u64,
        max_bytes: usize,
        max_events: usize,
    ) -> Result<Chunk, SpoolError> {
        self.db().repairing(|db| {
            let after = if db.epoch() == epoch { after } else { 0 };
            db.read_after(after, max_bytes, max_events)
        })
    }

    /// The collector has every event of `epoch` up to `seq`: they are deleted. An `epoch` that is over is ignored.
    pub fn ack(&self, epoch: &str, seq: u64) -> Result<(), SpoolError> {
        self.db().repairing(|db| db.ack(epoch, seq))
    }

    /// The collector will never take event `seq`: it is deleted and counted as a loss.
    pub fn reject(&self, epoch: &str, seq: u64) -> Result<(), SpoolError> {
        self.db().repairing(|db| {
            if db.epoch() == epoch { db.drop_event(seq, LossKind::BatchRejected) } else { Ok(()) }
        })
    }

    /// The id of this life of the database, a UUID.
    pub fn epoch(&self) -> String {
        self.db().epoch().to_owned()
    }

    /// The number of the event written last; changes wake the receiver.
    pub fn newest(&self) -> watch::Receiver<u64> {
        self.0.newest.subscribe()
    }

    /// How many events are kept, and the bytes of their encoded form.
    pub fn size(&self) -> (u64, u64) {
        self.db().size()
    }

    /// A full disk: no more pages than there are.
    #[cfg(test)]
    pub(crate) fn limit_pages_for_test(&self, pages: Option<u32>) {
        self.db().limit_pages(pages.unwrap_or(u32::MAX - 1));
    }

    fn db(&self) -> std::sync::MutexGuard<'_, Db> {
        // What a panic could have left half done is in a transaction, which then was rolled back.
        self.0.db.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
