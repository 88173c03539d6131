//! Heads: where one ends, and what it says about the body.

use crate::mcp::{HttpContext, ResponseContext};

/// Collects one head that arrives in pieces.
#[derive(Debug, Default)]
pub(crate) struct HeadBuf {
    held: Vec<u8>,
    /// Bytes of `held` searched for the end.
    searched: usize,
}

/// Outcome of feeding a head.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// All bytes taken, no end yet.
    More,
    /// The head is complete in [`HeadBuf::take`]; so many bytes of the piece belong to it.
    Complete(usize),
    /// No end within the cap; so many bytes of the piece were taken.
    TooLong(usize),
}

impl HeadBuf {
    /// A head whose beginning was found while looking for one.
    pub(crate) fn starting_with(start: &[u8]) -> Self {
        Self { held: start.to_vec(), searched: 0 }
    }

    pub(crate) fn buffered(&self) -> usize {
        self.held.capacity()
    }

    pub(crate) fn len(&self) -> usize {
        self.held.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Never holds more than `cap` bytes.
    pub(crate) fn push(&mut self, bytes: &[u8], cap: usize) -> Progress {
        const STEP: usize = 4 << 10;
        let mut taken = 0;
        loop {
            if let Some(end) = self.end() {
                let extra = self.held.len() - end;
                self.held.truncate(end);
                return Progress::Complete(taken - extra.min(taken));
            }
            let rest = &bytes[taken..];
            if rest.is_empty() {
                return Progress::More;
            }
            let step = rest.len().min(STEP).min(cap.saturating_sub(self.held.len()));
            if step == 0 {
                return Progress::TooLong(taken);
            }
            self.held.extend_from_slice(&rest[..step]);
            taken += step;
        }
    }

    /// One past the empty line; a bare LF ends a line (RFC 9112 section 2.2).
    fn end(&mut self) -> Option<usize> {
        let mut from = self.searched;
        while let Some(found) = memchr::memchr(b'\n', &self.held[from..]) {
            let at = from + found;
            match &self.held[at + 1..] {
                [b'\n', ..] => return Some(at + 2),
                [b'\r', b'\n', ..] => return Some(at + 3),
                [] | [b'\r'] => {
                    self.searched = at;
                    return None;
                }
                _ => from = at + 1,
            }
        }
        self.searched = self.held.len();
        None
    }

    pub(crate) fn take(&mut self) -> Vec<u8> {
        self.searched = 0;
        std::mem::take(&mut self.held)
    }
}

/// How a body is framed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Length {
    Exactly(u64),
    Chunked,
    /// Ends with the connection.
    UntilClose,
    /// No message follows on this connection that this crate reads.
    Upgraded,
}

/// What kind of content a body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    Json,
    EventStream,
    Text,
    /// `application/x-www-form-urlencoded`: what curl and others send unless told otherwise.
    Form,
    /// No `Content-Type`.
    Unnamed,
    /// `application/octet-stream`: anything.
    Octets,
    /// Media and archives.
    Binary,
}

/// Headers both kinds of head have.
#[derive(Debug)]
struct Common {
    length: Option<u64>,
    chunked: bool,
    encoded: bool,
    content: Content,
    /// Contradictory framing headers: nothing after the head can be trusted.
    broken: bool,
}

#[derive(Debug)]
pub(crate) struct RequestHead {
    pub(crate) context: HttpContext,
    pub(crate) length: Length,
    pub(crate) encoded: bool,
    pub(crate) content: Content,
    /// HEAD: the response has no body whatever its headers say.
    pub(crate) bodiless: bool,
    pub(crate) connect: bool,
}

#[derive(Debug)]
pub(crate) struct ResponseHead {
    pub(crate) context: ResponseContext,
    pub(crate) length: Length,
    pub(crate) encoded: bool,
    pub(crate) content: Content,
    /// 1xx other than 101: the final response is still to come.
    pub(crate) interim: bool,
}

pub(crate) fn parse_request(bytes: &[u8]) -> Option<RequestHead> {
    let mut headers = header_slots(bytes);
    let mut request = httparse::Request::new(&mut headers);
    let mut config = httparse::ParserConfig::default();
    config.allow_multiple_spaces_in_request_line_delimiters(true).ignore_invalid_headers_in_requests(true);
    config.parse_request(&mut request, bytes).ok()?.is_complete().then_some(())?;
    let method = request.method?;
    let mut context =
        HttpContext { http_method: Some(crate::mcp::clip(method.to_owned())), ..HttpContext::default() };
    context.target(request.path?);
    if method == "CONNECT" {
        context.host = context.path.take();
    }
    for header in request.headers.iter() {
        context.header(header.name, String::from_utf8_lossy(header.value).trim());
    }
    let common = Common::read(request.headers);
    if common.broken {
        return None;
    }
    let length = if common.chunked { Length::Chunked } else { Length::Exactly(common.length.unwrap_or(0)) };
    let (bodiless, connect) = (method == "HEAD", method == "CONNECT");
    Some(RequestHead { context, length, encoded: common.encoded, content: common.content, bodiless, connect })
}

