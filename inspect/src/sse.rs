//! Server-sent events (HTML standard, section 9.2), fed in pieces.

use crate::message_buf::{Complete, MessageBuf};

/// Splits a stream into events.
#[derive(Debug)]
pub(crate) struct Sse {
    line: MessageBuf,
    data: Vec<u8>,
    /// `data` was over the cap by this many bytes.
    over: u64,
    endpoint: bool,
    has_data: bool,
    /// The last byte was CR: an LF now belongs to it.
    after_cr: bool,
    /// No line was seen yet, so a byte order mark may come.
    first: bool,
    cap: usize,
}

/// What an event stream gives.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Event<'a> {
    /// The data of one event, lines joined by LF.
    Data(&'a [u8]),
    /// The data of an event named `endpoint`.
    Endpoint(&'a [u8]),
    /// The beginning of an event's data, which is over the cap by so many bytes.
    Cut(&'a [u8], u64),
}

impl Sse {
    pub(crate) fn new(cap: usize) -> Self {
        Self {
            line: MessageBuf::new(cap),
            data: Vec::new(),
            over: 0,
            endpoint: false,
            has_data: false,
            after_cr: false,
            first: true,
            cap,
        }
    }

    pub(crate) fn buffered(&self) -> usize {
        self.line.buffered() + self.data.capacity()
    }

    pub(crate) fn push(&mut self, mut bytes: &[u8], visit: &mut impl FnMut(Event<'_>)) {
        while let Some(&first) = bytes.first() {
            if std::mem::take(&mut self.after_cr) && first == b'\n' {
                bytes = &bytes[1..];
                continue;
            }
            let Some(end) = memchr::memchr2(b'\n', b'\r', bytes) else {
                self.line.push(bytes);
                return;
            };
            self.after_cr = bytes[end] == b'\r';
            self.line(&bytes[..end], visit);
            bytes = &bytes[end + 1..];
        }
    }

    /// The stream ends. The standard drops an event without its blank line; a client that does not would act on it,
    /// so it counts.
    pub(crate) fn finish(&mut self, visit: &mut impl FnMut(Event<'_>)) {
        self.line(b"", visit);
        self.dispatch(visit);
    }

    /// Bytes were lost: what has begun is dropped. Returns how many bytes that were.
    pub(crate) fn gap(&mut self) -> u64 {
        let dropped = self.line.total() + self.data.len() as u64 + self.over;
        *self = Self::new(self.cap);
        dropped
    }

    fn line(&mut self, last: &[u8], visit: &mut impl FnMut(Event<'_>)) {
        // Taken out so that the line may borrow it while `self` changes.
        let mut buf = std::mem::replace(&mut self.line, MessageBuf::new(self.cap));
        match buf.complete(last) {
            Complete::Whole(line) => {
                let first = std::mem::take(&mut self.first);
                let line = if first { line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line) } else { line };
                if line.is_empty() {
                    self.dispatch(visit);
                } else {
                    self.field(line);
                }
            }
            Complete::Over { bytes, beginning } => {
                self.first = false;
                self.field(beginning);
                self.over += bytes;
            }
        }
        buf.clear();
        self.line = buf;
    }

    fn field(&mut self, line: &[u8]) {
        let (name, value) = match memchr::memchr(b':', line) {
            Some(colon) => (&line[..colon], &line[colon + 1..]),
            None => (line, &[][..]),
        };
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match name {
            b"data" => {
                if self.has_data {
                    self.append(b"\n");
                }
                self.has_data = true;
                self.append(value);
            }
            b"event" => self.endpoint = value == b"endpoint",
            _ => {}
        }
    }

    fn append(&mut self, bytes: &[u8]) {
        let kept = bytes.len().min(self.cap - self.data.len());
        self.data.extend_from_slice(&bytes[..kept]);
        self.over += (bytes.len() - kept) as u64;
    }

    fn dispatch(&mut self, visit: &mut impl FnMut(Event<'_>)) {
        const KEEP: usize = 64 << 10;
        if self.has_data {
            visit(match (self.over, self.endpoint) {
                (0, true) => Event::Endpoint(&self.data),
                (0, false) => Event::Data(&self.data),
                (over, _) => Event::Cut(&self.data, over),
            });
        }
        self.data.clear();
        if self.data.capacity() > KEEP {
            self.data = Vec::new();
        }
        (self.over, self.endpoint, self.has_data) = (0, false, false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(stream: &str, piece: usize) -> Vec<String> {
        let mut sse = Sse::new(32);
        let mut seen = Vec::new();
        let mut visit = |event: Event<'_>| {
            seen.push(match event {
                Event::Data(data) => format!("data {}", String::from_utf8_lossy(data)),
                Event::Endpoint(data) => format!("endpoint {}", String::from_utf8_lossy(data)),
                Event::Cut(data, over) => format!("cut {} {over}", data.len()),
            });
        };
        for bytes in stream.as_bytes().chunks(piece) {
            sse.push(bytes, &mut visit);
        }
        sse.finish(&mut visit);
        seen
    }

    #[test]
    fn line_ends_fields_and_comments() {
        let stream = "\u{feff}event: endpoint\r\ndata: /message?sessionId=1\r\n\r\n: ping\n\nid: 4\ndata:a\ndata: b\n\n\
                      event: message\rdata: c\r\rdata: last";
        for piece in 1..stream.len() {
            assert_eq!(
                events(stream, piece),
                ["endpoint /message?sessionId=1", "data a\nb", "data c", "data last"]
            );
        }
    }

    #[test]
    fn long_events_are_cut() {
        let stream = format!("data: {}\n\ndata: x\n\n", "a".repeat(60));
        for piece in [1, 7, 100] {
            assert_eq!(events(&stream, piece), ["cut 26 34", "data x"]);
        }
    }
}
