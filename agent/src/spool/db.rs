//! The database in use. Everything that must hold after a crash happens within one transaction.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use gnomon_proto::Message;
use gnomon_proto::v1::{Event, Loss};
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use super::fault::Fault;
use super::open::{connect, quarantine};
use super::{Chunk, SpoolError, SpoolLimits};
use crate::telemetry::{LossKind, Telemetry};

#[derive(Debug)]
pub(super) struct Db {
    conn: Connection,
    file: PathBuf,
    limits: SpoolLimits,
    telemetry: Telemetry,
    epoch: String,
    last_seq: u64,
    events: u64,
    bytes: u64,
    /// The table `losses` has rows.
    has_losses: bool,
}

impl Db {
    pub(super) fn open(dir: &Path, limits: SpoolLimits, telemetry: Telemetry) -> Result<Self, SpoolError> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .map_err(|source| SpoolError::Folder { dir: dir.to_owned(), source })?;
        let file = dir.join("spool.db");
        match Self::connect(&file, limits, &telemetry) {
            Ok(db) => Ok(db),
            Err(Fault::Damaged(why)) => Self::start_over(&file, limits, &telemetry, &why),
            Err(fault) => Err(fault.public(&file)),
        }
    }

    /// Runs `work`; when the database turns out to be damaged, once more on a new one.
    pub(super) fn repairing<T>(
        &mut self,
        mut work: impl FnMut(&mut Self) -> Result<T, Fault>,
    ) -> Result<T, SpoolError> {
        match work(self) {
            Ok(value) => Ok(value),
            Err(Fault::Damaged(why)) => {
                // The old connection must be closed before its files are renamed.
                self.conn = Connection::open_in_memory().map_err(|e| Fault::from(e).public(&self.file))?;
                *self = Self::start_over(&self.file, self.limits, &self.telemetry, &why)?;
                work(self).map_err(|fault| fault.public(&self.file))
            }
            Err(fault) => Err(fault.public(&self.file)),
        }
    }

    pub(super) fn epoch(&self) -> &str {
        &self.epoch
    }

    pub(super) fn last_seq(&self) -> u64 {
        self.last_seq
    }

    pub(super) fn size(&self) -> (u64, u64) {
        (self.events, self.bytes)
    }

    pub(super) fn append(&mut self, events: &mut Vec<Event>, report_losses: bool) -> Result<(), Fault> {
        let report_losses = report_losses && self.has_losses;
        if events.is_empty() && !report_losses {
            return Ok(());
        }
        let tx = self.conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let given = events.len();
        if report_losses {
            events.extend(take_losses(&tx)?);
        }
        let written = write(&tx, self.last_seq, events).and_then(|added| {
            let mut size = (self.events + events.len() as u64, self.bytes + added);
            let evicted = evict(&tx, &mut size, self.limits)?;
            tx.commit()?;
            Ok((size, evicted))
        });
        let (size, evicted) = match written {
            Ok(done) => done,
            Err(error) => {
                // Rolled back: the losses are still in the table and come with a later call.
                events.truncate(given);
                return Err(error.into());
            }
        };
        self.last_seq += events.len() as u64;
        self.set_size(size);
        self.has_losses = evicted.0 > 0 || (self.has_losses && !report_losses);
        if evicted.0 > 0 {
            self.telemetry.lose(LossKind::SpoolEvicted, evicted.0, evicted.1);
        }
        Ok(())
    }

    pub(super) fn read_after(
        &mut self,
        after: u64,
        max_bytes: usize,
        max_events: usize,
    ) -> Result<Chunk, Fault> {
        let mut chunk = Chunk { epoch: self.epoch.clone(), events: Vec::new() };
        let mut unreadable = Vec::new();
        {
            let mut statement =
                self.conn.prepare("SELECT seq, body FROM events WHERE seq > ?1 ORDER BY seq LIMIT ?2")?;
            let mut rows = statement.query(params![to_sql(after), to_sql(max_events as u64)])?;
            let mut bytes = 0;
            while let Some(row) = rows.next()? {
                let seq = from_sql(row.get(0)?);
                let body = row
                    .get_ref(1)?
                    .as_blob()
                    .map_err(|_| Fault::Damaged(format!("event {seq} is no blob")))?;
                if bytes + body.len() > max_bytes && !chunk.events.is_empty() {
                    break;
                }
                bytes += body.len();
                match Event::decode(body) {
                    Ok(event) => chunk.events.push(event),
                    Err(_) => unreadable.push(seq),
                }
            }
        }
        for seq in unreadable {
            tracing::error!(spool = %self.file.display(), seq, "event in the spool cannot be decoded: dropped");
            self.drop_event(seq, LossKind::SpoolCorrupt)?;
        }
        Ok(chunk)
    }

    pub(super) fn ack(&mut self, epoch: &str, seq: u64) -> Result<(), Fault> {
        if epoch != self.epoch {
            return Ok(());
        }
        let tx = self.conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let (count, bytes) = delete_up_to(&tx, to_sql(seq))?;
        tx.commit()?;
        self.set_size((self.events.saturating_sub(count), self.bytes.saturating_sub(bytes)));
        if self.events == 0 {
            self.shrink()?;
        }
        Ok(())
    }

    /// Gives the space of a long outage back to the file system; a little is kept, as it is needed again at once.
    fn shrink(&mut self) -> Result<(), Fault> {
        const KEPT_PAGES: i64 = 1024;
        let free: i64 = self.conn.pragma_query_value(None, "freelist_count", |row| row.get(0))?;
        if free > KEPT_PAGES {
            // One row, and one page, per step.
            let mut vacuum = self.conn.prepare("PRAGMA incremental_vacuum")?;
            let mut rows = vacuum.query([])?;
            while rows.next()?.is_some() {}
        }
        Ok(())
    }

    pub(super) fn drop_event(&mut self, seq: u64, why: LossKind) -> Result<(), Fault> {
        let tx = self.conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let bytes: Option<i64> = tx
            .query_row("DELETE FROM events WHERE seq = ?1 RETURNING length(body)", [to_sql(seq)], |row| {
                row.get(0)
            })
            .optional()?;
        let Some(bytes) = bytes.map(from_sql) else { return Ok(()) };
        add_loss(&tx, why, 1, bytes)?;
        tx.commit()?;
        self.has_losses = true;
        self.telemetry.lose(why, 1, bytes);
        self.set_size((self.events.saturating_sub(1), self.bytes.saturating_sub(bytes)));
        Ok(())
    }

    #[cfg(test)]
    pub(super) fn limit_pages(&self, pages: u32) {
        self.conn.execute_batch(&format!("PRAGMA max_page_count = {pages}")).expect("pragma");
    }

    fn set_size(&mut self, (events, bytes): (u64, u64)) {
        (self.events, self.bytes) = (events, bytes);
        self.telemetry.set_spool(events, bytes);
    }

    fn connect(file: &Path, limits: SpoolLimits, telemetry: &Telemetry) -> Result<Self, Fault> {
        let (conn, found) = connect(file)?;
        let mut db = Self {
            conn,
            file: file.to_owned(),
            limits,
            telemetry: telemetry.clone(),
            epoch: found.epoch,
            last_seq: found.last_seq,
            events: 0,
            bytes: 0,
            has_losses: found.has_losses,
        };
        db.set_size((found.events, found.bytes));
        Ok(db)
    }

    fn start_over(
        file: &Path,
        limits: SpoolLimits,
        telemetry: &Telemetry,
        why: &str,
    ) -> Result<Self, SpoolError> {
        let kept = quarantine(file)?;
        tracing::error!(
            spool = %file.display(), kept = %kept.display(), why,
            "the spool was damaged: events in it that the collector did not have are lost; a new spool was started. \
             Check the disk; the old file is kept for inspection and may be deleted"
        );
        let mut db = Self::connect(file, limits, telemetry).map_err(|fault| fault.public(file))?;
        add_loss(&db.conn, LossKind::SpoolCorrupt, 1, 0).map_err(|e| Fault::from(e).public(file))?;
        db.has_losses = true;
        telemetry.lose(LossKind::SpoolCorrupt, 1, 0);
        Ok(db)
    }
}

