//! US social security numbers. There is no check digit; areas never issued are excluded (SSA, since 2011).

use super::{
    Class,
    detector::{Detector, Match, Subject, Trigger},
    redact::mask,
};

pub(crate) static DETECTOR: Detector =
    Detector { id: "us_ssn", class: Class::Pii, trigger: Trigger::Digits, check };

/// Printed in advertisements, never anyone's since.
const PUBLISHED: [&[u8]; 2] = [b"078051120", b"219099999"];

fn check(text: &Subject<'_>, at: usize) -> Option<Match> {
    let outside = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'+' | b'/');
    if text.before(at).is_some_and(outside) {
        return None;
    }
    let run = text.run(at, 10, |b| b.is_ascii_digit());
    let (digits, end): ([u8; 9], usize) = match run.len() {
        9 => (run.try_into().ok()?, at + 9),
        3 => separated(text.bytes.get(at..at + 11)?).map(|digits| (digits, at + 11))?,
        _ => return None,
    };
    let rest = text.bytes.get(end..).unwrap_or_default();
    let sentence_end = matches!(rest, [b'.', after, ..] if !after.is_ascii_digit()) || rest == b".";
    if rest.first().is_some_and(|&b| outside(b)) && !sentence_end {
        return None;
    }
    let named = text.context(at, &["ssn", "socialsecurity", "taxpayer"]);
    let plain = run.len() == 9;
    // Nine digits in a row are anything; only a word makes them a number of this kind.
    (issued(&digits) && (named || !plain)).then(|| Match {
        start: at,
        end,
        confidence: match (named, plain) {
            (true, false) => 0.95,
            (true, true) => 0.8,
            (false, _) => 0.6,
        },
        validated: false,
        redacted: mask(&text.bytes[at..end], 0, 4),
    })
}

/// `123-45-6789`, or with blanks.
fn separated(bytes: &[u8]) -> Option<[u8; 9]> {
    let separator = bytes[3];
    if !matches!(separator, b'-' | b' ') || bytes[6] != separator {
        return None;
    }
    let digits: Vec<u8> =
        bytes.iter().enumerate().filter(|(i, _)| !matches!(i, 3 | 6)).map(|(_, &b)| b).collect();
    digits.iter().all(u8::is_ascii_digit).then(|| digits.try_into().ok()).flatten()
}

fn issued(digits: &[u8; 9]) -> bool {
    let (area, group, serial) = (&digits[..3], &digits[3..5], &digits[5..]);
    area != b"000"
        && area != b"666"
        && area[0] != b'9'
        && group != b"00"
        && serial != b"0000"
        && digits.iter().any(|d| *d != digits[0])
        && !PUBLISHED.contains(&&digits[..])
}
