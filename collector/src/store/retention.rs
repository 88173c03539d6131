//! What is older than the retention time goes, in small steps, and is counted.

use std::time::Duration;

use rusqlite::params;

use super::{Store, StoreError, ingest::count};
use crate::clock::{millis, now_ms};

/// Events per transaction: ingest waits no longer than this takes.
const STEP: i64 = 2000;

impl Store {
    /// Deletes events received more than `keep` ago, servers not seen since, and secrets past use. Returns how many
    /// events went.
    pub async fn prune(&self, keep: Duration) -> Result<u64, StoreError> {
        let cutoff = now_ms().saturating_sub(millis(keep));
        let mut deleted = 0;
        loop {
            let step = self.write(move |connection| {
                connection.execute(
                    "DELETE FROM event_body WHERE event IN
                        (SELECT id FROM event WHERE received_ms < ?1 ORDER BY received_ms, id LIMIT ?2)",
                    params![cutoff, STEP],
                )?;
                let events = connection.execute(
                    "DELETE FROM event WHERE id IN
                        (SELECT id FROM event WHERE received_ms < ?1 ORDER BY received_ms, id LIMIT ?2)",
                    params![cutoff, STEP],
                )?;
                if events > 0 {
                    count(
                        connection,
                        "events_deleted_by_retention",
                        i64::try_from(events).unwrap_or(i64::MAX),
                    )?;
                }
                Ok::<_, StoreError>(events as u64)
            });
            match step.await? {
                0 => break,
                n => deleted += n,
            }
        }
        self.write(move |connection| {
            connection.execute(
                "DELETE FROM server_user WHERE server IN (SELECT id FROM server WHERE last_seen_ms < ?1)",
                [cutoff],
            )?;
            connection.execute("DELETE FROM server WHERE last_seen_ms < ?1", [cutoff])?;
            connection
                .execute("DELETE FROM secret WHERE expires_ms < ?1 OR used_ms IS NOT NULL", [now_ms()])?;
            Ok::<_, StoreError>(deleted)
        })
        .await
    }
}
