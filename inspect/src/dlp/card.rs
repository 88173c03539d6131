//! Payment card numbers (ISO/IEC 7812): brand ranges and the Luhn digit.

use super::{
    Class,
    detector::{Detector, Match, Subject, Trigger},
    redact::mask,
};

pub(crate) static DETECTOR: Detector =
    Detector { id: "payment_card", class: Class::Financial, trigger: Trigger::Digits, check };

const SHORTEST: usize = 12;
const LONGEST: usize = 19;

fn check(text: &Subject<'_>, at: usize) -> Option<Match> {
    if text.before(at).is_some_and(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'+')) {
        return None;
    }
    // The last part of a decimal, or of a longer identifier (a UUID).
    if matches!(text.before(at), Some(b'.' | b'-')) && at >= 2 && text.bytes[at - 2].is_ascii_alphanumeric() {
        return None;
    }
    let (digits, length, grouped) = number(text, at)?;
    let number = &digits[..length];
    if !branded(number) || !luhn(number) {
        return None;
    }
    let end = at + span(text, at, length);
    let named = text.context(at, &["card", "credit", "debit", "visa", "amex", "mastercard", "pan"]);
    Some(Match {
        start: at,
        end,
        // One number in ten has a right Luhn digit; the usual lengths are the likely cards.
        confidence: if named || grouped {
            0.95
        } else if matches!(length, 15 | 16) {
            0.85
        } else {
            0.6
        },
        validated: true,
        redacted: mask(&text.bytes[at..end], 0, 4),
    })
}

/// Digits in groups joined by one kind of separator, or in one run; and whether there were groups. `None` when it is
/// not a card's length, or goes on.
fn number(text: &Subject<'_>, at: usize) -> Option<([u8; LONGEST], usize, bool)> {
    let mut digits = [0; LONGEST];
    let mut length = 0;
    let mut separator = None;
    let mut group = 0;
    let mut position = at;
    while let Some(&byte) = text.bytes.get(position) {
        if byte.is_ascii_digit() {
            *digits.get_mut(length)? = byte - b'0';
            length += 1;
            group += 1;
        } else if matches!(byte, b' ' | b'-')
            && text.bytes.get(position + 1).is_some_and(u8::is_ascii_digit)
            && separator.is_none_or(|known| known == byte)
        {
            // Groups as printed on cards: 4-4-4-4, 4-6-5, 4-6-4.
            if !(4..=6).contains(&group) || (separator.is_none() && group != 4) {
                break;
            }
            separator = Some(byte);
            group = 0;
        } else {
            break;
        }
        position += 1;
    }
    let after = text.bytes.get(position).copied();
    let goes_on = after.is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_')
        || (matches!(after, Some(b'.' | b'-'))
            && text.bytes.get(position + 1).is_some_and(u8::is_ascii_digit));
    ((SHORTEST..=LONGEST).contains(&length) && !goes_on).then_some((digits, length, separator.is_some()))
}

/// Bytes from `at` that hold so many digits.
fn span(text: &Subject<'_>, at: usize, length: usize) -> usize {
    let mut digits = 0;
    text.bytes[at..]
        .iter()
        .take_while(|b| {
            let more = digits < length;
            digits += usize::from(b.is_ascii_digit());
            more
        })
        .count()
}

/// Issuer ranges in use, with their lengths.
fn branded(number: &[u8]) -> bool {
    let prefix = |digits: usize| number[..digits].iter().fold(0u32, |sum, &d| sum * 10 + u32::from(d));
    let length = number.len();
    match (prefix(2), prefix(4)) {
        // Visa
        (40..=49, _) => matches!(length, 13 | 16 | 19),
        // Mastercard
        (51..=55, _) | (_, 2221..=2720) => length == 16,
        // American Express
        (34 | 37, _) => length == 15,
        // JCB
        (_, 3528..=3589) => (16..=19).contains(&length),
        // Diners Club
        (36 | 38 | 39, _) | (30, 3000..=3059 | 3095) => (14..=19).contains(&length),
        // Discover, UnionPay
        (65 | 62, _) | (_, 6011 | 6440..=6499) => (16..=19).contains(&length),
        // Maestro
        (50 | 56..=58, _) | (_, 6304 | 6390 | 6759 | 6761..=6763) => (12..=19).contains(&length),
        _ => false,
    }
}

fn luhn(number: &[u8]) -> bool {
    let sum: u32 = number
        .iter()
        .rev()
        .enumerate()
        .map(|(i, &d)| {
            let d = u32::from(d) << (i % 2);
            if d > 9 { d - 9 } else { d }
        })
        .sum();
    sum.is_multiple_of(10)
}
