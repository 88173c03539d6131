//! Telephone numbers: only in the forms nothing else has, because digits alone are anything.

use super::{
    Class,
    detector::{Detector, Match, Subject, Trigger},
    redact::mask,
};

pub(crate) static DETECTOR: Detector =
    Detector { id: "phone", class: Class::Pii, trigger: Trigger::Digits, check };

/// ITU-T E.164.
const LONGEST: usize = 15;
const WORDS: &[&str] = &["phone", "mobile", "cell", "tel", "fax", "whatsapp", "call"];

fn check(text: &Subject<'_>, at: usize) -> Option<Match> {
    match text.before(at) {
        Some(b'+') => international(text, at),
        _ => american(text, at),
    }
}

/// `+` and 8 to 15 digits, in groups joined by single separators.
fn international(text: &Subject<'_>, at: usize) -> Option<Match> {
    let start = at - 1;
    if text.before(start).is_some_and(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'=')) {
        return None;
    }
    let mut digits = 0;
    let mut end = at;
    for (index, &byte) in text.bytes[at..].iter().enumerate().take(2 * LONGEST) {
        let next = text.bytes.get(at + index + 1);
        match byte {
            b'0'..=b'9' => {
                digits += 1;
                end = at + index + 1;
            }
            b' ' | b'-' | b'.' if next.is_some_and(|b| b.is_ascii_digit() || *b == b'(') => {}
            b'(' if next.is_some_and(u8::is_ascii_digit) => {}
            b')' => {}
            _ => break,
        }
    }
    if !(8..=LONGEST).contains(&digits) || text.bytes[at] == b'0' || goes_on(text, end) {
        return None;
    }
    Some(found(text, start, end, 0.7))
}

/// `(555) 234-5678`, `555-234-5678`, `555.234.5678`; area and exchange do not begin with 0 or 1 (NANP).
fn american(text: &Subject<'_>, at: usize) -> Option<Match> {
    let open = text.before(at) == Some(b'(');
    let start = if open { at - 1 } else { at };
    if text.before(start).is_some_and(|b| b.is_ascii_alphanumeric() || b"-.+/_=".contains(&b)) {
        return None;
    }
    let area = text.run(at, 4, |b| b.is_ascii_digit());
    let mut position = at + 3;
    let first = *text.bytes.get(position)?;
    match (open, first) {
        (true, b')') => position += if text.bytes.get(position + 1) == Some(&b' ') { 2 } else { 1 },
        (false, b'-' | b'.' | b' ') => position += 1,
        _ => return None,
    }
    let exchange = text.run(position, 4, |b| b.is_ascii_digit());
    let separator = *text.bytes.get(position + 3)?;
    let same = open || separator == first;
    let line = text.run(position + 4, 5, |b| b.is_ascii_digit());
    let fits = area.len() == 3
        && exchange.len() == 3
        && line.len() == 4
        && same
        && matches!(separator, b'-' | b'.' | b' ')
        && [area, exchange].iter().all(|part| matches!(part[0], b'2'..=b'9'));
    let end = position + 8;
    let named = text.context(start, WORDS);
    (fits && (named || separator == b'-') && !goes_on(text, end))
        .then(|| found(text, start, end, if named { 0.8 } else { 0.5 }))
}

fn goes_on(text: &Subject<'_>, end: usize) -> bool {
    let rest = text.bytes.get(end..).unwrap_or_default();
    match rest {
        [b, ..] if b.is_ascii_alphanumeric() || *b == b'_' => true,
        [b'-' | b'.', b, ..] => b.is_ascii_digit(),
        _ => false,
    }
}

fn found(text: &Subject<'_>, start: usize, end: usize, confidence: f64) -> Match {
    let named = text.context(start, WORDS);
    Match {
        start,
        end,
        confidence: if named { confidence.max(0.8) } else { confidence },
        validated: false,
        redacted: mask(&text.bytes[start..end], 0, 2),
    }
}
