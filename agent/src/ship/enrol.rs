//! A token becomes a certificate.

use std::path::Path;
use std::time::Duration;

use gnomon_proto::v1::EnrolRequest;
use gnomon_proto::v1::enrolment_client::EnrolmentClient;
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls_pki_types::pem::PemObject;
use sha2::{Digest, Sha256};
use tokio::time::timeout;
use tonic::Code;

use super::connect::{self, lost};
use super::identity::{Identity, hex};
use super::token::Token;
use super::{ShipError, tls};
use crate::config::Collector;

const ANSWER: Duration = Duration::from_secs(30);

/// Enrols this host and stores its identity.
pub(super) async fn enrol(
    collector: &Collector,
    token: &str,
    state_dir: &Path,
) -> Result<Identity, ShipError> {
    let token = Token::parse(token)?;
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let csr = CertificateParams::default().serialize_request(&key)?;
    // Only a collector with the token's CA gets past this line, and so to see the token.
    let channel = connect::open(collector, tls::pinned(token.ca_sha256())?).await?;
    let request = EnrolRequest {
        token: token.text().to_owned(),
        csr_der: csr.der().to_vec(),
        hostname: rustix::system::uname().nodename().to_string_lossy().into_owned(),
        machine: machine()?,
    };
    let given = timeout(ANSWER, EnrolmentClient::new(channel).enrol(request))
        .await
        .map_err(|_| ShipError::Timeout(ANSWER.as_secs()))?
        .map_err(|status| match status.code() {
            Code::Unauthenticated => ShipError::TokenRefused(status.message().to_owned()),
            Code::Unavailable | Code::Cancelled | Code::Unknown => lost(&status),
            code => ShipError::Enrolment(format!("{}: {}", code.description(), status.message())),
        })?
        .into_inner();
    let ca = rustls_pki_types::CertificateDer::from_pem_slice(given.ca_pem.as_bytes())
        .map_err(|e| ShipError::Enrolment(format!("CA certificate: {e}")))?;
    if Sha256::digest(&ca)[..] != token.ca_sha256() {
        return Err(ShipError::Enrolment("its CA is not the one named by the token".to_owned()));
    }
    let identity = Identity::new(token.text(), &key, given);
    // Checks that the certificate is for our key before it replaces anything.
    tls::mutual(&identity)?;
    identity.store(state_dir)?;
    tracing::info!(host_id = identity.host_id, collector = %collector.address, "this host is enrolled");
    Ok(identity)
}

/// Names this installation of an operating system, the same at each enrolment. machine-id(5) asks not to show the id
/// itself to others.
fn machine() -> Result<String, ShipError> {
    let id = std::fs::read_to_string("/etc/machine-id").unwrap_or_default();
    let mut hash = Sha256::new_with_prefix("gnomon-agent machine ");
    if id.trim().is_empty() {
        // In an image that many hosts start from. A random name keeps them apart, at the price of a new one if this
        // host is enrolled again.
        let mut random = [0; 32];
        getrandom::fill(&mut random).map_err(|e| ShipError::Enrolment(format!("no random numbers: {e}")))?;
        hash.update(random);
    } else {
        hash.update(id.trim());
    }
    Ok(hex(&hash.finalize()))
}
