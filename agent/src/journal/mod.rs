//! The one place where events go: numbered, on disk, then out.
//!
//! [`Journal::record`] hands an [`Event`] to a writer thread, which numbers it, commits it to the spool and appends it to
//! `events.jsonl`. An event holds only what the wire contract has room for, so payload cannot get here by mistake.
#![forbid(unsafe_code)]

mod clamp;
mod error;
mod jsonl;
mod writer;

use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{SystemTime, UNIX_EPOCH};

use gnomon_proto::Message;
use gnomon_proto::v1::{Event, Loss};

use crate::config::Config;
use crate::spool::{Spool, SpoolLimits};
use crate::telemetry::{LossKind, Telemetry};
pub use error::JournalError;
use jsonl::JsonLines;
use writer::{Command, Writer};

/// Events that wait for the disk; what comes on top is lost and counted. At some 2 KiB each about 8 MiB.
const QUEUE: usize = 4096;

/// Cheap to clone; all clones feed one writer.
#[derive(Clone, Debug)]
pub struct Journal {
    queue: SyncSender<Command>,
    writer: Arc<Mutex<Option<JoinHandle<()>>>>,
    spool: Spool,
    telemetry: Telemetry,
}

impl Journal {
    /// Opens the spool and, if the configuration names one, the JSON Lines file.
    pub fn open(config: &Config, telemetry: Telemetry) -> Result<Self, JournalError> {
        let limits =
            SpoolLimits { max_bytes: config.spool.max_bytes, has_collector: config.collector.is_some() };
        let spool = Spool::open(&config.spool.dir, limits, telemetry.clone())?;
        let jsonl = match &config.output.jsonl {
            Some(path) => Some(JsonLines::open(path, config.output.jsonl_max_bytes)?),
            None => None,
        };
        let (queue, commands) = sync_channel(QUEUE);
        let writer = Writer::new(commands, spool.clone(), jsonl, telemetry.clone());
        let thread = std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || writer.run())
            .map_err(JournalError::Thread)?;
        Ok(Self { queue, writer: Arc::new(Mutex::new(Some(thread))), spool, telemetry })
    }

    /// Records an event; its `seq` is set by the writer. Does not wait: when the disk cannot keep up, the event is
    /// counted as lost (`journal_full`). What is over the wire contract's limits is cut and counted as truncated.
    pub fn record(&self, mut event: Event) {
        let cut = clamp::clamp(&mut event);
        if cut > 0 {
            self.telemetry.lose(LossKind::StreamTruncated, 1, cut as u64);
        }
        match self.queue.try_send(Command::Record(Box::new(event))) {
            Ok(()) => {}
            Err(TrySendError::Full(command) | TrySendError::Disconnected(command)) => {
                if let Command::Record(event) = command {
                    self.telemetry.lose(LossKind::JournalFull, 1, event.encoded_len() as u64);
                }
            }
        }
    }

    /// Waits until everything recorded before this call is on disk.
    pub fn flush(&self) -> Result<(), JournalError> {
        let (reply, done) = sync_channel(1);
        self.queue.send(Command::Flush(reply)).map_err(|_| JournalError::Closed)?;
        done.recv().map_err(|_| JournalError::Closed)?.map_err(JournalError::NotWritten)
    }

    /// Writes everything that was recorded and ends the writer. Later records are counted as lost.
    pub fn close(&self) {
        let thread = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(thread) = thread else { return };
        // Errors mean that the writer is gone already.
        let _ = self.queue.send(Command::Close);
        if thread.join().is_err() {
            tracing::error!("the journal's writer panicked: events that it had not written are lost");
        }
    }

    /// Where the events wait for the collector.
    pub fn spool(&self) -> &Spool {
        &self.spool
    }
}

/// Now, as events bear it: nanoseconds since the Unix epoch.
pub fn now_unix_nanos() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| u64::try_from(d.as_nanos()).unwrap_or(u64::MAX))
}

/// The event that tells of a loss.
pub(crate) fn loss_event(loss: Loss) -> Event {
    Event { time_unix_nanos: now_unix_nanos(), kind: "loss".to_owned(), loss: Some(loss), ..Event::default() }
}

#[cfg(test)]
mod tests;