fn write(tx: &Transaction<'_>, last_seq: u64, events: &mut [Event]) -> rusqlite::Result<u64> {
    let mut insert = tx.prepare("INSERT INTO events (seq, body) VALUES (?1, ?2)")?;
    let mut bytes = 0;
    let mut body = Vec::new();
    let mut seq = last_seq;
    for event in events {
        seq += 1;
        event.seq = seq;
        body.clear();
        event.encode_raw(&mut body);
        insert.execute(params![to_sql(seq), body])?;
        bytes += body.len() as u64;
    }
    tx.execute("UPDATE life SET last_seq = ?1", [to_sql(seq)])?;
    Ok(bytes)
}

/// Deletes the oldest events until `size` (events, bytes) fits; returns what was lost by that.
fn evict(tx: &Transaction<'_>, size: &mut (u64, u64), limits: SpoolLimits) -> rusqlite::Result<(u64, u64)> {
    if size.1 <= limits.max_bytes {
        return Ok((0, 0));
    }
    let excess = size.1 - limits.max_bytes;
    let last: i64 = {
        let mut oldest = tx.prepare("SELECT seq, length(body) FROM events ORDER BY seq")?;
        let mut rows = oldest.query([])?;
        let (mut freed, mut last) = (0, 0);
        while freed < excess
            && let Some(row) = rows.next()?
        {
            last = row.get(0)?;
            freed += from_sql(row.get(1)?);
        }
        last
    };
    let (count, bytes) = delete_up_to(tx, last)?;
    *size = (size.0.saturating_sub(count), size.1.saturating_sub(bytes));
    if !limits.has_collector {
        return Ok((0, 0));
    }
    add_loss(tx, LossKind::SpoolEvicted, count, bytes)?;
    Ok((count, bytes))
}

