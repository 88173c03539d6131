//! Connections that read, off the async threads, each query with a time limit.

use std::{
    path::PathBuf,
    sync::Mutex,
    time::{Duration, Instant},
};

use rusqlite::Connection;
use tokio::sync::Semaphore;

use super::{Store, StoreError, schema};

const CONNECTIONS: usize = 4;
const LIMIT: Duration = Duration::from_secs(5);
/// Virtual-machine steps between two looks at the clock: well under a millisecond.
const STEPS: i32 = 10_000;

#[derive(Debug)]
pub(super) struct Readers {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
    permits: Semaphore,
}

impl Readers {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, idle: Mutex::new(Vec::new()), permits: Semaphore::new(CONNECTIONS) }
    }

    fn query<T>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, StoreError>,
        limit: Duration,
    ) -> Result<T, StoreError> {
        let idle = || self.idle.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let taken = idle().pop();
        let mut connection = taken.map_or_else(|| schema::open_reader(&self.path), Ok)?;
        let end = Instant::now() + limit;
        connection.progress_handler(STEPS, Some(move || Instant::now() > end))?;
        let result = work(&connection).map_err(|error| match error {
            StoreError::Sql(e)
                if e.sqlite_error_code() == Some(rusqlite::ErrorCode::OperationInterrupted) =>
            {
                StoreError::TooSlow(limit.as_secs())
            }
            other => other,
        });
        idle().push(connection);
        result
    }
}

impl Store {
    /// Runs a query on a reading connection, within five seconds.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let readers = self.readers.clone();
        let _permit = self.readers.permits.acquire().await.map_err(|_| StoreError::Closed)?;
        tokio::task::spawn_blocking(move || readers.query(work, LIMIT))
            .await
            .map_err(|_| StoreError::Closed)?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_without_end_is_ended() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("db");
        drop(schema::open(&path).unwrap());
        let readers = Readers::new(path);
        let endless =
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";
        let result = readers.query(
            |c| c.query_row(endless, [], |row| row.get::<_, i64>(0)).map_err(Into::into),
            Duration::from_millis(50),
        );
        assert!(matches!(result, Err(StoreError::TooSlow(_))), "{result:?}");
        let write = readers.query(|c| c.execute("DELETE FROM host", []).map_err(Into::into), LIMIT);
        assert!(matches!(write, Err(StoreError::Sql(_))), "readers cannot write: {write:?}");
    }
}
