//! The two ways to trust the collector: by its CA's fingerprint, before this host is enrolled, and by that CA alone
//! from then on. Both check the server certificate's chain, dates and names.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, ring, verify_tls13_signature};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, OtherError, RootCertStore, SignatureScheme,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use sha2::{Digest, Sha256};

use super::ShipError;
use super::identity::Identity;

/// Trusts the stored CA and presents the host's certificate.
pub(super) fn mutual(identity: &Identity) -> Result<ClientConfig, ShipError> {
    let mut roots = RootCertStore::empty();
    roots.add(identity.ca()?).map_err(|e| ShipError::Enrolment(format!("CA certificate: {e}")))?;
    let config = builder()?
        .with_root_certificates(roots)
        .with_client_auth_cert(identity.chain()?, identity.key()?)
        .map_err(|e| ShipError::Enrolment(format!("host certificate: {e}")))?;
    Ok(http2(config))
}

/// Trusts a chain that contains the CA with this SHA-256; presents no certificate.
pub(super) fn pinned(ca_sha256: [u8; 32]) -> Result<ClientConfig, ShipError> {
    let provider = Arc::new(ring::default_provider());
    let verifier = PinnedCa { ca_sha256, algorithms: provider.signature_verification_algorithms, provider };
    let config =
        builder()?.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth();
    Ok(http2(config))
}

fn builder() -> Result<rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>, ShipError> {
    ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|e| ShipError::Tls(e.to_string()))
}

fn http2(mut config: ClientConfig) -> ClientConfig {
    config.alpn_protocols = vec![b"h2".to_vec()];
    config
}

#[derive(Debug)]
struct PinnedCa {
    ca_sha256: [u8; 32],
    algorithms: WebPkiSupportedAlgorithms,
    provider: Arc<CryptoProvider>,
}

#[derive(Debug, thiserror::Error)]
#[error("the certificates presented do not include the CA named by the enrolment token")]
struct NotThatCa;

impl ServerCertVerifier for PinnedCa {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let ca = intermediates
            .iter()
            .find(|certificate| Sha256::digest(certificate)[..] == self.ca_sha256)
            .ok_or(CertificateError::Other(OtherError(Arc::new(NotThatCa))))?;
        let mut roots = RootCertStore::empty();
        roots.add(ca.clone().into_owned())?;
        // The fingerprint only picks the root; all else is verified as ever.
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), self.provider.clone())
            .build()
            .map_err(|e| rustls::Error::General(e.to_string()))?
            .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("TLS 1.2 is not offered".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
