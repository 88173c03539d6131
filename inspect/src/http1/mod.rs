//! HTTP/1.1 (RFC 9112), both directions of one connection.

mod body;
mod chunked;
mod head;
mod hunt;

use std::{collections::VecDeque, sync::Arc};

use self::{
    body::{Body, Source},
    chunked::{Chunked, Step},
    head::{HeadBuf, Length, Progress},
    hunt::Hunt,
};
use crate::{Direction, Item, Loss, documents::Documents, mcp::HttpContext};

/// The beginning of HTTP/2's connection preface (RFC 9113 section 3.4), which is made to look like a head.
const PREFACE_HEAD: &[u8] = b"PRI * HTTP/2.0\r\n\r\n";

/// Both directions, and the exchanges under way.
#[derive(Debug)]
pub(crate) struct Http1 {
    sides: [Side; 2],
    exchanges: VecDeque<Exchange>,
    next_serial: u64,
    /// Requests or responses may have been lost: their order no longer pairs them.
    unordered: bool,
    /// The client began with the preface of HTTP/2.
    http2: bool,
}

/// A request whose final response has not begun.
#[derive(Debug)]
struct Exchange {
    serial: u64,
    context: Arc<HttpContext>,
    bodiless: bool,
    connect: bool,
    mcp: bool,
}

#[derive(Debug)]
struct Side {
    state: State,
    /// Bytes lost since the last head that was understood, and why.
    lost: Option<(Loss, u64)>,
}

#[derive(Debug)]
enum State {
    Head(HeadBuf),
    Body(Framing, Box<Body>),
    /// Looking for the next head.
    Hunt(Hunt),
    /// Another protocol from here on.
    Upgraded,
    /// HTTP/2. Bytes so far.
    Http2(u64),
}

#[derive(Debug)]
enum Framing {
    Length(u64),
    Chunked(Chunked),
    UntilClose,
}

impl Http1 {
    pub(crate) fn new() -> Self {
        let side = || Side { state: State::Head(HeadBuf::default()), lost: None };
        Self {
            sides: [side(), side()],
            exchanges: VecDeque::new(),
            next_serial: 0,
            unordered: false,
            http2: false,
        }
    }

    pub(crate) fn http2(&self) -> bool {
        self.http2
    }

    pub(crate) fn buffered(&self) -> usize {
        let side = |side: &Side| match &side.state {
            State::Head(head) => head.buffered(),
            State::Body(_, body) => body.buffered(),
            State::Hunt(hunt) => hunt.buffered(),
            State::Upgraded | State::Http2(_) => 0,
        };
        let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        let exchanges = self.exchanges.iter().map(|e| {
            let c = &e.context;
            let texts = [&c.host, &c.path, &c.session, &c.version, &c.mcp_method, &c.mcp_name];
            size_of::<Exchange>() + size_of::<HttpContext>() + texts.into_iter().map(text).sum::<usize>()
        });
        self.sides.iter().map(side).sum::<usize>() + exchanges.sum::<usize>()
    }

    pub(crate) fn push(
        &mut self,
        direction: Direction,
        bytes: &[u8],
        documents: &mut Documents,
        out: &mut Vec<Item>,
    ) {
        let mut bytes = bytes;
        while let Some(&first) = bytes.first() {
            let side = &mut self.sides[direction.index()];
            match &mut side.state {
                State::Upgraded => return,
                State::Http2(total) => {
                    *total += bytes.len() as u64;
                    documents.other();
                    return;
                }
                State::Head(head) => {
                    if head.is_empty() && matches!(first, b'\r' | b'\n') {
                        bytes = &bytes[1..];
                        continue;
                    }
                    match head.push(bytes, documents.limits.head_bytes) {
                        Progress::More => return,
                        Progress::Complete(taken) => {
                            bytes = &bytes[taken..];
                            let head = head.take();
                            self.head(direction, head, documents, out);
                        }
                        Progress::TooLong(taken) => {
                            bytes = &bytes[taken..];
                            let held = head.len() as u64;
                            self.lose(direction, Loss::Head, held);
                        }
                    }
                }
                State::Hunt(hunt) => {
                    let (taken, found) = hunt.push(bytes, direction);
                    bytes = &bytes[taken..];
                    side.count(taken as u64);
                    if let Some(start) = found {
                        side.uncount(start.len() as u64);
                        side.state = State::Head(HeadBuf::starting_with(&start));
                    }
                }
                State::Body(framing, body) => match framing.take(body, &mut bytes, documents, out) {
                    Taken::More => {}
                    Taken::End => self.body_end(direction),
                    Taken::Broken => {
                        documents.lost(direction, Loss::Framing, body.gap(0, out), out);
                        self.lose(direction, Loss::Framing, 0);
                    }
                },
            }
        }
    }