/// `bodiless`: the request was HEAD. `connect`: it was CONNECT.
pub(crate) fn parse_response(bytes: &[u8], bodiless: bool, connect: bool) -> Option<ResponseHead> {
    let mut headers = header_slots(bytes);
    let mut response = httparse::Response::new(&mut headers);
    let mut config = httparse::ParserConfig::default();
    config
        .allow_multiple_spaces_in_response_status_delimiters(true)
        .allow_spaces_after_header_name_in_responses(true)
        .allow_obsolete_multiline_headers_in_responses(true)
        .ignore_invalid_headers_in_responses(true);
    config.parse_response(&mut response, bytes).ok()?.is_complete().then_some(())?;
    let status = response.code?;
    let mut context = ResponseContext { status, ..ResponseContext::default() };
    for header in response.headers.iter() {
        let value = || Some(crate::mcp::clip(String::from_utf8_lossy(header.value).trim().to_owned()));
        if header.name.eq_ignore_ascii_case("mcp-session-id") {
            context.session = value();
        } else if header.name.eq_ignore_ascii_case("mcp-protocol-version") {
            context.version = value();
        }
    }
    let common = Common::read(response.headers);
    let length = match status {
        101 => Length::Upgraded,
        200..=299 if connect => Length::Upgraded,
        100..=199 | 204 | 304 => Length::Exactly(0),
        _ if bodiless => Length::Exactly(0),
        _ if common.broken => return None,
        _ if common.chunked => Length::Chunked,
        _ => common.length.map_or(Length::UntilClose, Length::Exactly),
    };
    Some(ResponseHead {
        context,
        length,
        encoded: common.encoded,
        content: common.content,
        interim: (100..200).contains(&status) && status != 101,
    })
}

/// As many as the head has lines: a head full of headers must not hide one.
fn header_slots(bytes: &[u8]) -> Vec<httparse::Header<'_>> {
    vec![httparse::EMPTY_HEADER; memchr::memchr_iter(b'\n', bytes).count()]
}

impl Common {
    fn read(headers: &[httparse::Header<'_>]) -> Self {
        let mut common =
            Self { length: None, chunked: false, encoded: false, content: Content::Unnamed, broken: false };
        for header in headers {
            let value = String::from_utf8_lossy(header.value).trim().to_ascii_lowercase();
            let is = |name: &str| header.name.eq_ignore_ascii_case(name);
            if is("content-length") {
                common.content_length(&value);
            } else if is("transfer-encoding") {
                for coding in value.split(',').map(str::trim).filter(|c| !c.is_empty()) {
                    match coding {
                        "chunked" => common.chunked = true,
                        "identity" => {}
                        _ => common.encoded = true,
                    }
                }
            } else if is("content-encoding") {
                common.encoded |= !matches!(&*value, "" | "identity");
            } else if is("content-type") {
                common.content = content(&value);
            }
        }
        common
    }

    /// Equal values given twice are one value (RFC 9112 section 6.3).
    fn content_length(&mut self, value: &str) {
        for part in value.split(',').map(str::trim) {
            let digits = !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
            match part.parse::<u64>() {
                Ok(length) if digits && self.length.is_none_or(|known| known == length) => {
                    self.length = Some(length)
                }
                _ => self.broken = true,
            }
        }
    }
}

/// TypeScript servers look for `application/json` anywhere in the value, so does this.
fn content(value: &str) -> Content {
    if value.contains("json") {
        Content::Json
    } else if value.starts_with("text/event-stream") {
        Content::EventStream
    } else if value.starts_with("application/x-www-form-urlencoded") {
        Content::Form
    } else if value.starts_with("application/octet-stream") {
        Content::Octets
    } else if ["text/", "multipart/"].iter().any(|t| value.starts_with(t))
        || value.contains("xml")
        || value.contains("yaml")
    {
        Content::Text
    } else if value.is_empty() {
        Content::Unnamed
    } else {
        Content::Binary
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn end_of_head_in_any_pieces() {
        for head in ["GET / HTTP/1.1\r\nA: b\r\n\r\n", "GET / HTTP/1.1\nA: b\n\n"] {
            let stream = format!("{head}body");
            for piece in 1..stream.len() {
                let mut buf = HeadBuf::default();
                let mut at = 0;
                for bytes in stream.as_bytes().chunks(piece) {
                    match buf.push(bytes, 100) {
                        Progress::More => at += bytes.len(),
                        Progress::Complete(taken) => {
                            assert_eq!(at + taken, head.len());
                            break;
                        }
                        Progress::TooLong(_) => panic!(),
                    }
                }
                assert_eq!(buf.take(), head.as_bytes());
            }
        }
    }

    #[test]
    fn framing() {
        for (headers, want) in [
            ("Content-Length: 5", Some(Length::Exactly(5))),
            ("Content-Length: 5, 5", Some(Length::Exactly(5))),
            ("Content-Length: 5\r\nContent-Length: 6", None),
            ("Content-Length: +5", None),
            ("Transfer-Encoding: Chunked\r\nContent-Length: 3", Some(Length::Chunked)),
            ("Accept: */*", Some(Length::Exactly(0))),
        ] {
            let head = format!("POST / HTTP/1.1\r\n{headers}\r\n\r\n");
            assert_eq!(parse_request(head.as_bytes()).map(|h| h.length), want, "{headers}");
        }
        for (status, bodiless, want) in [
            (200, false, Length::UntilClose),
            (200, true, Length::Exactly(0)),
            (204, false, Length::Exactly(0)),
            (101, false, Length::Upgraded),
            (100, false, Length::Exactly(0)),
        ] {
            let head = format!("HTTP/1.1 {status} X\r\n\r\n");
            assert_eq!(parse_response(head.as_bytes(), bodiless, false).map(|h| h.length), Some(want));
        }
    }

    #[test]
    fn a_thousand_headers_hide_nothing() {
        let head = format!("POST /x HTTP/1.1\r\n{}MCP-Method: ping\r\n\r\n", "A: b\r\n".repeat(1000));
        assert_eq!(parse_request(head.as_bytes()).unwrap().context.mcp_method.as_deref(), Some("ping"));
    }
}
