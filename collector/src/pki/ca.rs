//! Makes, keeps and loads the CA.

use std::{fmt, fs, path::Path};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256,
};
use sha2::{Digest as _, Sha256};
use time::{Duration, OffsetDateTime};

use super::PkiError;
use crate::data_dir::{DataDir, io_error, write_private};

const VALID_DAYS: i64 = 3650;
/// A host whose clock is somewhat behind must not refuse a fresh certificate.
pub(super) const CLOCK_SKEW: Duration = Duration::hours(1);

/// The CA with its private key.
pub struct Ca {
    pub(super) issuer: Issuer<'static, KeyPair>,
    pem: String,
    sha256: [u8; 32],
}

impl Ca {
    /// Loads the CA of `data`, making one when there is none. The key is written first: a start that ends between the
    /// two files leaves a key without certificate, which nobody has seen yet, and the next start completes it.
    pub fn open_or_create(data: &DataDir) -> Result<Self, PkiError> {
        let key = match read_if_there(&data.ca_key())? {
            Some(pem) => KeyPair::from_pem(&pem).map_err(broken(&data.ca_key()))?,
            None => {
                let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
                write_private(&data.ca_key(), key.serialize_pem().as_bytes())?;
                key
            }
        };
        let pem = match read_if_there(&data.ca_certificate())? {
            Some(pem) => pem,
            None => {
                let pem = ca_params().self_signed(&key)?.pem();
                write_private(&data.ca_certificate(), pem.as_bytes())?;
                tracing::info!(path = %data.ca_certificate().display(), "made a new certificate authority");
                pem
            }
        };
        Self::load(key, pem, &data.ca_certificate())
    }

    fn load(key: KeyPair, pem: String, path: &Path) -> Result<Self, PkiError> {
        let (_, block) = x509_parser::pem::parse_x509_pem(pem.as_bytes()).map_err(broken(path))?;
        let certificate = block.parse_x509().map_err(broken(path))?;
        if certificate.public_key().subject_public_key.data != key.public_key_raw() {
            return Err(broken(path)("its key is another one than pki/ca.key"));
        }
        let sha256 = Sha256::digest(&block.contents).into();
        let issuer = Issuer::from_ca_cert_pem(&pem, key)?;
        Ok(Self { issuer, pem, sha256 })
    }

    #[must_use]
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// SHA-256 of the certificate's DER: the fingerprint in enrolment tokens.
    #[must_use]
    pub fn sha256(&self) -> &[u8; 32] {
        &self.sha256
    }
}

impl fmt::Debug for Ca {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ca").field("sha256", &crate::secret::hex(&self.sha256)).finish_non_exhaustive()
    }
}

fn ca_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "Gnomon collector CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let now = OffsetDateTime::now_utc();
    params.not_before = now - CLOCK_SKEW;
    params.not_after = now + Duration::days(VALID_DAYS);
    params
}

fn read_if_there(path: &Path) -> Result<Option<String>, PkiError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(io_error("cannot read", path)(e).into()),
    }
}

fn broken<E: ToString>(path: &Path) -> impl Fn(E) -> PkiError + '_ {
    move |why| PkiError::Broken { path: path.to_owned(), why: why.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ca_is_made_once_and_kept() {
        let dir = tempfile::tempdir().unwrap();
        let data = DataDir::open(dir.path()).unwrap();
        let first = Ca::open_or_create(&data).unwrap();
        assert_eq!(first.sha256(), Ca::open_or_create(&data).unwrap().sha256());
    }

    #[test]
    fn a_certificate_of_another_key_is_refused() {
        let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (a, b) = (DataDir::open(a.path()).unwrap(), DataDir::open(b.path()).unwrap());
        Ca::open_or_create(&a).unwrap();
        Ca::open_or_create(&b).unwrap();
        fs::copy(b.ca_certificate(), a.ca_certificate()).unwrap();
        assert!(matches!(Ca::open_or_create(&a), Err(PkiError::Broken { .. })));
    }
}
