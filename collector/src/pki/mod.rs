//! The collector's own certificate authority: one CA per data folder, ECDSA P-256, X.509 v3 (RFC 5280).
#![forbid(unsafe_code)]

mod ca;
mod issue;
mod peer;

pub use ca::Ca;
pub use issue::{ClientCertificate, ServerIdentity};
pub use peer::{Peer, PeerError};

use crate::{data_dir::DataDirError, secret::NoRandomness};

#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    #[error(transparent)]
    Data(#[from] DataDirError),
    #[error("{path} is not the CA this collector wrote ({why}); restore it from a backup")]
    Broken { path: std::path::PathBuf, why: String },
    #[error("the certificate request is refused: {0}")]
    Request(String),
    #[error("cannot make a certificate: {0}")]
    Issue(#[from] rcgen::Error),
    #[error(transparent)]
    Random(#[from] NoRandomness),
}
