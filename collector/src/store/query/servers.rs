//! MCP servers that hosts talked to.

use serde::Serialize;

use super::StoreError;
use crate::{clock::rfc3339_from_ms, store::Store};

/// The list is cut here: a page is for people, and a scan of a network can name any number of servers.
const MOST: u32 = 1000;

#[derive(Debug, Serialize)]
pub struct ServerView {
    /// Authority as clients named it.
    pub host: String,
    pub address: String,
    pub tls: bool,
    pub sanctioned: bool,
    /// The policy's id of it, empty when not sanctioned.
    pub sanctioned_as: String,
    /// RFC 3339, times of events.
    pub first_seen: String,
    pub last_seen: String,
    pub messages: i64,
    /// Of these, stopped.
    pub denied: i64,
    pub hosts: i64,
    /// Distinct pairs of host and executable.
    pub processes: i64,
}

impl Store {
    /// At most 1000, the last seen first.
    pub async fn servers(&self) -> Result<Vec<ServerView>, StoreError> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT s.host, s.address, s.tls, s.sanctioned_as, s.first_seen_ms, s.last_seen_ms, s.messages,
                    s.denied, count(DISTINCT u.host), count(u.exe)
                 FROM (SELECT * FROM server ORDER BY last_seen_ms DESC LIMIT ?1) s
                 LEFT JOIN server_user u ON u.server = s.id
                 GROUP BY s.id ORDER BY s.last_seen_ms DESC",
            )?;
            let rows = statement.query_map([MOST], |row| {
                let sanctioned_as: String = row.get(3)?;
                Ok(ServerView {
                    host: row.get(0)?,
                    address: row.get(1)?,
                    tls: row.get(2)?,
                    sanctioned: !sanctioned_as.is_empty(),
                    sanctioned_as,
                    first_seen: rfc3339_from_ms(row.get(4)?),
                    last_seen: rfc3339_from_ms(row.get(5)?),
                    messages: row.get(6)?,
                    denied: row.get(7)?,
                    hosts: row.get(8)?,
                    processes: row.get(9)?,
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }
}
