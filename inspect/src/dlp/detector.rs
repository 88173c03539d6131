//! What a detector is made of.

use super::{Class, Finding};

/// One kind of data.
#[derive(Debug)]
pub(crate) struct Detector {
    pub(crate) id: &'static str,
    pub(crate) class: Class,
    pub(crate) trigger: Trigger,
    /// Looks at the place a trigger points to.
    pub(crate) check: fn(&Subject<'_>, usize) -> Option<Match>,
}

/// What makes a place worth a look.
#[derive(Debug)]
pub(crate) enum Trigger {
    /// One of these texts begins here.
    Literals(&'static [&'static str]),
    /// An `@` is here.
    At,
    /// A run of digits begins here.
    Digits,
}

/// A text under search.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subject<'a> {
    pub(crate) bytes: &'a [u8],
    /// Name of the member or header that holds it.
    pub(crate) name: &'a str,
}

/// What a check confirms.
#[derive(Debug, PartialEq)]
pub(crate) struct Match {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) confidence: f64,
    pub(crate) validated: bool,
    pub(crate) redacted: String,
}

/// A match and who made it.
#[derive(Debug)]
pub(crate) struct Hit {
    pub(crate) detector: &'static str,
    pub(crate) class: Class,
    pub(crate) found: Match,
}

impl Hit {
    pub(crate) fn new(detector: &Detector, found: Match) -> Self {
        Self { detector: detector.id, class: detector.class, found }
    }

    pub(crate) fn report(self, where_: String) -> Finding {
        Finding {
            detector: self.detector,
            class: self.class,
            start: self.found.start as u64,
            end: self.found.end as u64,
            where_,
            confidence: self.found.confidence,
            validated: self.found.validated,
            redacted: self.found.redacted,
        }
    }
}

/// Bytes before a match in which a context word counts.
const CONTEXT: usize = 48;

impl<'a> Subject<'a> {
    /// The byte before `at`.
    pub(crate) fn before(&self, at: usize) -> Option<u8> {
        at.checked_sub(1).map(|at| self.bytes[at])
    }

    /// The bytes from `at` that `belongs` accepts, at most `most`.
    pub(crate) fn run(&self, at: usize, most: usize, belongs: impl Fn(u8) -> bool) -> &'a [u8] {
        let rest = self.bytes.get(at..).unwrap_or_default();
        let length = rest.iter().take(most).position(|&b| !belongs(b)).unwrap_or(rest.len().min(most));
        &rest[..length]
    }

    /// Whether one of the words stands shortly before `at`, or in the name. Words in lower case, without separators:
    /// `card_number`, `Card number` and `cardNumber` all contain `cardnumber`.
    pub(crate) fn context(&self, at: usize, words: &[&str]) -> bool {
        let near = squeeze(&self.bytes[at.saturating_sub(CONTEXT)..at]);
        let name = squeeze(&self.name.as_bytes()[..self.name.len().min(CONTEXT)]);
        words.iter().any(|word| name.contains(word) || near.contains(word))
    }
}

fn squeeze(bytes: &[u8]) -> String {
    bytes.iter().filter(|b| b.is_ascii_alphanumeric()).map(|b| b.to_ascii_lowercase() as char).collect()
}

/// Letters, digits, `_` and `-`: the alphabet of most tokens, and of base64url.
pub(crate) fn token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

/// Whether a candidate is a placeholder (`xxxxxxxx`, `0000`) and no key: too few different bytes for its length.
pub(crate) fn placeholder(bytes: &[u8]) -> bool {
    let mut seen = [false; 256];
    bytes.iter().for_each(|&b| seen[usize::from(b)] = true);
    seen.iter().filter(|&&s| s).count() * 4 < bytes.len().min(32)
}
