//! Who is at the other end of a TLS connection.

use sha2::{Digest as _, Sha256};

/// A host as its certificate names it. That the chain and the dates are right was checked in the TLS handshake.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Subject common name.
    pub host_id: String,
    /// SHA-256 of the certificate's DER.
    pub certificate_sha256: [u8; 32],
}

#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    #[error("a client certificate is required: enrol this host first")]
    None,
    #[error("the client certificate names no host")]
    Nameless,
}

impl Peer {
    /// From the leaf certificate of the handshake (DER).
    pub fn from_certificate(der: Option<&[u8]>) -> Result<Self, PeerError> {
        let der = der.ok_or(PeerError::None)?;
        let (_, certificate) = x509_parser::parse_x509_certificate(der).map_err(|_| PeerError::Nameless)?;
        let host_id = certificate
            .subject()
            .iter_common_name()
            .next()
            .and_then(|name| name.as_str().ok())
            .filter(|name| !name.is_empty())
            .ok_or(PeerError::Nameless)?
            .to_owned();
        Ok(Self { host_id, certificate_sha256: Sha256::digest(der).into() })
    }
}
