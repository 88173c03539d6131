//! Hashes of bearer secrets: issue, check, use once.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, params};

use super::{Store, StoreError};
use crate::{
    clock::{millis, now_ms},
    secret::{Hash, Kind, Secret},
};

impl Store {
    pub async fn add_secret(&self, kind: Kind, secret: &Secret, ttl: Duration) -> Result<(), StoreError> {
        let hash = secret.hash();
        self.write(move |connection| {
            connection.execute(
                "INSERT INTO secret (id, kind, hash, created_ms, expires_ms) VALUES (?1, ?2, ?3, ?4, ?5)",
                params![hash.id(), kind.name(), hash.bytes(), now_ms(), now_ms().saturating_add(millis(ttl))],
            )?;
            Ok(())
        })
        .await
    }

    /// Whether `secret` is a valid one of `kind`; for kinds that may be used again.
    pub async fn check_secret(&self, kind: Kind, secret: &Secret) -> Result<(), StoreError> {
        let hash = secret.hash();
        self.read(move |connection| check(connection, kind, &hash)).await
    }

    /// Uses the one-time admin link `link` up and opens `session` in the same transaction.
    pub async fn log_in(&self, link: &Secret, session: &Secret, ttl: Duration) -> Result<(), StoreError> {
        let (link, session) = (link.hash(), session.hash());
        self.write(move |connection| {
            use_up(connection, Kind::Link, &link)?;
            connection.execute(
                "INSERT INTO secret (id, kind, hash, created_ms, expires_ms) VALUES (?1, 'session', ?2, ?3, ?4)",
                params![session.id(), session.bytes(), now_ms(), now_ms().saturating_add(millis(ttl))],
            )?;
            Ok(())
        })
        .await
    }

    /// Whether anybody ever got in, by a link or by an API token.
    pub async fn has_admin(&self) -> Result<bool, StoreError> {
        let sql = "SELECT EXISTS (SELECT 1 FROM counter WHERE name = 'logins')
            OR EXISTS (SELECT 1 FROM secret WHERE kind = 'api')";
        self.read(|connection| Ok(connection.query_row(sql, [], |row| row.get(0))?)).await
    }
}

fn check(connection: &Connection, kind: Kind, hash: &Hash) -> Result<(), StoreError> {
    let stored: Option<Vec<u8>> = connection
        .prepare_cached(
            "SELECT hash FROM secret WHERE id = ?1 AND kind = ?2 AND used_ms IS NULL AND expires_ms > ?3",
        )?
        .query_row(params![hash.id(), kind.name(), now_ms()], |row| row.get(0))
        .optional()?;
    match stored {
        Some(stored) if hash.equals(&stored) => Ok(()),
        _ => Err(StoreError::BadSecret),
    }
}

/// Checks and marks as used; the caller's transaction makes the two one step.
pub(super) fn use_up(connection: &Connection, kind: Kind, hash: &Hash) -> Result<(), StoreError> {
    check(connection, kind, hash)?;
    connection.execute("UPDATE secret SET used_ms = ?1 WHERE id = ?2", params![now_ms(), hash.id()])?;
    if kind == Kind::Link {
        super::ingest::count(connection, "logins", 1)?;
    }
    Ok(())
}
