//! Who this host is to the collector: key, certificate and the collector's CA, in one file, so that a crash leaves
//! either the old identity or the new one.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::ShipError;

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Identity {
    pub(super) host_id: String,
    key_pem: String,
    certificate_pem: String,
    ca_pem: String,
    /// Of the token that was used up for it, hexadecimal.
    token_sha256: String,
}

impl Identity {
    pub(super) fn new(token: &str, key: &rcgen::KeyPair, given: gnomon_proto::v1::EnrolResponse) -> Self {
        Self {
            host_id: given.host_id,
            key_pem: key.serialize_pem(),
            certificate_pem: given.certificate_pem,
            ca_pem: given.ca_pem,
            token_sha256: hex(&Sha256::digest(token)),
        }
    }

    pub(super) fn exists(state_dir: &Path) -> bool {
        file(state_dir).exists()
    }

    pub(super) fn load(state_dir: &Path) -> Result<Option<Self>, ShipError> {
        let path = file(state_dir);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(ShipError::Identity { path, reason: e.to_string() }),
        };
        // The text of serde's error may quote the key.
        serde_json::from_slice(&text)
            .map(Some)
            .map_err(|e| ShipError::Identity { path, reason: format!("damaged at line {}", e.line()) })
    }

    /// Atomic, mode 0600.
    pub(super) fn store(&self, state_dir: &Path) -> Result<(), ShipError> {
        let path = file(state_dir);
        let write = || -> std::io::Result<()> {
            let folder = path.parent().unwrap_or(state_dir);
            fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
            let new = path.with_extension("new");
            // Made anew: a file that was there could have other permissions.
            match fs::remove_file(&new) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(e),
                _ => {}
            }
            let mut out = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
            out.write_all(&serde_json::to_vec_pretty(self)?)?;
            out.sync_all()?;
            fs::rename(&new, &path)?;
            fs::File::open(folder)?.sync_all()
        };
        write().map_err(|e| ShipError::Identity { path: path.clone(), reason: e.to_string() })
    }

    pub(super) fn was_given_for(&self, token: &str) -> bool {
        self.token_sha256 == hex(&Sha256::digest(token))
    }

    pub(super) fn ca(&self) -> Result<CertificateDer<'static>, ShipError> {
        CertificateDer::from_pem_slice(self.ca_pem.as_bytes()).map_err(|e| unusable("CA certificate", &e))
    }

    pub(super) fn chain(&self) -> Result<Vec<CertificateDer<'static>>, ShipError> {
        CertificateDer::pem_slice_iter(self.certificate_pem.as_bytes())
            .collect::<Result<_, _>>()
            .map_err(|e| unusable("host certificate", &e))
    }

    pub(super) fn key(&self) -> Result<PrivateKeyDer<'static>, ShipError> {
        PrivateKeyDer::from_pem_slice(self.key_pem.as_bytes()).map_err(|e| unusable("host key", &e))
    }
}

/// Holds a private key.
impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity").field("host_id", &self.host_id).finish_non_exhaustive()
    }
}

fn file(state_dir: &Path) -> PathBuf {
    state_dir.join("identity.json")
}

fn unusable(what: &str, error: &rustls_pki_types::pem::Error) -> ShipError {
    ShipError::Enrolment(format!("{what}: {error}"))
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
