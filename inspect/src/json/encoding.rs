//! Character encodings of a whole JSON text.

use std::borrow::Cow;

/// The text as UTF-8, without a byte order mark. JSON is UTF-8 (RFC 8259 section 8.1), but CPython's `json.loads`
/// accepts UTF-16 and a mcp-py 1.x server acts on it, so a detector has to read it.
pub(crate) fn to_utf8(bytes: &[u8]) -> Cow<'_, [u8]> {
    match bytes {
        [0xef, 0xbb, 0xbf, rest @ ..] => Cow::Borrowed(rest),
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
        [b'{' | b'[' | b' ' | b'\n', 0, ..] => utf16(bytes, u16::from_le_bytes),
        [0, b'{' | b'[' | b' ' | b'\n', ..] => utf16(bytes, u16::from_be_bytes),
        _ => Cow::Borrowed(bytes),
    }
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Cow<'static, [u8]> {
    let (pairs, _) = bytes.as_chunks::<2>();
    let text: String = char::decode_utf16(pairs.iter().map(|&pair| unit(pair)))
        .map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect();
    Cow::Owned(text.into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_utf16_with_and_without_mark() {
        let little: Vec<u8> = "{\"é\":1}".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = "\u{feff}{\"é\":1}".encode_utf16().flat_map(u16::to_be_bytes).collect();
        for bytes in [&little, &big, &"\u{feff}{\"é\":1}".as_bytes().to_vec()] {
            assert_eq!(to_utf8(bytes), "{\"é\":1}".as_bytes());
        }
    }
}
