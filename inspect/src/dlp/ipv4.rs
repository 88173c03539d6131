//! IPv4 addresses. Rarely a person, often a version number: low confidence.

use std::net::Ipv4Addr;

use super::{
    Class,
    detector::{Detector, Match, Subject, Trigger},
};

pub(crate) static DETECTOR: Detector =
    Detector { id: "ipv4_address", class: Class::Pii, trigger: Trigger::Digits, check };

const LONGEST: usize = "255.255.255.255".len();

fn check(text: &Subject<'_>, at: usize) -> Option<Match> {
    if text.before(at).is_some_and(|b| b.is_ascii_alphanumeric() || b"._-/@".contains(&b)) {
        return None;
    }
    let run = text.run(at, LONGEST + 1, |b| b.is_ascii_digit() || b == b'.');
    let address = run.strip_suffix(b".").unwrap_or(run);
    let end = at + address.len();
    let parsed: Ipv4Addr = std::str::from_utf8(address).ok()?.parse().ok()?;
    let goes_on =
        text.bytes.get(at + run.len()).is_some_and(|b| b.is_ascii_alphanumeric() || b"-_".contains(b));
    let nobody =
        parsed.is_loopback() || parsed.is_unspecified() || parsed.is_broadcast() || parsed.octets()[0] == 0;
    if goes_on || nobody || text.context(at, &["version", "release"]) {
        return None;
    }
    Some(Match {
        start: at,
        end,
        confidence: 0.3,
        validated: false,
        redacted: format!("{}.*.*.*", parsed.octets()[0]),
    })
}
