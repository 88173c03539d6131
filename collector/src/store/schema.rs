//! Opening a connection, and the schema's versions (`PRAGMA user_version`).

use std::{fs::OpenOptions, os::unix::fs::OpenOptionsExt as _, path::Path, time::Duration};

use rusqlite::Connection;

use super::StoreError;

/// Migration n brings user_version from n to n + 1. Entries are never changed, only added.
const MIGRATIONS: &[&str] = &[include_str!("migrations/0001.sql")];
const BUSY: Duration = Duration::from_secs(5);

/// The connection that writes.
pub(super) fn open(path: &Path) -> Result<Connection, StoreError> {
    let wrap = |source| StoreError::Open { path: path.to_owned(), source };
    // SQLite would create it with the umask's mode; its -wal and -shm take the mode of the database.
    let created = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path);
    if let Err(e) = created {
        tracing::debug!(error = %e, "SQLite will say what is wrong with the file");
    }
    let mut connection = Connection::open(path).map_err(wrap)?;
    configure(&connection).map_err(wrap)?;
    migrate(&mut connection)?;
    Ok(connection)
}

/// A connection that only reads. The database must exist.
pub(super) fn open_reader(path: &Path) -> Result<Connection, StoreError> {
    let connection = Connection::open(path)?;
    configure(&connection)?;
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}

fn configure(connection: &Connection) -> Result<(), rusqlite::Error> {
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    // Read from database files that somebody else may have written into: no functions with side effects.
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(())
}

fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
    let tx = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let found: i64 = tx.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if !(0..=known).contains(&found) {
        return Err(StoreError::Newer { found, known });
    }
    for (sql, version) in MIGRATIONS.iter().zip(1..).skip(usize::try_from(found).unwrap_or(0)) {
        tx.execute_batch(sql)?;
        tx.pragma_update(None, "user_version", version)?;
    }
    tx.commit()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_of_a_newer_program_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("db");
        let connection = open(&path).unwrap();
        let version: i64 = connection.pragma_query_value(None, "user_version", |r| r.get(0)).unwrap();
        assert_eq!(version, i64::try_from(MIGRATIONS.len()).unwrap());
        connection.pragma_update(None, "user_version", version + 1).unwrap();
        drop(connection);
        assert!(matches!(open(&path), Err(StoreError::Newer { .. })));
    }
}
