//! The figures at the top of the page.

use serde::Serialize;

use super::StoreError;
use crate::{clock::now_ms, store::Store};

const DAY_NS: i64 = 86_400 * 1_000_000_000;

/// Events of the last 24 hours by their own time, except where a field says otherwise.
#[derive(Debug, Serialize)]
pub struct Summary {
    pub messages: i64,
    pub denied: i64,
    /// Would have been denied, had the rule not been in mode `observe` or `simulate`.
    pub would_deny: i64,
    pub alerts: i64,
    pub findings: i64,
    pub losses: i64,
    /// Enrolled and not revoked.
    pub hosts: i64,
    pub hosts_connected: i64,
    pub servers: i64,
    pub servers_unsanctioned: i64,
    /// Id of the newest event: where a stream may start.
    pub latest_event: i64,
    /// Since the collector was set up.
    pub events_deleted_by_retention: i64,
}

impl Store {
    pub async fn summary(&self, hosts_connected: i64) -> Result<Summary, StoreError> {
        let latest_event = *self.latest().borrow();
        self.read(move |connection| {
            let since = now_ms().saturating_mul(1_000_000).saturating_sub(DAY_NS);
            let events = connection
                .prepare_cached(
                    "SELECT count(*) FILTER (WHERE kind = 'message'),
                        count(*) FILTER (WHERE verdict = 'deny' AND mode = 'enforce'),
                        count(*) FILTER (WHERE verdict = 'deny' AND mode <> 'enforce'),
                        count(*) FILTER (WHERE verdict = 'alert'),
                        coalesce(sum(findings), 0),
                        count(*) FILTER (WHERE kind = 'loss')
                     FROM event WHERE time_ns >= ?1",
                )?
                .query_row([since], |r| {
                    Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?, r.get(4)?, r.get(5)?))
                })?;
            let one = |sql: &str| connection.prepare_cached(sql)?.query_row([], |row| row.get::<_, i64>(0));
            Ok(Summary {
                messages: events.0,
                denied: events.1,
                would_deny: events.2,
                alerts: events.3,
                findings: events.4,
                losses: events.5,
                hosts: one("SELECT count(*) FROM host WHERE revoked_ms IS NULL")?,
                hosts_connected,
                servers: one("SELECT count(*) FROM server")?,
                servers_unsanctioned: one("SELECT count(*) FROM server WHERE sanctioned_as = ''")?,
                latest_event,
                events_deleted_by_retention: one(
                    "SELECT coalesce(sum(value), 0) FROM counter WHERE name = 'events_deleted_by_retention'",
                )?,
            })
        })
        .await
    }
}
