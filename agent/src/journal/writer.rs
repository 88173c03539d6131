//! The writer thread: many events per disk flush, none forgotten when the disk refuses.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

use gnomon_proto::v1::Event;

use super::jsonl::JsonLines;
use super::loss_event;
use crate::spool::Spool;
use crate::telemetry::{LossKind, Telemetry};

/// Events in one transaction.
const GROUP: usize = 512;
/// How long the first event of a group waits for others: a disk flush costs about as much.
const LINGER: Duration = Duration::from_millis(5);
/// A kind of loss becomes an event at most this often.
const LOSS_REPORT: Duration = Duration::from_secs(1);
/// Wait after a failed write, with the events kept in memory.
const RETRY: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) enum Command {
    Record(Box<Event>),
    /// Answered when everything before it is on disk, or with why it is not.
    Flush(SyncSender<Result<(), String>>),
    Close,
}

#[derive(Debug)]
pub(super) struct Writer {
    commands: Receiver<Command>,
    spool: Spool,
    jsonl: Option<JsonLines>,
    telemetry: Telemetry,
    /// Taken from the queue, not yet committed.
    pending: Vec<Event>,
    waiting: Vec<SyncSender<Result<(), String>>>,
    losses_reported: Instant,
    failing: bool,
    open: bool,
}

impl Writer {
    pub(super) fn new(
        commands: Receiver<Command>,
        spool: Spool,
        jsonl: Option<JsonLines>,
        telemetry: Telemetry,
    ) -> Self {
        Self {
            commands,
            spool,
            jsonl,
            telemetry,
            pending: Vec::new(),
            waiting: Vec::new(),
            losses_reported: Instant::now(),
            failing: false,
            open: true,
        }
    }

    pub(super) fn run(mut self) {
        while self.open {
            self.collect();
            let written = self.commit(!self.open || self.losses_reported.elapsed() >= LOSS_REPORT);
            for reply in self.waiting.drain(..) {
                // The one who asked may have gone.
                let _ = reply.send(written.clone());
            }
            if written.is_err() && self.open {
                std::thread::sleep(RETRY);
            }
        }
        if !self.pending.is_empty() {
            let bytes = self.pending.iter().map(|e| gnomon_proto::Message::encoded_len(e) as u64).sum();
            self.telemetry.lose(LossKind::JournalFull, self.pending.len() as u64, bytes);
            tracing::error!(events = self.pending.len(), "events could not be written before the end: lost");
        }
    }

    /// Takes commands until a group is full or [`LINGER`] is over; returns after [`LOSS_REPORT`] without any.
    fn collect(&mut self) {
        let mut wait_until = Instant::now() + LOSS_REPORT;
        while self.pending.len() < GROUP {
            let received = self.commands.recv_timeout(wait_until.saturating_duration_since(Instant::now()));
            if self.pending.is_empty() {
                wait_until = Instant::now() + LINGER;
            }
            match received {
                Ok(Command::Record(event)) => self.pending.push(*event),
                Ok(Command::Flush(reply)) => {
                    self.waiting.push(reply);
                    return;
                }
                Ok(Command::Close) | Err(RecvTimeoutError::Disconnected) => {
                    self.open = false;
                    return;
                }
                Err(RecvTimeoutError::Timeout) => return,
            }
        }
    }

    fn commit(&mut self, report_losses: bool) -> Result<(), String> {
        if report_losses {
            self.losses_reported = Instant::now();
            self.pending.extend(self.telemetry.take_unreported().into_iter().map(loss_event));
        }
        if let Err(error) = self.spool.append(&mut self.pending, report_losses) {
            if !self.failing {
                tracing::error!(%error, "events cannot be written; they are kept in memory and tried again");
            }
            self.failing = true;
            return Err(error.to_string());
        }
        if std::mem::take(&mut self.failing) {
            tracing::info!("events are written again");
        }
        // After the commit, so that a number in the file is never given to another event.
        if let Some(jsonl) = &mut self.jsonl {
            jsonl.write(&self.pending);
        }
        self.pending.clear();
        Ok(())
    }
}
