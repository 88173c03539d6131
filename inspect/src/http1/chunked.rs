//! The chunked transfer coding (RFC 9112 section 7.1), fed in pieces.

/// Position in a chunked body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Chunked {
    /// In the hexadecimal size: value so far and digits seen.
    Size(u64, u8),
    /// After the size, before the end of its line.
    Extension(u64),
    Data(u64),
    /// At the line end that follows the data.
    DataEnd,
    /// In the trailer section; whether the current line is empty so far.
    Trailer(bool),
}

/// What the next bytes are.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step<'a> {
    /// Content.
    Data(&'a [u8]),
    /// The body has ended.
    End,
    /// All bytes were framing.
    More,
    Broken,
}

impl Chunked {
    pub(crate) const START: Self = Self::Size(0, 0);

    /// Takes framing, or content of one chunk, off the front of `bytes`.
    pub(crate) fn step<'a>(&mut self, bytes: &mut &'a [u8]) -> Step<'a> {
        while let Some((&first, rest)) = bytes.split_first() {
            if let Self::Data(left) = *self {
                let length = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                let (data, rest) = bytes.split_at(length);
                *bytes = rest;
                let left = left - length as u64;
                *self = if left == 0 { Self::DataEnd } else { Self::Data(left) };
                return Step::Data(data);
            }
            *bytes = rest;
            let next = match (*self, first) {
                (Self::Size(value, digits), b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') if digits < 15 => {
                    let digit = (first as char).to_digit(16).unwrap_or_default();
                    Self::Size(value << 4 | u64::from(digit), digits + 1)
                }
                (Self::Size(value, 1..), b'\r' | b';' | b' ' | b'\t') => Self::Extension(value),
                (Self::Size(value, 1..) | Self::Extension(value), b'\n') => Self::after_size(value),
                (Self::Extension(value), _) => Self::Extension(value),
                (Self::DataEnd, b'\r') => Self::DataEnd,
                (Self::DataEnd, b'\n') => Self::START,
                (Self::Trailer(true), b'\n') => {
                    *self = Self::START;
                    return Step::End;
                }
                (Self::Trailer(_), b'\n') => Self::Trailer(true),
                (Self::Trailer(empty), b'\r') => Self::Trailer(empty),
                (Self::Trailer(_), _) => Self::Trailer(false),
                _ => return Step::Broken,
            };
            *self = next;
        }
        Step::More
    }

    fn after_size(value: u64) -> Self {
        if value == 0 { Self::Trailer(true) } else { Self::Data(value) }
    }

    /// Passes over lost bytes; false when they reach out of the current chunk, whose end is then unknown.
    pub(crate) fn skip(&mut self, missing: u64) -> bool {
        match *self {
            Self::Data(left) if missing < left => {
                *self = Self::Data(left - missing);
                true
            }
            Self::Data(left) if missing == left => {
                *self = Self::DataEnd;
                true
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(stream: &str, piece: usize) -> (String, Step<'static>) {
        let mut chunked = Chunked::START;
        let mut data = Vec::new();
        for mut bytes in stream.as_bytes().chunks(piece) {
            loop {
                match chunked.step(&mut bytes) {
                    Step::Data(part) => data.extend_from_slice(part),
                    Step::More => break,
                    Step::End => return (String::from_utf8(data).unwrap(), Step::End),
                    Step::Broken => return (String::from_utf8(data).unwrap(), Step::Broken),
                }
            }
        }
        (String::from_utf8(data).unwrap(), Step::More)
    }

    #[test]
    fn extensions_trailers_and_any_pieces() {
        let stream = "1\r\n{\r\n0005;name=\"v\"\r\n\"a\":1\r\n1 \n}\n0\r\nA: b\r\n\r\n";
        for piece in 1..stream.len() {
            assert_eq!(decode(stream, piece), ("{\"a\":1}".to_owned(), Step::End));
        }
    }

    #[test]
    fn broken_framing() {
        for stream in ["x\r\n", "\r\n", "1\r\naXX", "fffffffffffffffff\r\n"] {
            assert_eq!(decode(stream, 1).1, Step::Broken, "{stream}");
        }
    }
}
