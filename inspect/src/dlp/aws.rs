//! Amazon Web Services access keys.

use super::{
    Class,
    detector::{Detector, Match, Subject, Trigger, placeholder},
    redact::mask,
};

/// Access key id: `AKIA` (user), `ASIA` (session), `ABIA`, `ACCA`, and 16 characters of base32.
/// Source: IAM user guide, "unique identifiers".
pub(crate) static ACCESS_KEY_ID: Detector = Detector {
    id: "aws_access_key_id",
    class: Class::Secret,
    trigger: Trigger::Literals(&["AKIA", "ASIA", "ABIA", "ACCA"]),
    check: access_key_id,
};

/// Secret access key: 40 characters of base64 without a mark of their own, so only with a name or an id before them.
pub(crate) static SECRET_ACCESS_KEY: Detector = Detector {
    id: "aws_secret_access_key",
    class: Class::Secret,
    trigger: Trigger::Literals(&[
        "AKIA",
        "ASIA",
        "aws_secret",
        "AWS_SECRET",
        "awsSecret",
        "aws secret",
        "AWS secret",
        "AWS Secret",
        "secret_access_key",
        "SECRET_ACCESS_KEY",
        "secretAccessKey",
        "SecretAccessKey",
        "secret access key",
        "Secret Access Key",
        "secret-access-key",
    ]),
    check: secret_access_key,
};

const ID: usize = 20;
const SECRET: usize = 40;
/// How far after its name, or after an access key id, a secret is looked for.
const REACH: usize = 96;

fn access_key_id(text: &Subject<'_>, at: usize) -> Option<Match> {
    if text.before(at).is_some_and(|b| b.is_ascii_alphanumeric()) {
        return None;
    }
    let run = text.run(at, ID + 1, |b| b.is_ascii_alphanumeric());
    let base32 = run.len() == ID && run[4..].iter().all(|b| matches!(b, b'A'..=b'Z' | b'2'..=b'7'));
    (base32 && !placeholder(&run[4..])).then(|| Match {
        start: at,
        end: at + ID,
        confidence: 0.95,
        validated: false,
        redacted: mask(run, 4, 4),
    })
}

fn secret_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'+')
}

fn secret_access_key(text: &Subject<'_>, at: usize) -> Option<Match> {
    let end = (at + REACH).min(text.bytes.len());
    let mut from = at;
    while from < end {
        let run = text.run(from, SECRET + 1, secret_byte);
        if let Some(found) = secret(text, from, run) {
            return Some(found);
        }
        // Past a run longer than a secret, to its end: its rest is not a secret either.
        let long = run.len() > SECRET;
        from += run.len() + 1;
        while long && from <= end && text.bytes.get(from - 1).is_some_and(|&b| secret_byte(b)) {
            from += 1;
        }
    }
    None
}

fn secret(text: &Subject<'_>, at: usize, run: &[u8]) -> Option<Match> {
    let mixed = run.iter().any(u8::is_ascii_uppercase)
        && run.iter().any(u8::is_ascii_lowercase)
        && run.iter().any(u8::is_ascii_digit);
    let padded = text.bytes.get(at + run.len()) == Some(&b'=');
    // Hexadecimal of one case (a SHA-1) is not mixed.
    (run.len() == SECRET && mixed && !padded && !placeholder(run)).then(|| Match {
        start: at,
        end: at + SECRET,
        confidence: 0.85,
        validated: false,
        redacted: mask(run, 0, 4),
    })
}

/// The whole text is a secret, named so by the member that holds it.
pub(crate) fn named_secret(text: &Subject<'_>) -> Option<Match> {
    if text.bytes.len() < SECRET || text.bytes.len() > SECRET + 2 || text.name.is_empty() {
        return None;
    }
    let blank = text.bytes.len() - text.bytes.trim_ascii_start().len();
    let run = text.run(blank, SECRET + 1, secret_byte);
    let named = text.context(0, &["secretaccesskey", "awssecret", "secretkey"]);
    named.then(|| secret(text, blank, run)).flatten()
}
