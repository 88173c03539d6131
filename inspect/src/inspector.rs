//! One connection, both directions: chooses the framing and feeds it.

use crate::{
    Direction, Item, Limits, Loss, Relevance, Transport, beginning::Beginning, documents::Documents,
    http1::Http1, lines::Lines, text::Text, transport::Framing,
};

/// Follows one connection, both directions; pairs responses with their requests.
#[derive(Debug)]
pub struct Inspector {
    transport: Transport,
    documents: Documents,
    http: Option<Box<Http1>>,
    sides: [Side; 2],
    /// Bytes fed, both directions.
    bytes: u64,
}

/// One direction.
#[derive(Debug)]
enum Side {
    /// First bytes, until they show what follows.
    Undecided(Beginning),
    /// In [`Inspector::http`], which needs both directions.
    Http,
    Lines(Lines),
    Text(Text),
    /// Not read. Bytes so far.
    Opaque(u64),
}

impl Inspector {
    #[must_use]
    pub fn new(transport: Transport, limits: Limits) -> Self {
        let mut inspector = Self {
            transport,
            documents: Documents::new(limits),
            http: None,
            sides: [Side::Undecided(Beginning::default()), Side::Undecided(Beginning::default())],
            bytes: 0,
        };
        let framing = match transport {
            Transport::Auto => None,
            Transport::Http => Some(Framing::Http),
            Transport::Stdio => Some(Framing::Lines),
            Transport::Text => Some(Framing::Text),
        };
        if let Some(framing) = framing {
            inspector.decide(Direction::Request, framing);
            inspector.decide(Direction::Response, framing);
        }
        inspector
    }

    /// Feeds bytes of one direction, in order. Items are appended to `out`.
    pub fn push(&mut self, dir: Direction, bytes: &[u8], out: &mut Vec<Item>) {
        self.bytes += bytes.len() as u64;
        self.feed(dir, bytes, out);
    }

    /// Tells that `missing` bytes of one direction were lost here. The message they belong to is dropped and counted;
    /// the next one is found again.
    pub fn gap(&mut self, dir: Direction, missing: u64, out: &mut Vec<Item>) {
        if missing == 0 {
            return;
        }
        if let Side::Undecided(first) = &mut self.sides[dir.index()]
            && first.readable()
        {
            let framing = first.end();
            let first = first.take();
            self.decide(dir, framing);
            self.feed(dir, &first, out);
        }
        match &mut self.sides[dir.index()] {
            Side::Undecided(first) => {
                let lost = first.len() as u64 + missing;
                first.take();
                self.documents.lost(dir, Loss::Gap, lost, out);
            }
            Side::Http => {
                if let Some(http) = &mut self.http {
                    http.gap(dir, missing, &mut self.documents, out);
                }
            }
            Side::Lines(lines) => lines.gap(missing),
            Side::Text(text) => {
                text.gap(missing, out);
                self.documents.lost(dir, Loss::Gap, missing, out);
            }
            Side::Opaque(bytes) => *bytes += missing,
        }
    }

    /// Reports the beginning of an HTTP message that will not be completed, because it was stopped on its way: with
    /// `truncated` set, from as much of the body as came, or from the headers if they prove it. For a stream that
    /// merely ended, [`Self::finish`] counts such a message as cut and reports none: nobody acts on half a request.
    pub fn beginning(&mut self, dir: Direction, out: &mut Vec<Item>) {
        if let (Side::Http, Some(http)) = (&self.sides[dir.index()], &mut self.http) {
            http.beginning(dir, &mut self.documents, out);
        }
    }

    /// Tells that one direction has ended. Reports what only the end completes, what it cut, and the bytes of HTTP/2
    /// if it was that. A request that is cut gives no message, but the data found in it
    /// ([`Item::Findings`], with [`Limits::search_other`]).
    pub fn finish(&mut self, dir: Direction, out: &mut Vec<Item>) {
        let http2 = self.is_http2();
        if let Side::Undecided(first) = &mut self.sides[dir.index()] {
            let framing = if http2 { Framing::Opaque } else { first.end() };
            let first = first.take();
            self.decide(dir, framing);
            self.feed(dir, &first, out);
        }
        match &mut self.sides[dir.index()] {
            Side::Undecided(_) => {}
            Side::Opaque(bytes) => {
                let bytes = std::mem::take(bytes);
                if http2 {
                    self.documents.lost(dir, Loss::Http2, bytes, out);
                }
            }
            Side::Http => {
                if let Some(http) = &mut self.http {
                    http.finish(dir, &mut self.documents, out);
                }
            }
            Side::Lines(lines) => lines.finish(&mut self.documents, out),
            Side::Text(text) => {
                text.finish(out);
                self.documents.other();
            }
        }
    }

    /// Bytes held, for caps over many connections.
    #[must_use]
    pub fn buffered(&self) -> usize {
        let side = |side: &Side| match side {
            Side::Undecided(first) => first.buffered(),
            Side::Lines(lines) => lines.buffered(),
            Side::Text(text) => text.buffered(),
            Side::Http | Side::Opaque(_) => 0,
        };
        self.sides.iter().map(side).sum::<usize>()
            + self.http.as_ref().map_or(0, |http| http.buffered())
            + self.documents.connection.buffered()
    }

    /// What the connection has turned out to be so far.
    #[must_use]
    pub fn relevance(&self) -> Relevance {
        let connection = &self.documents.connection;
        if connection.mcp {
            Relevance::Mcp
        } else if connection.complete {
            Relevance::Other { bytes: self.bytes }
        } else {
            Relevance::Undecided { bytes: self.bytes }
        }
    }

    fn feed(&mut self, dir: Direction, bytes: &[u8], out: &mut Vec<Item>) {
        let http2 = self.is_http2();
        match &mut self.sides[dir.index()] {
            Side::Undecided(first) => {
                let decided = first.push(bytes);
                let Some(framing) = (if http2 { Some(Framing::Opaque) } else { decided }) else { return };
                let first = first.take();
                self.decide(dir, framing);
                self.feed(dir, &first, out);
            }
            Side::Http => {
                if let Some(http) = &mut self.http {
                    http.push(dir, bytes, &mut self.documents, out);
                }
            }
            Side::Lines(lines) => lines.push(bytes, &mut self.documents, out),
            Side::Text(text) => text.push(bytes, out),
            Side::Opaque(total) => {
                *total += bytes.len() as u64;
                self.documents.other();
            }
        }
    }

    /// Whether the client has sent the preface of HTTP/2: what the server sends is not HTTP/1 either.
    fn is_http2(&self) -> bool {
        self.http.as_ref().is_some_and(|http| http.http2())
    }

    /// Each direction decides for itself: a server may print a banner before it speaks JSON, and a client need not
    /// have been seen at all.
    fn decide(&mut self, dir: Direction, framing: Framing) {
        let limits = &self.documents.limits;
        self.sides[dir.index()] = match framing {
            Framing::Http => {
                self.http.get_or_insert_with(|| Box::new(Http1::new()));
                Side::Http
            }
            Framing::Lines => {
                Side::Lines(Lines::new(dir, limits.message_bytes, self.transport == Transport::Auto))
            }
            // Not asked for, only found: other content like any other.
            Framing::Text if self.transport == Transport::Auto && !limits.search_other => Side::Opaque(0),
            Framing::Text => Side::Text(Text::new(limits.findings)),
            Framing::Opaque => Side::Opaque(0),
        };
    }
}
