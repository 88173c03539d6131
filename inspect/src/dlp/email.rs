//! E-mail addresses, as people write them (a subset of RFC 5321).

use super::{
    Class,
    detector::{Detector, Match, Subject, Trigger},
};

pub(crate) static DETECTOR: Detector =
    Detector { id: "email", class: Class::Pii, trigger: Trigger::At, check };

/// RFC 5321 section 4.5.3.1.
const LOCAL: usize = 64;
const DOMAIN: usize = 255;

fn check(text: &Subject<'_>, at: usize) -> Option<Match> {
    let local_byte = |b: &u8| b.is_ascii_alphanumeric() || b"._%+-".contains(b);
    let local =
        text.bytes[at.saturating_sub(LOCAL + 1)..at].iter().rev().take_while(|b| local_byte(b)).count();
    let start = at - local;
    let name = &text.bytes[start..at];
    // `user:pass@host` is an address of a machine.
    let url = matches!(text.before(start), Some(b':' | b'/'));
    if name.is_empty()
        || local > LOCAL
        || name[0] == b'.'
        || name.ends_with(b".")
        || url && !mailto(text, start)
    {
        return None;
    }
    let domain = text.run(at + 1, DOMAIN, |b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-'));
    let domain = trim_end(domain);
    let mut labels = domain.rsplit(|&b| b == b'.');
    let top = labels.next()?;
    let named = (2..=24).contains(&top.len()) && top.iter().all(u8::is_ascii_alphabetic);
    let mut labels = labels.peekable();
    let shaped = labels.peek().is_some()
        && labels.all(|l| !l.is_empty() && l.len() <= 63 && !l.starts_with(b"-") && !l.ends_with(b"-"));
    // Not the package@version and file@2x.png of developers.
    let file = matches!(top, b"png" | b"jpg" | b"jpeg" | b"gif" | b"svg" | b"webp");
    // `git@host:path` is a place.
    let login = name == b"git";
    (named && shaped && !file && !login).then(|| Match {
        start,
        end: at + 1 + domain.len(),
        confidence: 0.9,
        validated: false,
        redacted: format!("{}@{}", "*".repeat(name.len().min(8)), String::from_utf8_lossy(domain)),
    })
}

fn mailto(text: &Subject<'_>, start: usize) -> bool {
    let before = &text.bytes[..start];
    // `to:someone@example.com` too: a word, a colon, no slashes.
    before.ends_with(b"mailto:") || (before.ends_with(b":") && !text.context(start, &["http", "ftp", "ssh"]))
}

/// A sentence may end right after the domain.
fn trim_end(domain: &[u8]) -> &[u8] {
    let length = domain.iter().rposition(|b| b.is_ascii_alphanumeric()).map_or(0, |at| at + 1);
    &domain[..length]
}
