//! Hosts with their health.

use serde::Serialize;
use serde_json::value::RawValue;

use super::{StoreError, stored_json};
use crate::{clock::rfc3339_from_ms, store::Store};

#[derive(Debug, Serialize)]
pub struct HostView {
    pub id: String,
    pub hostname: String,
    /// Has an open stream to this collector. The command line, which is not the collector, cannot know.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connected: Option<bool>,
    /// RFC 3339, as all times here.
    pub enrolled: String,
    pub certificate_expires: String,
    pub last_seen: Option<String>,
    pub revoked: Option<String>,
    /// Events that the host numbered and that never arrived: gaps in the sequence.
    pub missing_events: i64,
    pub rejected_batches: i64,
    pub rejected_reason: Option<String>,
    /// `gnomon.v1.Health` as the host last sent it; null before its first report.
    pub health: Option<Box<RawValue>>,
}

impl Store {
    pub async fn hosts(&self) -> Result<Vec<HostView>, StoreError> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT id, hostname, enrolled_ms, certificate_expires_ms, last_seen_ms, revoked_ms,
                    coalesce((SELECT sum(max_seq - stored) FROM epoch WHERE epoch.host = host.id), 0),
                    rejected_batches, rejected_reason, health
                 FROM host ORDER BY hostname, id",
            )?;
            let rows = statement.query_map([], |row| {
                let time = |ms: Option<i64>| ms.map(rfc3339_from_ms);
                Ok(HostView {
                    id: row.get(0)?,
                    hostname: row.get(1)?,
                    connected: None,
                    enrolled: rfc3339_from_ms(row.get(2)?),
                    certificate_expires: rfc3339_from_ms(row.get(3)?),
                    last_seen: time(row.get(4)?),
                    revoked: time(row.get(5)?),
                    missing_events: row.get(6)?,
                    rejected_batches: row.get(7)?,
                    rejected_reason: row.get(8)?,
                    health: row.get::<_, Option<String>>(9)?.map(stored_json).transpose()?,
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }
}
