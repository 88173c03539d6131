//! `gn1.SECRET.FINGERPRINT`: a one-time secret, and the SHA-256 (hexadecimal) of the collector's CA certificate, by
//! which the collector is known before the secret is said to it.

use super::ShipError;

pub(super) struct Token<'a> {
    text: &'a str,
    ca_sha256: [u8; 32],
}

impl<'a> Token<'a> {
    pub(super) fn parse(text: &'a str) -> Result<Self, ShipError> {
        let mut parts = text.split('.');
        let (Some("gn1"), Some(secret), Some(fingerprint), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(ShipError::TokenForm);
        };
        let base64url = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        if secret.is_empty() || !secret.bytes().all(base64url) {
            return Err(ShipError::TokenForm);
        }
        let ca_sha256 = from_hex(fingerprint).ok_or(ShipError::TokenForm)?;
        Ok(Self { text, ca_sha256 })
    }

    pub(super) fn text(&self) -> &str {
        self.text
    }

    pub(super) fn ca_sha256(&self) -> [u8; 32] {
        self.ca_sha256
    }
}

fn from_hex(text: &str) -> Option<[u8; 32]> {
    if text.len() != 64 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let mut bytes = [0; 32];
    for (i, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * i..2 * i + 2], 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_tokens_parse() {
        let good = format!("gn1.c2VjcmV0LXNlY3JldA.{}", "0aF".repeat(21) + "1");
        assert_eq!(Token::parse(&good).unwrap().ca_sha256()[..3], [0x0a, 0xf0, 0xaf]);
        for wrong in [
            "",
            "gn1",
            "gn1..",
            &good[1..],
            &good[..good.len() - 1],
            &format!("{good}.x"),
            &good.replace("gn1", "gn2"),
            &good.replace("c2V", "c2 "),
            &good.replace("0aF", "+aF"),
            &good.replace("0aF", "é"),
        ] {
            assert!(Token::parse(wrong).is_err(), "{wrong}");
        }
    }
}
