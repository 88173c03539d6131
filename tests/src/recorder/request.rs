//! Just enough of HTTP/1.1 requests to tell head from body and one request from the next (RFC 9112, sections 2, 6, 7.1).
use anyhow::{Context, Result, bail};

/// A head larger than this is not one of ours.
const MAX_HEAD: usize = 64 * 1024;

/// What a piece of input completed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Head,
    /// This many more body bytes.
    Body(usize),
    /// The request is complete; its body.
    End(Vec<u8>),
}

/// Incremental parser of the request side of one connection.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    input: Vec<u8>,
    body: Vec<u8>,
    state: State,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    #[default]
    Head,
    Length(usize),
    ChunkSize,
    Chunk(usize),
    Trailer,
}

impl Requests {
    /// Takes the next bytes; returns what they completed, in order.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Result<Vec<Event>> {
        self.input.extend_from_slice(bytes);
        let mut events = Vec::new();
        while self.step(&mut events)? {}
        Ok(events)
    }

    /// Whether it made progress.
    fn step(&mut self, events: &mut Vec<Event>) -> Result<bool> {
        match self.state {
            State::Head => self.head(events),
            State::Length(0) => {
                events.push(Event::End(std::mem::take(&mut self.body)));
                self.state = State::Head;
                Ok(true)
            }
            State::Length(left) => {
                Ok(self.take_body(left, events).map(|left| self.state = State::Length(left)).is_some())
            }
            State::Chunk(0) => Ok(self.line().map(|_| self.state = State::ChunkSize).is_some()),
            State::Chunk(left) => {
                Ok(self.take_body(left, events).map(|left| self.state = State::Chunk(left)).is_some())
            }
            State::ChunkSize => {
                let Some(line) = self.line() else { return Ok(false) };
                let digits = line.split(';').next().unwrap_or_default().trim();
                let size =
                    usize::from_str_radix(digits, 16).with_context(|| format!("chunk size {digits:?}"))?;
                self.state = if size == 0 { State::Trailer } else { State::Chunk(size) };
                Ok(true)
            }
            State::Trailer => {
                let Some(line) = self.line() else { return Ok(false) };
                if line.is_empty() {
                    self.state = State::Length(0);
                }
                Ok(true)
            }
        }
    }

    fn head(&mut self, events: &mut Vec<Event>) -> Result<bool> {
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut request = httparse::Request::new(&mut headers);
        let httparse::Status::Complete(length) =
            request.parse(&self.input).context("not an HTTP/1.1 request")?
        else {
            if self.input.len() > MAX_HEAD {
                bail!("request head over {MAX_HEAD} bytes");
            }
            return Ok(false);
        };
        let field = |name: &str| {
            request
                .headers
                .iter()
                .find(|h| h.name.eq_ignore_ascii_case(name))
                .map(|h| String::from_utf8_lossy(h.value).into_owned())
        };
        let chunked = field("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked"));
        self.state = match field("content-length") {
            _ if chunked => State::ChunkSize,
            Some(value) => State::Length(value.parse().with_context(|| format!("content-length {value:?}"))?),
            None => State::Length(0),
        };
        self.input.drain(..length);
        events.push(Event::Head);
        Ok(true)
    }

    fn take_body(&mut self, left: usize, events: &mut Vec<Event>) -> Option<usize> {
        let now = left.min(self.input.len());
        if now == 0 {
            return None;
        }
        self.body.extend(self.input.drain(..now));
        events.push(Event::Body(now));
        Some(left - now)
    }

    fn line(&mut self) -> Option<String> {
        let end = self.input.windows(2).position(|pair| pair == b"\r\n")?;
        let line = String::from_utf8_lossy(&self.input[..end]).into_owned();
        self.input.drain(..end + 2);
        Some(line)
    }
}

#[cfg(test)]
mod tests {
    use super::{Event, Requests};

    const PIPELINED: &[u8] = b"POST /mcp HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello\
        POST /mcp HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n2\r\nde\r\n0\r\n\r\n\
        GET /mcp HTTP/1.1\r\nHost: a\r\n\r\n";

    fn summary(pieces: impl Iterator<Item = Vec<u8>>) -> (usize, usize, Vec<Vec<u8>>) {
        let mut requests = Requests::default();
        let (mut heads, mut body, mut bodies) = (0, 0, Vec::new());
        for event in pieces.flat_map(|piece| requests.feed(&piece).unwrap()) {
            match event {
                Event::Head => heads += 1,
                Event::Body(bytes) => body += bytes,
                Event::End(whole) => bodies.push(whole),
            }
        }
        (heads, body, bodies)
    }

    #[test]
    fn any_split_counts_the_same() {
        let expected = (3, 10, vec![b"hello".to_vec(), b"abcde".to_vec(), Vec::new()]);
        for size in 1..=PIPELINED.len() {
            assert_eq!(summary(PIPELINED.chunks(size).map(<[u8]>::to_vec)), expected, "pieces of {size}");
        }
    }

    #[test]
    fn a_body_that_never_comes_is_not_counted() {
        let head = b"POST / HTTP/1.1\r\nContent-Length: 500\r\n\r\n".to_vec();
        assert_eq!(summary(std::iter::once(head)), (1, 0, Vec::new()));
    }
}
