//! Bearer secrets: enrolment tokens, admin links, sessions and API tokens. Each is 256 random bits; the store keeps the
//! SHA-256 only, which is enough for random secrets (no dictionary to try).
#![forbid(unsafe_code)]

use std::fmt;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

const BYTES: usize = 32;
const ENROLMENT_PREFIX: &str = "gn1";

/// What a secret opens. Stored, so a link cannot be used as an API token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Enrolment,
    Link,
    Session,
    Api,
}

impl Kind {
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Enrolment => "enrolment",
            Self::Link => "link",
            Self::Session => "session",
            Self::Api => "api",
        }
    }
}

/// A secret in clear. Lives from its making, or its arrival, until it is hashed.
#[derive(Clone)]
pub struct Secret([u8; BYTES]);

/// What the store keeps.
#[derive(Clone, Copy, Debug)]
pub struct Hash([u8; 32]);

#[derive(Debug, thiserror::Error)]
#[error("the system gives no random bytes: {0}")]
pub struct NoRandomness(getrandom::Error);

/// From the kernel's generator.
pub fn random_bytes<const N: usize>() -> Result<[u8; N], NoRandomness> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(NoRandomness)?;
    Ok(bytes)
}

impl Secret {
    pub fn generate() -> Result<Self, NoRandomness> {
        random_bytes().map(Self)
    }

    /// The inverse of [`Secret::text`]; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        // Base64 of 32 bytes: the length is checked first so that a long input is not decoded.
        if text.len() != (BYTES * 4).div_ceil(3) {
            return None;
        }
        URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok().map(Self)
    }

    /// base64url without padding, 43 characters.
    #[must_use]
    pub fn text(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    #[must_use]
    pub fn hash(&self) -> Hash {
        Hash(Sha256::digest(self.0).into())
    }

    /// `gn1.<secret>.<SHA-256 of the CA certificate's DER, hexadecimal>`: with the second part the agent knows the
    /// collector before it says anything to it.
    #[must_use]
    pub fn enrolment_token(&self, ca_sha256: &[u8; 32]) -> String {
        format!("{ENROLMENT_PREFIX}.{}.{}", self.text(), hex(ca_sha256))
    }

    /// The secret of an enrolment token. The fingerprint is the agent's to check, not ours.
    #[must_use]
    pub fn from_enrolment_token(token: &str) -> Option<Self> {
        let mut parts = token.split('.');
        let (prefix, secret, fingerprint) = (parts.next()?, parts.next()?, parts.next()?);
        (prefix == ENROLMENT_PREFIX && fingerprint.len() == 64 && parts.next().is_none())
            .then(|| Self::parse(secret))?
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl Hash {
    /// Names the secret in the store, in logs and in lists: the first 64 bits of the hash.
    #[must_use]
    pub fn id(&self) -> String {
        hex(&self.0[..8])
    }

    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// In constant time, as the lookup by [`Hash::id`] alone would tell how far a guess was right.
    #[must_use]
    pub fn equals(&self, stored: &[u8]) -> bool {
        self.0.ct_eq(stored).into()
    }
}

/// Lower-case hexadecimal.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_round_trip_and_nothing_else_parses() {
        let secret = Secret::generate().unwrap();
        let token = secret.enrolment_token(&[0xab; 32]);
        assert!(token.starts_with("gn1.") && token.ends_with("abab"));
        assert!(Secret::from_enrolment_token(&token).unwrap().hash().equals(secret.hash().bytes()));
        for wrong in [
            "",
            "gn1",
            "gn1..",
            &token[1..],
            &token[..token.len() - 1],
            &format!("{token}.x"),
            &token.replace("gn1", "gn2"),
        ] {
            assert!(Secret::from_enrolment_token(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn secrets_differ_and_do_not_show() {
        let (a, b) = (Secret::generate().unwrap(), Secret::generate().unwrap());
        assert!(!a.hash().equals(b.hash().bytes()) && !a.hash().equals(&[]));
        assert_eq!(format!("{a:?}"), "Secret(..)");
    }
}