    /// Reports what has come of a request that will not be completed.
    pub(crate) fn beginning(&mut self, direction: Direction, documents: &mut Documents, out: &mut Vec<Item>) {
        if let State::Body(_, body) = &mut self.sides[direction.index()].state {
            body.beginning(documents, out);
        }
    }

    /// `missing` bytes were lost. Inside a body of known length that damages one message; otherwise the place of the
    /// next head is unknown.
    pub(crate) fn gap(
        &mut self,
        direction: Direction,
        missing: u64,
        documents: &mut Documents,
        out: &mut Vec<Item>,
    ) {
        let side = &mut self.sides[direction.index()];
        let lost = match &mut side.state {
            State::Upgraded => return,
            State::Http2(total) => {
                *total += missing;
                return;
            }
            State::Hunt(hunt) => {
                *hunt = Hunt::default();
                side.count(missing);
                return;
            }
            State::Head(head) => head.len() as u64 + missing,
            State::Body(framing, body) => {
                let dropped = body.gap(missing, out);
                if framing.skip(missing) {
                    documents.lost(direction, Loss::Gap, dropped + missing, out);
                    if matches!(framing, Framing::Length(0)) {
                        self.body_end(direction);
                    }
                    return;
                }
                dropped + missing
            }
        };
        self.lose(direction, Loss::Gap, lost);
    }

    pub(crate) fn finish(&mut self, direction: Direction, documents: &mut Documents, out: &mut Vec<Item>) {
        let side = &mut self.sides[direction.index()];
        let cut = match &mut side.state {
            State::Upgraded | State::Hunt(_) => 0,
            State::Http2(total) => {
                documents.lost(direction, Loss::Http2, *total, out);
                0
            }
            State::Head(head) => head.len() as u64,
            State::Body(Framing::UntilClose, body) => {
                body.push(b"", true, documents, out);
                0
            }
            State::Body(_, body) => body.cut(documents, out),
        };
        if let Some((what, bytes)) = side.lost.take() {
            documents.lost(direction, what, bytes, out);
        }
        documents.lost(direction, Loss::EndOfStream, cut, out);
        side.state = State::Head(HeadBuf::default());
    }

    /// The framing is lost: count `bytes`, and look for the next head.
    fn lose(&mut self, direction: Direction, what: Loss, bytes: u64) {
        let side = &mut self.sides[direction.index()];
        side.lost = Some((what, side.lost.map_or(0, |(_, before)| before) + bytes));
        side.state = State::Hunt(Hunt::default());
        self.unordered = true;
    }

    fn head(&mut self, direction: Direction, head: Vec<u8>, documents: &mut Documents, out: &mut Vec<Item>) {
        let read = match direction {
            Direction::Request => self.request_head(head, documents),
            Direction::Response => self.response_head(head, documents),
        };
        match read {
            Ok(state) => {
                let side = &mut self.sides[direction.index()];
                side.state = state;
                if let Some((what, bytes)) = side.lost.take() {
                    documents.lost(direction, what, bytes, out);
                }
            }
            Err(bytes) => self.lose(direction, Loss::Head, bytes),
        }
    }

    /// The error is the length of a head that does not parse.
    fn request_head(&mut self, bytes: Vec<u8>, documents: &mut Documents) -> Result<State, u64> {
        // Later on a connection it would be no preface, and must not hide the requests that follow.
        if bytes == PREFACE_HEAD && self.next_serial == 0 {
            self.response_of_http2();
            documents.other();
            return Ok(State::Http2(bytes.len() as u64));
        }
        let head = head::parse_request(&bytes).ok_or(bytes.len() as u64)?;
        documents.connection.mcp |= head.context.certain();
        let context = Arc::new(head.context);
        let serial = self.next_serial;
        self.next_serial += 1;
        if self.exchanges.len() >= documents.limits.pending_requests {
            self.exchanges.pop_front();
            self.unordered = true;
        }
        self.exchanges.push_back(Exchange {
            serial,
            context: Arc::clone(&context),
            bodiless: head.bodiless,
            connect: head.connect,
            mcp: context.certain(),
        });
        let source = Source {
            direction: Direction::Request,
            http: context,
            response: None,
            exchange: Some(serial),
            exchange_mcp: false,
            legacy_stream: false,
        };
        let body = Body::new(source, bytes, head.length, head.encoded, head.content, documents);
        Ok(body_state(head.length, body))
    }

