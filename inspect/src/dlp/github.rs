//! GitHub tokens. Source: "Behind GitHub's new authentication token formats" (2021).

use super::{
    Class,
    detector::{Detector, Match, Subject, Trigger, placeholder, token_byte},
    redact::mask,
};

/// Classic tokens: a prefix, 30 random characters, and a CRC-32 of them in 6 characters of base 62.
pub(crate) static TOKEN: Detector = Detector {
    id: "github_token",
    class: Class::Secret,
    trigger: Trigger::Literals(&["ghp_", "gho_", "ghu_", "ghs_", "ghr_"]),
    check: token,
};

/// Fine-grained personal tokens: `github_pat_`, 22 characters, `_`, 59 characters.
pub(crate) static FINE_GRAINED: Detector = Detector {
    id: "github_fine_grained_token",
    class: Class::Secret,
    trigger: Trigger::Literals(&["github_pat_"]),
    check: fine_grained,
};

const PREFIX: usize = 4;
const BODY: usize = 36;
const CHECKSUM: usize = 6;

fn token(text: &Subject<'_>, at: usize) -> Option<Match> {
    if text.before(at).is_some_and(token_byte) {
        return None;
    }
    // Newer ghs_ and ghr_ tokens are longer and have no checksum here.
    let body = text.run(at + PREFIX, 255, token_byte);
    if body.len() < BODY || placeholder(body) {
        return None;
    }
    let plain = body.len() == BODY && body.iter().all(u8::is_ascii_alphanumeric);
    let validated = plain && checksum(&body[..BODY - CHECKSUM]) == body[BODY - CHECKSUM..];
    let end = at + PREFIX + body.len();
    Some(Match {
        start: at,
        end,
        confidence: if validated { 0.99 } else { 0.75 },
        validated,
        redacted: mask(&text.bytes[at..end], 3, 4),
    })
}

fn fine_grained(text: &Subject<'_>, at: usize) -> Option<Match> {
    const MARK: usize = "github_pat_".len();
    if text.before(at).is_some_and(token_byte) {
        return None;
    }
    let body = text.run(at + MARK, 128, |b| b.is_ascii_alphanumeric() || b == b'_');
    let shaped = body.len() == 82 && body[22] == b'_';
    (body.len() >= 36 && !placeholder(body)).then(|| Match {
        start: at,
        end: at + MARK + body.len(),
        confidence: if shaped { 0.95 } else { 0.75 },
        validated: false,
        redacted: mask(&text.bytes[at..at + MARK + body.len()], 9, 4),
    })
}

/// CRC-32 (IEEE) in base 62, digits before capitals before small letters, padded with zeros.
fn checksum(body: &[u8]) -> [u8; CHECKSUM] {
    const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut value = crc32(body);
    let mut digits = [b'0'; CHECKSUM];
    for digit in digits.iter_mut().rev() {
        *digit = ALPHABET[(value % 62) as usize];
        value /= 62;
    }
    digits
}

/// Bit by bit: 30 bytes per candidate do not earn a table.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, &byte| {
        (0..8).fold(
            crc ^ u32::from(byte),
            |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 },
        )
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn crc_check_value() {
        assert_eq!(super::crc32(b"123456789"), 0xcbf4_3926);
    }
}
