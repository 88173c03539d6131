//! Events in: rows, servers seen, gaps, health.

use rusqlite::{CachedStatement, Connection, OptionalExtension as _, params};

use super::{Store, StoreError, hosts::authorise};
use crate::{clock::now_ms, pki::Peer};

/// A batch that passed the limits, as rows.
#[derive(Clone, Debug)]
pub struct BatchRows {
    pub epoch: String,
    pub events: Vec<EventRow>,
    /// Host name and the report as JSON.
    pub health: Option<(String, String)>,
}

/// The columns that queries need, and the event itself as JSON.
#[derive(Clone, Debug, Default)]
pub struct EventRow {
    pub seq: i64,
    pub time_ns: i64,
    pub kind: String,
    pub server_host: String,
    pub server_address: String,
    pub server_tls: bool,
    pub sanctioned_as: String,
    pub method: String,
    pub tool: String,
    pub verdict: String,
    pub mode: String,
    pub rule: String,
    pub exe: String,
    pub user: String,
    pub findings: usize,
    pub note: String,
    pub json: String,
}

impl Store {
    /// Stores a batch; events that are there already are left as they are. Returns the highest sequence number up to
    /// which the host's events of this epoch are durable: of this batch, or of all when it carries no event.
    pub async fn ingest(&self, peer: Peer, batch: BatchRows) -> Result<u64, StoreError> {
        self.write(move |connection| {
            // Here and not only when the stream starts: a revocation must hold from the next batch on.
            authorise(connection, &peer)?;
            let now = now_ms();
            let stored = insert_events(connection, &peer.host_id, &batch, now)?;
            let last = batch.events.iter().map(|event| event.seq).max().unwrap_or(0);
            let highest = advance_epoch(connection, &peer.host_id, &batch.epoch, last, stored)?;
            saw_host(connection, &peer.host_id, batch.health.as_ref(), now)?;
            let durable = if batch.events.is_empty() { highest } else { last };
            Ok(u64::try_from(durable).unwrap_or(0))
        })
        .await
    }
}

fn insert_events(
    connection: &Connection,
    host: &str,
    batch: &BatchRows,
    now: i64,
) -> Result<i64, StoreError> {
    let mut insert = connection.prepare_cached(
        "INSERT OR IGNORE INTO event (host, epoch, seq, received_ms, time_ns, kind, server_host, server_address,
            method, tool, verdict, mode, rule, exe, user, findings, note)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)",
    )?;
    let mut body = connection.prepare_cached("INSERT INTO event_body (event, json) VALUES (?1, ?2)")?;
    let mut servers = Servers::prepare(connection)?;
    let mut stored = 0;
    for e in &batch.events {
        let new = insert.execute(params![
            host,
            batch.epoch,
            e.seq,
            now,
            e.time_ns,
            e.kind,
            e.server_host,
            e.server_address,
            e.method,
            e.tool,
            e.verdict,
            e.mode,
            e.rule,
            e.exe,
            e.user,
            i64::try_from(e.findings).unwrap_or(i64::MAX),
            e.note
        ])?;
        if new == 1 {
            body.execute(params![connection.last_insert_rowid(), e.json])?;
            servers.saw(host, e)?;
            stored += 1;
        }
    }
    Ok(stored)
}

/// Statements that keep the list of servers.
struct Servers<'c> {
    upsert: CachedStatement<'c>,
    user: CachedStatement<'c>,
}

impl<'c> Servers<'c> {
    fn prepare(connection: &'c Connection) -> Result<Self, StoreError> {
        Ok(Self {
            // What the newest event says about the server wins; an event that comes late from a spool does not.
            upsert: connection.prepare_cached(
                "INSERT INTO server (host, address, tls, sanctioned_as, first_seen_ms, last_seen_ms, messages, denied)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?5, 1, ?6)
                 ON CONFLICT (host, address) DO UPDATE SET
                    tls = CASE WHEN excluded.last_seen_ms >= last_seen_ms THEN excluded.tls ELSE tls END,
                    sanctioned_as = CASE WHEN excluded.last_seen_ms >= last_seen_ms
                        THEN excluded.sanctioned_as ELSE sanctioned_as END,
                    first_seen_ms = min(first_seen_ms, excluded.first_seen_ms),
                    last_seen_ms = max(last_seen_ms, excluded.last_seen_ms),
                    messages = messages + 1, denied = denied + excluded.denied
                 RETURNING id",
            )?,
            user: connection
                .prepare_cached("INSERT OR IGNORE INTO server_user (server, host, exe) VALUES (?1, ?2, ?3)")?,
        })
    }

    fn saw(&mut self, host: &str, e: &EventRow) -> Result<(), StoreError> {
        if e.kind != "message" || (e.server_host.is_empty() && e.server_address.is_empty()) {
            return Ok(());
        }
        let denied = e.verdict == "deny" && e.mode == "enforce";
        let id: i64 = self.upsert.query_row(
            params![
                e.server_host,
                e.server_address,
                e.server_tls,
                e.sanctioned_as,
                e.time_ns / 1_000_000,
                denied
            ],
            |row| row.get(0),
        )?;
        self.user.execute(params![id, host, e.exe])?;
        Ok(())
    }
}

/// Returns the highest sequence number of the epoch.
fn advance_epoch(
    connection: &Connection,
    host: &str,
    epoch: &str,
    last: i64,
    stored: i64,
) -> Result<i64, StoreError> {
    if last == 0 {
        let known = connection
            .prepare_cached("SELECT max_seq FROM epoch WHERE host = ?1 AND epoch = ?2")?
            .query_row(params![host, epoch], |row| row.get(0))
            .optional()?;
        return Ok(known.unwrap_or(0));
    }
    let highest = connection
        .prepare_cached(
            "INSERT INTO epoch (host, epoch, max_seq, stored) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (host, epoch) DO UPDATE SET max_seq = max(max_seq, excluded.max_seq),
                stored = stored + excluded.stored
             RETURNING max_seq",
        )?
        .query_row(params![host, epoch, last, stored], |row| row.get(0))?;
    Ok(highest)
}

fn saw_host(
    connection: &Connection,
    host: &str,
    health: Option<&(String, String)>,
    now: i64,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE host SET last_seen_ms = ?2, health = coalesce(?3, health),
                hostname = coalesce(nullif(?4, ''), hostname) WHERE id = ?1",
        )?
        .execute(params![host, now, health.map(|h| &h.1), health.map(|h| &h.0)])?;
    Ok(())
}

pub(super) fn count(connection: &Connection, name: &str, by: i64) -> Result<(), StoreError> {
    connection.execute(
        "INSERT INTO counter (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = value + ?2",
        params![name, by],
    )?;
    Ok(())
}
