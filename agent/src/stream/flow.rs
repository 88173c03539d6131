//! One connection as the agent follows it.

use super::order::{Order, Piece};
use gnomon_common::record::TLS_STREAM;
use gnomon_inspect::{Direction, Inspector, Item, Limits, Transport};

/// A connection: what it carries, who uses it, and what became of it.
#[derive(Debug)]
pub struct Flow {
    /// Socket cookie, or TLS stream id.
    pub stream: u64,
    /// Process that opened it; 0 when not known.
    pub tgid: u32,
    /// Cookie of its socket; for TLS known once a record was seen.
    pub cookie: Option<u64>,
    /// The matcher called it unsanctioned and the kernel enforces: nothing of it leaves any more.
    pub denied: bool,
    /// Position in the request direction from which nothing leaves.
    pub stopped_at: Option<u64>,
    /// The kernel said that it dropped a segment.
    pub carried_out: bool,
    /// Whether an event tells of the denial.
    pub reported: bool,
    /// Time of the last record, `CLOCK_MONOTONIC` in nanoseconds.
    pub last: u64,
    inspector: Inspector,
    request: Order,
    response: Order,
}

/// What one record brought.
#[derive(Debug, Default)]
pub struct Heard {
    pub items: Vec<Item>,
    /// Bytes that were lost before it.
    pub gap: u64,
    /// Position after it in its direction.
    pub position: u64,
}

impl Flow {
    pub fn new(stream: u64, tgid: u32) -> Self {
        let tls = stream & TLS_STREAM != 0;
        Self {
            stream,
            tgid,
            cookie: (!tls).then_some(stream),
            denied: false,
            stopped_at: None,
            carried_out: false,
            reported: false,
            last: 0,
            inspector: Inspector::new(Transport::Auto, Limits { search_other: false, ..Limits::default() }),
            request: Order::strict(),
            response: if tls { Order::strict() } else { Order::default() },
        }
    }

    /// Whether this is plaintext of a TLS library.
    pub fn tls(&self) -> bool {
        self.stream & TLS_STREAM != 0
    }

    /// Bytes held for this flow.
    pub fn buffered(&self) -> usize {
        self.inspector.buffered() + self.request.buffered() + self.response.buffered()
    }

    pub fn relevance(&self) -> gnomon_inspect::Relevance {
        self.inspector.relevance()
    }

    /// Takes a record's bytes.
    pub fn push(&mut self, direction: Direction, offset: u64, bytes: &[u8], time: u64) -> Heard {
        self.feed(direction, |order, out| order.push(offset, bytes, time, out))
    }

    /// The connection ended: what is incomplete will stay so. Of a denied request, the beginning is shown.
    pub fn finish(&mut self) -> Heard {
        let mut heard = Heard::default();
        if self.denied && !self.reported {
            self.inspector.beginning(Direction::Request, &mut heard.items);
        }
        for direction in [Direction::Request, Direction::Response] {
            let rest = self.feed(direction, |order, out| order.flush(out));
            heard.gap += rest.gap;
            heard.items.extend(rest.items);
            self.inspector.finish(direction, &mut heard.items);
        }
        heard.position = self.request.position();
        heard
    }

    fn feed(
        &mut self,
        direction: Direction,
        act: impl FnOnce(&mut Order, &mut dyn FnMut(Piece<'_>)),
    ) -> Heard {
        let mut heard = Heard::default();
        let order = match direction {
            Direction::Request => &mut self.request,
            Direction::Response => &mut self.response,
        };
        act(order, &mut |piece| match piece {
            Piece::Bytes(bytes) => self.inspector.push(direction, bytes, &mut heard.items),
            Piece::Gap(missing) => {
                heard.gap += missing;
                self.inspector.gap(direction, missing, &mut heard.items);
            }
        });
        heard.position = order.position();
        heard
    }
}
