//! Everything the collector remembers, in one SQLite database.
//!
//! One thread writes ([`writer`]); reads run beside it on their own connections, which WAL allows. A write returns
//! after its transaction is on the disk (`synchronous=FULL`).
#![forbid(unsafe_code)]

mod hosts;
mod ingest;
pub mod query;
mod readers;
mod retention;
mod schema;
mod secrets;
mod writer;

use std::{path::Path, sync::Arc};

use tokio::sync::watch;

pub use hosts::{EnrolError, Enrolled, NewHost};
pub use ingest::{BatchRows, EventRow};

/// A handle; clones share the writer and the readers.
#[derive(Clone, Debug)]
pub struct Store {
    writer: writer::Writer,
    readers: Arc<readers::Readers>,
}

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("{path}: {source}")]
    Open { path: std::path::PathBuf, source: rusqlite::Error },
    #[error(
        "the database has schema {found}, this program knows up to {known}: run a newer gnomon-collector"
    )]
    Newer { found: i64, known: i64 },
    #[error("database: {0}")]
    Sql(#[from] rusqlite::Error),
    #[error("database: the transaction could not be committed: {0}")]
    Commit(String),
    #[error("the query took longer than {0} s: narrow it with a time or a filter")]
    TooSlow(u64),
    #[error("the database could not be written, see the log")]
    Unwritable,
    #[error("the store is closed")]
    Closed,
    #[error("unknown, used or expired")]
    BadSecret,
    #[error("host {0} is not enrolled here")]
    UnknownHost(String),
    #[error("host {0} was revoked")]
    RevokedHost(String),
    #[error("the certificate of host {0} was replaced by a later enrolment")]
    ReplacedCertificate(String),
}

impl Store {
    /// Opens or creates the database at `path` and brings its schema up to date.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let connection = schema::open(path)?;
        let (latest_in, latest) = watch::channel(writer::latest_event(&connection)?);
        let writer = writer::Writer::start(connection, latest_in, latest)?;
        Ok(Self { writer, readers: Arc::new(readers::Readers::new(path.to_owned())) })
    }

    /// The id of the newest event; changes after each commit that brought one.
    #[must_use]
    pub fn latest(&self) -> watch::Receiver<i64> {
        self.writer.latest()
    }

    /// Whether the database answers and the writer takes work.
    pub async fn ping(&self) -> Result<(), StoreError> {
        if !self.writer.is_alive() {
            return Err(StoreError::Closed);
        }
        self.read(|connection| Ok(connection.query_row("SELECT 1", [], |_| Ok(()))?)).await
    }

    /// Finishes what was submitted, then closes the database. Other handles get [`StoreError::Closed`] from then on.
    pub async fn close(self) {
        self.writer.close().await;
    }
}
