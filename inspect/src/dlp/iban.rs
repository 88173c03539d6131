//! International bank account numbers (ISO 13616): length per country, and the remainder by 97.

use super::{
    Class,
    detector::{Detector, Match, Subject, Trigger},
    redact::mask,
};

pub(crate) static DETECTOR: Detector =
    Detector { id: "iban", class: Class::Financial, trigger: Trigger::Digits, check };

/// Country and length, from the IBAN registry (SWIFT, release 99).
const LENGTHS: &[(&[u8; 2], usize)] = &[
    (b"AD", 24),
    (b"AE", 23),
    (b"AL", 28),
    (b"AT", 20),
    (b"AZ", 28),
    (b"BA", 20),
    (b"BE", 16),
    (b"BG", 22),
    (b"BH", 22),
    (b"BI", 27),
    (b"BR", 29),
    (b"BY", 28),
    (b"CH", 21),
    (b"CR", 22),
    (b"CY", 28),
    (b"CZ", 24),
    (b"DE", 22),
    (b"DJ", 27),
    (b"DK", 18),
    (b"DO", 28),
    (b"EE", 20),
    (b"EG", 29),
    (b"ES", 24),
    (b"FI", 18),
    (b"FK", 18),
    (b"FO", 18),
    (b"FR", 27),
    (b"GB", 22),
    (b"GE", 22),
    (b"GI", 23),
    (b"GL", 18),
    (b"GR", 27),
    (b"GT", 28),
    (b"HN", 28),
    (b"HR", 21),
    (b"HU", 28),
    (b"IE", 22),
    (b"IL", 23),
    (b"IQ", 23),
    (b"IS", 26),
    (b"IT", 27),
    (b"JO", 30),
    (b"KW", 30),
    (b"KZ", 20),
    (b"LB", 28),
    (b"LC", 32),
    (b"LI", 21),
    (b"LT", 20),
    (b"LU", 20),
    (b"LV", 21),
    (b"LY", 25),
    (b"MC", 27),
    (b"MD", 24),
    (b"ME", 22),
    (b"MK", 19),
    (b"MN", 20),
    (b"MR", 27),
    (b"MT", 31),
    (b"MU", 30),
    (b"NI", 28),
    (b"NL", 18),
    (b"NO", 15),
    (b"OM", 23),
    (b"PK", 24),
    (b"PL", 28),
    (b"PS", 29),
    (b"PT", 25),
    (b"QA", 29),
    (b"RO", 24),
    (b"RS", 22),
    (b"RU", 33),
    (b"SA", 24),
    (b"SC", 31),
    (b"SD", 18),
    (b"SE", 24),
    (b"SI", 19),
    (b"SK", 24),
    (b"SM", 27),
    (b"SO", 23),
    (b"ST", 25),
    (b"SV", 28),
    (b"TL", 23),
    (b"TN", 24),
    (b"TR", 26),
    (b"UA", 29),
    (b"VA", 22),
    (b"VG", 24),
    (b"XK", 20),
    (b"YE", 30),
];

/// `digits` is where the check digits begin.
fn check(text: &Subject<'_>, digits: usize) -> Option<Match> {
    let at = digits.checked_sub(2)?;
    let country = [text.bytes[at].to_ascii_uppercase(), text.bytes[at + 1].to_ascii_uppercase()];
    let length = LENGTHS.iter().find(|(known, _)| **known == country)?.1;
    if text.before(at).is_some_and(|b| b.is_ascii_alphanumeric()) {
        return None;
    }
    let mut remainder = Remainder::default();
    let mut taken = 0;
    let mut end = at;
    while taken < length {
        let byte = *text.bytes.get(end)?;
        if byte.is_ascii_alphanumeric() {
            if taken >= 4 {
                remainder.add(byte);
            }
            taken += 1;
        } else {
            // Printed in groups of four.
            let between = matches!(byte, b' ' | b'-') && taken > 0 && taken.is_multiple_of(4);
            if !between || !text.bytes.get(end + 1)?.is_ascii_alphanumeric() {
                return None;
            }
        }
        end += 1;
    }
    if text.bytes.get(end).is_some_and(u8::is_ascii_alphanumeric) {
        return None;
    }
    text.bytes[at..at + 4].iter().for_each(|&b| remainder.add(b));
    (remainder.0 == 1).then(|| Match {
        start: at,
        end,
        confidence: 0.97,
        validated: true,
        redacted: mask(&text.bytes[at..end], 2, 4),
    })
}

/// Remainder by 97 of a number read digit by digit; letters are 10 to 35.
#[derive(Default)]
struct Remainder(u32);

impl Remainder {
    fn add(&mut self, byte: u8) {
        let value = (byte as char).to_digit(36).unwrap_or_default();
        self.0 = (self.0 * if value > 9 { 100 } else { 10 } + value) % 97;
    }
}
