//! Strings: raw bytes between quotes, decoded on demand.

use std::borrow::Cow;

/// The inside of a JSON string, escapes not yet decoded.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Text<'a> {
    pub(crate) raw: &'a [u8],
    pub(crate) escaped: bool,
}

impl<'a> Text<'a> {
    /// Decoded bytes: borrowed when there is nothing to decode.
    pub(crate) fn bytes(self) -> Cow<'a, [u8]> {
        if self.escaped { Cow::Owned(unescape(self.raw)) } else { Cow::Borrowed(self.raw) }
    }

    /// Decoded text; bytes that are not UTF-8 become U+FFFD, as in every client's decoder.
    pub(crate) fn to_str(self) -> Cow<'a, str> {
        match self.bytes() {
            Cow::Borrowed(bytes) => String::from_utf8_lossy(bytes),
            Cow::Owned(bytes) => Cow::Owned(match String::from_utf8(bytes) {
                Ok(text) => text,
                Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
            }),
        }
    }

    /// Whether the decoded text equals `other`, without decoding when there are no escapes.
    pub(crate) fn is(self, other: &str) -> bool {
        if self.escaped { *self.bytes() == *other.as_bytes() } else { self.raw == other.as_bytes() }
    }
}

fn unescape(raw: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        out.extend_from_slice(&rest[..at]);
        rest = &rest[at + 1..];
        let Some((&kind, after)) = rest.split_first() else { return out };
        rest = after;
        match kind {
            b'n' => out.push(b'\n'),
            b't' => out.push(b'\t'),
            b'r' => out.push(b'\r'),
            b'b' => out.push(8),
            b'f' => out.push(12),
            b'u' => rest = unescape_unicode(rest, &mut out),
            other => out.push(other),
        }
    }
    out.extend_from_slice(rest);
    out
}

/// Decodes what follows `\u`, a surrogate pair included; returns what is left.
fn unescape_unicode<'a>(rest: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
    let Some(first) = hex4(rest) else { return rest };
    let mut rest = &rest[4..];
    let mut scalar = u32::from(first);
    if (0xd800..0xdc00).contains(&scalar)
        && let Some(second) = rest.strip_prefix(b"\\u").and_then(hex4)
        && (0xdc00..0xe000).contains(&second)
    {
        scalar = 0x10000 + ((scalar - 0xd800) << 10) + (u32::from(second) - 0xdc00);
        rest = &rest[6..];
    }
    let decoded = char::from_u32(scalar).unwrap_or(char::REPLACEMENT_CHARACTER);
    out.extend_from_slice(decoded.encode_utf8(&mut [0; 4]).as_bytes());
    rest
}

fn hex4(bytes: &[u8]) -> Option<u16> {
    let digits = bytes.get(..4)?;
    digits.iter().try_fold(0u16, |sum, &b| Some(sum << 4 | (b as char).to_digit(16)? as u16))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_escapes() {
        for (raw, want) in [
            (r"tools\/list", "tools/list"),
            (r"m\u0065thod", "method"),
            (r#"\"\\\b\f\n\r\t"#, "\"\\\u{8}\u{c}\n\r\t"),
            (r"\ud83d\ude00", "😀"),
            (r"\ud83d!", "\u{fffd}!"),
            (r"\ud83d\u0041", "\u{fffd}A"),
            (r"\u00e9", "é"),
        ] {
            assert_eq!(Text { raw: raw.as_bytes(), escaped: true }.to_str(), want);
        }
    }

    #[test]
    fn bytes_that_are_no_utf8_are_replaced() {
        assert_eq!(Text { raw: b"a\xffb", escaped: false }.to_str(), "a\u{fffd}b");
    }
}
