//! Transport and direction of a connection, and how [`Transport::Auto`] decides.

use serde::{Deserialize, Serialize};

/// How messages are framed on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// Decide from the first bytes: an HTTP start line, JSON lines (a banner may come before them), or text.
    #[default]
    Auto,
    /// HTTP/1.1 carrying JSON bodies and event streams. HTTP/2 is not read; its bytes are counted.
    Http,
    /// One JSON-RPC message per line (pipes, socket pairs).
    Stdio,
    /// Plain text: no messages, only data findings.
    Text,
}

/// Which way bytes travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Client to server.
    #[default]
    Request,
    /// Server to client.
    Response,
}

impl Direction {
    pub(crate) fn index(self) -> usize {
        match self {
            Self::Request => 0,
            Self::Response => 1,
        }
    }

    pub(crate) fn opposite(self) -> Self {
        match self {
            Self::Request => Self::Response,
            Self::Response => Self::Request,
        }
    }
}

/// Framing chosen for one direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    Http,
    Lines,
    Text,
    /// Bytes this crate does not read: TLS, other binary protocols.
    Opaque,
}

/// Longest start line waited for before giving up on HTTP.
const START_LINE: usize = 8 << 10;
const METHODS: [&[u8]; 9] =
    [b"GET ", b"POST ", b"PUT ", b"HEAD ", b"DELETE ", b"OPTIONS ", b"PATCH ", b"TRACE ", b"CONNECT "];

/// Decides from all bytes seen so far, by their first line; `None` asks for more. Monotone: more bytes never change a
/// decision, so the pieces in which the bytes came do not matter.
pub(crate) fn detect(bytes: &[u8]) -> Option<Framing> {
    let bytes = match bytes {
        [0xef, 0xbb, 0xbf, rest @ ..] => rest,
        [0xef] | [0xef, 0xbb] => return None,
        _ => bytes,
    };
    let blank = bytes.iter().take_while(|b| b.is_ascii_whitespace()).count();
    if blank > START_LINE {
        return Some(Framing::Text);
    }
    let bytes = &bytes[blank..];
    let first = *bytes.first()?;
    match first {
        b'{' | b'[' => return Some(Framing::Lines),
        0..=8 | 14..=31 | 127 => return Some(Framing::Opaque),
        _ => {}
    }
    if let Some(decided) = after_prefix(bytes, b"HTTP/1.") {
        return decided.then_some(Framing::Http);
    }
    if let Some(decided) = after_prefix(bytes, b"PRI * HTTP/2.0\r\n") {
        return decided.then_some(Framing::Http);
    }
    let Some(complete) = METHODS.iter().find_map(|m| after_prefix(bytes, m)) else {
        return Some(Framing::Text);
    };
    if !complete {
        return None;
    }
    match memchr::memchr(b'\n', &bytes[..bytes.len().min(START_LINE)]) {
        Some(end) => {
            let line = bytes[..end].trim_ascii_end();
            let http = line.len() > 9 && line[..line.len() - 1].ends_with(b" HTTP/1.");
            Some(if http { Framing::Http } else { Framing::Text })
        }
        None if bytes.len() >= START_LINE => Some(Framing::Text),
        None => None,
    }
}

/// `Some(true)`: starts with the prefix. `Some(false)`: could still become it. `None`: cannot.
fn after_prefix(bytes: &[u8], prefix: &[u8]) -> Option<bool> {
    let known = bytes.len().min(prefix.len());
    (bytes[..known] == prefix[..known]).then_some(known == prefix.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decides_from_the_first_bytes() {
        for (bytes, want) in [
            (&b"POST /mcp HTTP/1.1\r\n"[..], Some(Framing::Http)),
            (b"\r\nGET / HTTP/1.0\n", Some(Framing::Http)),
            (b"HTTP/1.1 200 OK", Some(Framing::Http)),
            (b"GET some milk\n", Some(Framing::Text)),
            (b"POST /mcp HT", None),
            (b"  {\"jsonrpc\"", Some(Framing::Lines)),
            (b"\xef\xbb\xbf[", Some(Framing::Lines)),
            (b"Content-Length: 12\r\n\r\n{}", Some(Framing::Text)),
            (b"PRI * HTTP/2.0\r\n\r\nSM", Some(Framing::Http)),
            (b"\x16\x03\x01", Some(Framing::Opaque)),
            (b"", None),
        ] {
            assert_eq!(detect(bytes), want, "{:?}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn more_bytes_never_change_a_decision() {
        for text in
            ["POST /mcp HTTP/1.1\r\nHost: a\r\n\r\n", "PRIVATE", "GET\n", "HTTP/2 200", "PUT x\nHTTP/1.1"]
        {
            let mut decided = None;
            for end in 0..=text.len() {
                let now = detect(&text.as_bytes()[..end]);
                assert!(decided.is_none() || now == decided, "{text:?} at {end}");
                decided = now;
            }
        }
    }
}
