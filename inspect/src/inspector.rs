//! One connection, both directions: chooses the framing and feeds it.

use crate::{
    Direction, Item, Limits, Relevance, Transport,
    documents::Documents,
    http1::Http1,
    lines::Lines,
    text::Text,
    transport::{Framing, detect},
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
    Undecided(Vec<u8>),
    /// In [`Inspector::http`], which needs both directions.
    Http,
    Lines(Lines),
    Text(Text),
    Opaque,
}

impl Inspector {
    #[must_use]
    pub fn new(transport: Transport, limits: Limits) -> Self {
        let mut inspector = Self {
            transport,
            documents: Documents::new(limits),
            http: None,
            sides: [Side::Undecided(Vec::new()), Side::Undecided(Vec::new())],
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
        match &mut self.sides[dir.index()] {
            Side::Undecided(first) => {
                let lost = first.len() as u64 + missing;
                first.clear();
                self.documents.lost(dir, crate::Loss::Gap, lost, out);
            }
            Side::Http => {
                if let Some(http) = &mut self.http {
                    http.gap(dir, missing, &mut self.documents, out);
                }
            }
            Side::Lines(lines) => lines.gap(missing),
            Side::Text(text) => {
                text.gap(missing, out);
                self.documents.lost(dir, crate::Loss::Gap, missing, out);
            }
            Side::Opaque => {}
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

    /// Tells that one direction has ended. Reports what only the end completes, and what it cut.
    pub fn finish(&mut self, dir: Direction, out: &mut Vec<Item>) {
        if let Side::Undecided(first) = &mut self.sides[dir.index()] {
            let first = std::mem::take(first);
            self.decide(dir, Framing::Text);
            self.feed(dir, &first, out);
        }
        match &mut self.sides[dir.index()] {
            Side::Undecided(_) | Side::Opaque => {}
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
            Side::Undecided(first) => first.capacity(),
            Side::Lines(lines) => lines.buffered(),
            Side::Text(text) => text.buffered(),
            Side::Http | Side::Opaque => 0,
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
        match &mut self.sides[dir.index()] {
            Side::Undecided(first) => {
                first.extend_from_slice(bytes);
                let Some(framing) = detect(first) else { return };
                let first = std::mem::take(first);
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
            Side::Opaque => self.documents.other(),
        }
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
            Framing::Text if self.transport == Transport::Auto && !limits.search_other => Side::Opaque,
            Framing::Text => Side::Text(Text::new(limits.findings)),
            Framing::Opaque => Side::Opaque,
        };
    }
}