fn delete_up_to(tx: &Transaction<'_>, seq: i64) -> rusqlite::Result<(u64, u64)> {
    let sum = "SELECT count(*), coalesce(sum(length(body)), 0) FROM events WHERE seq <= ?1";
    let (count, bytes) = tx.query_row(sum, [seq], |row| Ok((row.get(0)?, row.get(1)?)))?;
    tx.execute("DELETE FROM events WHERE seq <= ?1", [seq])?;
    Ok((from_sql(count), from_sql(bytes)))
}

fn add_loss(conn: &Connection, what: LossKind, count: u64, bytes: u64) -> rusqlite::Result<()> {
    conn.execute(
        "INSERT INTO losses VALUES (?1, ?2, ?3)
         ON CONFLICT (what) DO UPDATE SET count = count + excluded.count, bytes = bytes + excluded.bytes",
        params![what.name(), to_sql(count), to_sql(bytes)],
    )?;
    Ok(())
}

fn take_losses(tx: &Transaction<'_>) -> rusqlite::Result<Vec<Event>> {
    let mut take = tx.prepare("DELETE FROM losses RETURNING what, count, bytes")?;
    let rows = take.query_map([], |row| {
        Ok(Loss { what: row.get(0)?, count: from_sql(row.get(1)?), bytes: from_sql(row.get(2)?) })
    })?;
    rows.map(|loss| loss.map(crate::journal::loss_event)).collect()
}

// SQLite's integers are signed. Numbers of events and bytes stay far below; from elsewhere (an Ack) they saturate.
pub(super) fn to_sql(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

pub(super) fn from_sql(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}
