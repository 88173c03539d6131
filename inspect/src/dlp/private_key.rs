//! Private keys in PEM (RFC 7468) and OpenPGP armour (RFC 9580).

use super::{
    Class,
    detector::{Detector, Match, Subject, Trigger},
};

pub(crate) static DETECTOR: Detector =
    Detector { id: "private_key", class: Class::Secret, trigger: Trigger::Literals(&["-----BEGIN "]), check };

const BEGIN: usize = "-----BEGIN ".len();
const DASHES: &[u8] = b"-----";
/// Longest label, `ENCRYPTED PRIVATE KEY` and the like.
const LABEL: usize = 40;
/// An RSA key of 16384 bits is 13 KiB.
const LONGEST: usize = 16 << 10;
/// Least key material: an Ed25519 key is 64 characters, a cut one may be half of it.
const MATERIAL: usize = 32;

fn check(text: &Subject<'_>, at: usize) -> Option<Match> {
    let label = text.run(at + BEGIN, LABEL, |b| b != b'-');
    let begin_end = at + BEGIN + label.len() + DASHES.len();
    let secret = label.ends_with(b"PRIVATE KEY") || label.ends_with(b"PRIVATE KEY BLOCK");
    if !secret || text.bytes.get(begin_end - DASHES.len()..begin_end)? != DASHES {
        return None;
    }
    let rest = &text.bytes[begin_end..text.bytes.len().min(begin_end + LONGEST)];
    // The next dashes end the key, or show that it was cut: so no byte is looked at for two keys.
    let end = memchr::memmem::find(rest, DASHES);
    let body = &rest[..end.unwrap_or_else(|| material_end(rest))];
    if body.iter().filter(|b| b.is_ascii_alphanumeric()).count() < MATERIAL {
        return None;
    }
    let closing = [b"-----END ", label, DASHES].concat();
    let closed = end.is_some_and(|end| rest[end..].starts_with(&closing));
    let label = String::from_utf8_lossy(label);
    Some(Match {
        start: at,
        end: begin_end + body.len() + if closed { closing.len() } else { 0 },
        confidence: if closed { 0.98 } else { 0.85 },
        validated: closed,
        redacted: format!("-----BEGIN {label}-----***"),
    })
}

fn material_end(rest: &[u8]) -> usize {
    let belongs = |b: &u8| b.is_ascii_alphanumeric() || b.is_ascii_whitespace() || b"+/=\\".contains(b);
    rest.iter().position(|b| !belongs(b)).unwrap_or(rest.len())
}
