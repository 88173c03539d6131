//! Enrolled hosts: who they are, and whether they may still send.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::{Store, StoreError, secrets::use_up};
use crate::{
    clock::now_ms,
    pki::{ClientCertificate, Peer, PkiError},
    secret::{Kind, Secret},
};

/// A host that asks for a certificate.
#[derive(Clone, Debug)]
pub struct NewHost {
    pub hostname: String,
    /// Hashed machine id; empty when the host has none.
    pub machine: String,
}

#[derive(Clone, Debug)]
pub struct Enrolled {
    pub host_id: String,
    pub certificate: ClientCertificate,
    /// The machine was enrolled before; its earlier certificate is worth nothing now.
    pub again: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Sign(#[from] PkiError),
}

impl Store {
    /// Uses `token` up and records the host, with the certificate that `sign` makes for its id, in one transaction: a
    /// request that cannot be signed leaves the token unused. `fresh_id` is taken unless the machine has an id already.
    pub async fn enrol(
        &self,
        token: &Secret,
        host: NewHost,
        fresh_id: String,
        sign: impl FnOnce(&str) -> Result<ClientCertificate, PkiError> + Send + 'static,
    ) -> Result<Enrolled, EnrolError> {
        let token = token.hash();
        self.write(move |connection| {
            use_up(connection, Kind::Enrolment, &token)?;
            let known: Option<String> = connection
                .query_row(
                    "SELECT id FROM host WHERE machine = ?1 AND machine <> ''",
                    [&host.machine],
                    |row| row.get(0),
                )
                .optional()
                .map_err(StoreError::from)?;
            let again = known.is_some();
            let host_id = known.unwrap_or(fresh_id);
            let certificate = sign(&host_id)?;
            record(connection, &host_id, &host, &certificate)?;
            Ok(Enrolled { host_id, certificate, again })
        })
        .await
    }

    /// Whether the host that holds this certificate may send now.
    pub async fn authorise(&self, peer: Peer) -> Result<(), StoreError> {
        self.read(move |connection| authorise(connection, &peer)).await
    }

    /// Takes the host's certificate back: from the next batch on it is refused.
    pub async fn revoke(&self, host_id: String) -> Result<(), StoreError> {
        self.write(move |connection| {
            let sql = "UPDATE host SET revoked_ms = coalesce(revoked_ms, ?1) WHERE id = ?2";
            match connection.execute(sql, params![now_ms(), host_id])? {
                0 => Err(StoreError::UnknownHost(host_id)),
                _ => Ok(()),
            }
        })
        .await
    }

    /// Counts a batch that was refused, with what was wrong with it.
    pub async fn count_rejected(&self, host_id: String, reason: String) -> Result<(), StoreError> {
        self.write(move |connection| {
            connection.execute(
                "UPDATE host SET rejected_batches = rejected_batches + 1, rejected_reason = ?2 WHERE id = ?1",
                params![host_id, reason],
            )?;
            Ok(())
        })
        .await
    }
}

pub(super) fn authorise(connection: &Connection, peer: &Peer) -> Result<(), StoreError> {
    let row: Option<(Vec<u8>, bool)> = connection
        .prepare_cached("SELECT certificate_sha256, revoked_ms IS NOT NULL FROM host WHERE id = ?1")?
        .query_row([&peer.host_id], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let host = || peer.host_id.clone();
    match row {
        None => Err(StoreError::UnknownHost(host())),
        Some((_, true)) => Err(StoreError::RevokedHost(host())),
        Some((current, false)) if current != peer.certificate_sha256 => {
            Err(StoreError::ReplacedCertificate(host()))
        }
        Some(_) => Ok(()),
    }
}

fn record(
    connection: &Connection,
    host_id: &str,
    host: &NewHost,
    certificate: &ClientCertificate,
) -> Result<(), StoreError> {
    connection.execute(
        "INSERT INTO host (id, hostname, machine, certificate_sha256, certificate_expires_ms, enrolled_ms)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (id) DO UPDATE SET hostname = excluded.hostname, revoked_ms = NULL,
            certificate_sha256 = excluded.certificate_sha256,
            certificate_expires_ms = excluded.certificate_expires_ms, enrolled_ms = excluded.enrolled_ms",
        params![host_id, host.hostname, host.machine, certificate.sha256, certificate.expires_ms, now_ms()],
    )?;
    Ok(())
}
