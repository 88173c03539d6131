//! Opening: a database that is there, a new one, or a damaged one out of the way.

use std::fs;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior};

use super::SpoolError;
use super::db::from_sql;
use super::fault::Fault;

/// "GNSP", so that a foreign database is not taken for a spool.
const APPLICATION_ID: i32 = 0x474e_5350;
const FORMAT: i32 = 1;

/// `losses` holds what the spool lost and has not yet written as an event.
const SCHEMA: &str = "
    CREATE TABLE life (id INTEGER PRIMARY KEY CHECK (id = 1), epoch TEXT NOT NULL, last_seq INTEGER NOT NULL);
    CREATE TABLE events (seq INTEGER PRIMARY KEY, body BLOB NOT NULL);
    CREATE TABLE losses (what TEXT PRIMARY KEY, count INTEGER NOT NULL, bytes INTEGER NOT NULL) WITHOUT ROWID;
";

/// What a database holds when it is opened.
pub(super) struct Found {
    pub(super) epoch: String,
    pub(super) last_seq: u64,
    pub(super) events: u64,
    pub(super) bytes: u64,
    pub(super) has_losses: bool,
}

/// Opens the database in `file`, or makes one.
pub(super) fn connect(file: &Path) -> Result<(Connection, Found), Fault> {
    // SQLite gives its -wal file the permissions of the database.
    let created = fs::OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(file);
    created.map_err(|source| {
        Fault::Other(SpoolError::Folder { dir: file.parent().unwrap_or(file).to_owned(), source })
    })?;
    let mut conn = Connection::open(file)?;
    // Exclusive: a second agent is refused instead of numbering events of its own.
    conn.execute_batch(
        "PRAGMA locking_mode = EXCLUSIVE; PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL;
         PRAGMA synchronous = FULL;",
    )?;
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let objects: i64 = tx.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if objects == 0 {
        tx.execute_batch(SCHEMA)?;
        tx.pragma_update(None, "application_id", APPLICATION_ID)?;
        tx.pragma_update(None, "user_version", FORMAT)?;
        let epoch = new_uuid().map_err(Fault::Other)?;
        tx.execute("INSERT INTO life VALUES (1, ?1, 0)", [epoch])?;
    } else {
        check(&tx, file)?;
    }
    let (epoch, last_seq): (String, i64) = tx
        .query_row("SELECT epoch, last_seq FROM life", [], |row| Ok((row.get(0)?, row.get(1)?)))
        .map_err(schema_fault)?;
    let (events, bytes, newest): (i64, i64, i64) = tx
        .query_row(
            "SELECT count(*), coalesce(sum(length(body)), 0), coalesce(max(seq), 0) FROM events",
            [],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )
        .map_err(schema_fault)?;
    let has_losses =
        tx.query_row("SELECT EXISTS (SELECT 1 FROM losses)", [], |row| row.get(0)).map_err(schema_fault)?;
    tx.commit()?;
    let found = Found {
        epoch,
        last_seq: from_sql(last_seq.max(newest)),
        events: from_sql(events),
        bytes: from_sql(bytes),
        has_losses,
    };
    Ok((conn, found))
}

fn check(tx: &Transaction<'_>, file: &Path) -> Result<(), Fault> {
    let id: i32 = tx.pragma_query_value(None, "application_id", |row| row.get(0))?;
    if id != APPLICATION_ID {
        return Err(Fault::Damaged("not a spool of gnomon-agent".to_owned()));
    }
    let format: i32 = tx.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if format != FORMAT {
        return Err(Fault::Other(SpoolError::Format { file: file.to_owned(), found: format, known: FORMAT }));
    }
    let verdict: String = tx.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if verdict != "ok" {
        return Err(Fault::Damaged(verdict));
    }
    Ok(())
}

/// A missing table or row in a database that bears our id means damage as well.
fn schema_fault(error: rusqlite::Error) -> Fault {
    match &error {
        rusqlite::Error::QueryReturnedNoRows | rusqlite::Error::InvalidColumnType(..) => {
            Fault::Damaged(error.to_string())
        }
        rusqlite::Error::SqliteFailure(cause, _) if cause.code == ErrorCode::Unknown => {
            Fault::Damaged(error.to_string())
        }
        _ => error.into(),
    }
}

/// Renames the database and its log; returns the new name of the former.
pub(super) fn quarantine(file: &Path) -> Result<PathBuf, SpoolError> {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    let beside = |file: &Path, suffix: &str| {
        let mut name = file.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    };
    let mut kept = beside(file, &format!(".corrupt-{seconds}"));
    let mut n = 1;
    while kept.exists() {
        kept = beside(file, &format!(".corrupt-{seconds}.{n}"));
        n += 1;
    }
    fs::rename(file, &kept).map_err(|source| SpoolError::Quarantine { file: file.to_owned(), source })?;
    for suffix in ["-wal", "-shm"] {
        match fs::rename(beside(file, suffix), beside(&kept, suffix)) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                // A log of the old database beside the new one would damage that too.
                return Err(SpoolError::Quarantine { file: beside(file, suffix), source });
            }
            _ => {}
        }
    }
    Ok(kept)
}

/// RFC 9562, version 4.
fn new_uuid() -> Result<String, SpoolError> {
    let mut bytes = [0u8; 16];
    getrandom::fill(&mut bytes).map_err(SpoolError::Random)?;
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
    Ok(format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]))
}
