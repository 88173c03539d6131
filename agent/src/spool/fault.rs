use std::path::Path;

use rusqlite::ErrorCode;

use super::SpoolError;

/// What can go wrong with the database; [`Fault::Damaged`] is mended by starting a new one.
pub(super) enum Fault {
    Sqlite(rusqlite::Error),
    /// Contents that cannot be a spool's.
    Damaged(String),
    Other(SpoolError),
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Damaged(error.to_string()),
            _ => Self::Sqlite(error),
        }
    }
}

impl Fault {
    pub(super) fn public(self, file: &Path) -> SpoolError {
        let file = file.to_owned();
        match self {
            Self::Sqlite(source) if source.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => {
                SpoolError::InUse { file }
            }
            Self::Sqlite(source) => SpoolError::Database { file, source },
            Self::Damaged(why) => SpoolError::Database {
                file,
                source: rusqlite::Error::SqliteFailure(
                    rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT),
                    Some(why),
                ),
            },
            Self::Other(error) => error,
        }
    }
}