    /// The server's side of HTTP/2; some of it may have come before the client's preface.
    fn response_of_http2(&mut self) {
        self.http2 = true;
        let side = &mut self.sides[Direction::Response.index()];
        let held = match &side.state {
            State::Head(head) => head.len() as u64,
            State::Hunt(_) => 0,
            // A response is under way, so this is HTTP/1 whatever the client says.
            _ => return,
        };
        let lost = side.lost.take().map_or(0, |(_, bytes)| bytes);
        side.state = State::Http2(held + lost);
    }

    fn response_head(&mut self, bytes: Vec<u8>, documents: &mut Documents) -> Result<State, u64> {
        let exchange = if self.unordered { None } else { self.exchanges.front() };
        let (bodiless, connect) = exchange.map_or((false, false), |e| (e.bodiless, e.connect));
        let head = head::parse_response(&bytes, bodiless, connect).ok_or(bytes.len() as u64)?;
        documents.connection.mcp |= head.context.session.is_some() || head.context.version.is_some();
        if head.interim {
            return Ok(State::Head(HeadBuf::default()));
        }
        let exchange = self.exchanges.pop_front().filter(|_| !self.unordered);
        if head.length == Length::Upgraded {
            self.sides[Direction::Request.index()].state = State::Upgraded;
            documents.other();
            return Ok(State::Upgraded);
        }
        let source = Source {
            direction: Direction::Response,
            http: exchange.as_ref().map(|e| Arc::clone(&e.context)).unwrap_or_default(),
            response: Some(head.context),
            exchange: exchange.as_ref().map(|e| e.serial),
            exchange_mcp: exchange.is_some_and(|e| e.mcp),
            legacy_stream: false,
        };
        let body = Body::new(source, bytes, head.length, head.encoded, head.content, documents);
        if head.length == Length::Exactly(0) {
            documents.other();
        }
        Ok(body_state(head.length, body))
    }

    fn body_end(&mut self, direction: Direction) {
        let state =
            std::mem::replace(&mut self.sides[direction.index()].state, State::Head(HeadBuf::default()));
        let State::Body(_, body) = state else { return };
        if direction == Direction::Response || !body.mcp {
            return;
        }
        let serial = body.source.exchange;
        if let Some(exchange) = self.exchanges.iter_mut().rfind(|e| Some(e.serial) == serial) {
            exchange.mcp = true;
        } else if let State::Body(_, early) = &mut self.sides[Direction::Response.index()].state
            && early.source.exchange == serial
        {
            // The response began before the request had ended.
            early.source.exchange_mcp = true;
        }
    }
}

impl Side {
    fn count(&mut self, bytes: u64) {
        if let Some((_, lost)) = &mut self.lost {
            *lost += bytes;
        }
    }

    fn uncount(&mut self, bytes: u64) {
        if let Some((_, lost)) = &mut self.lost {
            *lost = lost.saturating_sub(bytes);
        }
    }
}

fn body_state(length: Length, body: Body) -> State {
    let framing = match length {
        Length::Exactly(0) | Length::Upgraded => return State::Head(HeadBuf::default()),
        Length::Exactly(length) => Framing::Length(length),
        Length::Chunked => Framing::Chunked(Chunked::START),
        Length::UntilClose => Framing::UntilClose,
    };
    State::Body(framing, Box::new(body))
}

/// What became of some bytes of a body.
enum Taken {
    More,
    End,
    Broken,
}

impl Framing {
    /// Takes content off the front of `bytes`.
    fn take(
        &mut self,
        body: &mut Body,
        bytes: &mut &[u8],
        documents: &mut Documents,
        out: &mut Vec<Item>,
    ) -> Taken {
        match self {
            Self::UntilClose => {
                body.push(std::mem::take(bytes), false, documents, out);
                Taken::More
            }
            Self::Length(left) => {
                let length = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                let (content, rest) = bytes.split_at(length);
                *bytes = rest;
                *left -= length as u64;
                body.push(content, *left == 0, documents, out);
                if *left == 0 { Taken::End } else { Taken::More }
            }
            Self::Chunked(chunked) => match chunked.step(bytes) {
                Step::Data(content) => {
                    body.push(content, false, documents, out);
                    Taken::More
                }
                Step::End => {
                    body.push(b"", true, documents, out);
                    Taken::End
                }
                Step::More => Taken::More,
                Step::Broken => Taken::Broken,
            },
        }
    }

    /// Passes over lost content; false when the end of the body is then unknown.
    fn skip(&mut self, missing: u64) -> bool {
        match self {
            Self::UntilClose => true,
            Self::Length(left) => left.checked_sub(missing).map(|rest| *left = rest).is_some(),
            Self::Chunked(chunked) => chunked.skip(missing),
        }
    }
}
