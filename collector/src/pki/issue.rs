//! Certificates that the CA signs: the collector's own, and one per host.

use std::fmt;

use rcgen::{
    CertificateParams, CertificateSigningRequestParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    IsCa, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SerialNumber,
};
use sha2::{Digest as _, Sha256};
use time::{Duration, OffsetDateTime};

use super::{Ca, PkiError, ca::CLOCK_SKEW};
use crate::secret::random_bytes;

/// A new server certificate is issued at every start, so this only bounds the time between two starts.
const SERVER_DAYS: i64 = 825;
const CLIENT_DAYS: i64 = 365;
/// A P-256 request is about 300 bytes, an RSA-4096 one about 1,700.
const REQUEST_BYTES: usize = 8 << 10;
const SERIAL_BYTES: usize = 16;

/// Key and chain that the gRPC server presents.
pub struct ServerIdentity {
    /// Leaf, then the CA: the agent knows the CA by its fingerprint only and takes the certificate from here.
    pub chain_pem: String,
    pub key_pem: String,
}

impl fmt::Debug for ServerIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerIdentity").field("chain_pem", &self.chain_pem).finish_non_exhaustive()
    }
}

/// What a host gets for its token.
#[derive(Clone, Debug)]
pub struct ClientCertificate {
    pub pem: String,
    /// SHA-256 of the DER: the store keeps it, so that a certificate can be taken back.
    pub sha256: [u8; 32],
    /// Milliseconds since the Unix epoch.
    pub expires_ms: i64,
}

impl Ca {
    /// A fresh key and certificate for `names` (DNS names and IP addresses). The key never touches the disk.
    pub fn issue_server(&self, names: &[String]) -> Result<ServerIdentity, PkiError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut params = CertificateParams::new(names.to_vec())?;
        leaf(&mut params, "Gnomon collector", ExtendedKeyUsagePurpose::ServerAuth, SERVER_DAYS)?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(ServerIdentity {
            chain_pem: format!("{}{}", certificate.pem(), self.pem()),
            key_pem: key.serialize_pem(),
        })
    }

    /// Signs the public key of a PKCS#10 request (RFC 2986, DER) for `host_id`. Everything else in the request is
    /// ignored; its signature, the proof that the host holds the key, is checked.
    pub fn issue_client(&self, csr_der: &[u8], host_id: &str) -> Result<ClientCertificate, PkiError> {
        if csr_der.len() > REQUEST_BYTES {
            return Err(PkiError::Request(format!("longer than {REQUEST_BYTES} bytes")));
        }
        let mut request = CertificateSigningRequestParams::from_der(&csr_der.to_vec().into())
            .map_err(|e| PkiError::Request(e.to_string()))?;
        request.params = CertificateParams::default();
        leaf(&mut request.params, host_id, ExtendedKeyUsagePurpose::ClientAuth, CLIENT_DAYS)?;
        let expires = request.params.not_after;
        let certificate = request.signed_by(&self.issuer)?;
        Ok(ClientCertificate {
            pem: certificate.pem(),
            sha256: Sha256::digest(certificate.der()).into(),
            expires_ms: expires.unix_timestamp() * 1000,
        })
    }
}

fn leaf(
    params: &mut CertificateParams,
    common_name: &str,
    usage: ExtendedKeyUsagePurpose,
    days: i64,
) -> Result<(), PkiError> {
    let mut serial = random_bytes::<SERIAL_BYTES>()?;
    // RFC 5280, 4.1.2.2: positive.
    serial[0] &= 0x7f;
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![usage];
    params.use_authority_key_identifier_extension = true;
    let now = OffsetDateTime::now_utc();
    params.not_before = now - CLOCK_SKEW;
    params.not_after = now + Duration::days(days);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data_dir::DataDir;

    #[test]
    fn the_subject_of_a_request_is_ignored_and_its_signature_checked() {
        let dir = tempfile::tempdir().unwrap();
        let ca = Ca::open_or_create(&DataDir::open(dir.path()).unwrap()).unwrap();
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let mut params = CertificateParams::new(vec!["evil.example".to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, "another-host");
        let csr = params.serialize_request(&key).unwrap().der().to_vec();

        let issued = ca.issue_client(&csr, "h-1").unwrap();
        let (_, pem) = x509_parser::pem::parse_x509_pem(issued.pem.as_bytes()).unwrap();
        let certificate = pem.parse_x509().unwrap();
        assert_eq!(certificate.subject().to_string(), "CN=h-1");
        assert!(certificate.subject_alternative_name().unwrap().is_none());
        assert!(!certificate.is_ca());

        let mut forged = csr;
        let last = forged.len() - 1;
        forged[last] ^= 1;
        assert!(matches!(ca.issue_client(&forged, "h-1"), Err(PkiError::Request(_))));
        assert!(matches!(ca.issue_client(&[0; 9000], "h-1"), Err(PkiError::Request(_))));
        assert!(matches!(ca.issue_client(b"", "h-1"), Err(PkiError::Request(_))));
    }
}
