use std::path::PathBuf;

use crate::spool::SpoolError;

#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    #[error(transparent)]
    Spool(#[from] SpoolError),
    #[error("event file {}: {source}; check [output] jsonl and the permissions of its folder", path.display())]
    JsonLines { path: PathBuf, source: std::io::Error },
    #[error("cannot start the journal's thread: {0}")]
    Thread(std::io::Error),
    #[error("the journal is closed")]
    Closed,
    #[error("events are not on disk yet: {0}")]
    NotWritten(String),
}
