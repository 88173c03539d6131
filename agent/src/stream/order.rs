//! Puts the pieces of one direction in order. TLS libraries and senders give them in order; the network may not.

use std::collections::BTreeMap;

/// Bytes that may wait for an earlier piece, and for how long, in nanoseconds. Reordering on a network spans a few
/// segments and a round trip; what comes later is lost.
const MAX_WAITING: usize = 256 << 10;
const MAX_WAIT: u64 = 1_000_000_000;

/// What comes out.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    Bytes(&'a [u8]),
    /// This many bytes will never come.
    Gap(u64),
}

/// One direction.
#[derive(Debug, Default)]
pub(super) struct Order {
    next: u64,
    waiting: BTreeMap<u64, Vec<u8>>,
    waiting_bytes: usize,
    /// Time of the first piece that waits.
    waiting_since: u64,
    /// A later piece means that an earlier one is lost, not late.
    strict: bool,
}

impl Order {
    /// For sources that cannot reorder.
    pub(super) fn strict() -> Self {
        Self { strict: true, ..Self::default() }
    }

    /// Bytes that wait.
    pub(super) fn buffered(&self) -> usize {
        self.waiting_bytes
    }

    /// Position of the next byte in order.
    pub(super) fn position(&self) -> u64 {
        self.next
    }

    /// Takes the piece at `offset`, captured at `time`. Bytes that came before are left out: a retransmission changes
    /// nothing.
    pub(super) fn push(&mut self, offset: u64, bytes: &[u8], time: u64, mut out: impl FnMut(Piece<'_>)) {
        // Positions are relative to the first segment seen. One before it has wrapped around.
        if offset > u64::MAX / 2 {
            return;
        }
        if offset > self.next {
            if self.strict {
                out(Piece::Gap(offset - self.next));
                self.next = offset;
            } else {
                self.wait(offset, bytes, time, out);
                return;
            }
        }
        self.take(offset, bytes, &mut out);
        self.release(&mut out);
    }

    /// Gives up waiting.
    pub(super) fn flush(&mut self, mut out: impl FnMut(Piece<'_>)) {
        while let Some((&offset, _)) = self.waiting.first_key_value() {
            if offset > self.next {
                out(Piece::Gap(offset - self.next));
                self.next = offset;
            }
            self.release(&mut out);
        }
    }

    fn wait(&mut self, offset: u64, bytes: &[u8], time: u64, out: impl FnMut(Piece<'_>)) {
        if self.waiting.is_empty() {
            self.waiting_since = time;
        }
        let longer = self.waiting.get(&offset).is_none_or(|old| old.len() < bytes.len());
        if longer {
            let old = self.waiting.insert(offset, bytes.to_vec()).map_or(0, |old| old.len());
            self.waiting_bytes = self.waiting_bytes + bytes.len() - old;
        }
        if self.waiting_bytes > MAX_WAITING || time.saturating_sub(self.waiting_since) > MAX_WAIT {
            self.flush(out);
        }
    }

    fn take(&mut self, offset: u64, bytes: &[u8], out: &mut impl FnMut(Piece<'_>)) {
        let known = (self.next - offset).min(bytes.len() as u64) as usize;
        let new = &bytes[known..];
        if !new.is_empty() {
            self.next += new.len() as u64;
            out(Piece::Bytes(new));
        }
    }

    fn release(&mut self, out: &mut impl FnMut(Piece<'_>)) {
        while let Some(entry) = self.waiting.first_entry() {
            if *entry.key() > self.next {
                return;
            }
            let (offset, bytes) = entry.remove_entry();
            self.waiting_bytes -= bytes.len();
            self.take(offset, &bytes, out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn run(order: &mut Order, pieces: &[(u64, &[u8])]) -> (Vec<u8>, u64) {
        let (mut bytes, mut gaps) = (Vec::new(), 0);
        let mut sink = |p: Piece<'_>| match p {
            Piece::Bytes(b) => bytes.extend_from_slice(b),
            Piece::Gap(n) => gaps += n,
        };
        for (offset, piece) in pieces {
            order.push(*offset, piece, 0, &mut sink);
        }
        order.flush(&mut sink);
        (bytes, gaps)
    }

    #[test]
    fn strict_sources_show_gaps_at_once() {
        let got = run(&mut Order::strict(), &[(0, b"ab"), (5, b"fg"), (5, b"fg"), (6, b"gh")]);
        assert_eq!(got, (b"abfgh".to_vec(), 3));
    }

    #[test]
    fn a_lost_piece_is_not_waited_for_for_ever() {
        let mut order = Order::default();
        let mut gaps = 0;
        let mut sink = |p: Piece<'_>| {
            if let Piece::Gap(n) = p {
                gaps += n;
            }
        };
        order.push(10, b"x", 0, &mut sink);
        order.push(11, b"y", MAX_WAIT, &mut sink);
        order.push(12, b"z", MAX_WAIT + 1, &mut sink);
        assert_eq!((gaps, order.buffered()), (10, 0));
    }

    #[test]
    fn what_came_before_the_first_segment_is_left_out() {
        assert_eq!(
            run(&mut Order::default(), &[(0u64.wrapping_sub(3), b"xyz"), (0, b"ab")]),
            (b"ab".to_vec(), 0)
        );
    }

    proptest! {
        /// Segments in any order, repeated and overlapping, give the stream back.
        #[test]
        fn any_order_gives_the_stream(
            stream in proptest::collection::vec(any::<u8>(), 1..2000),
            cuts in proptest::collection::vec((0usize..2000, 1usize..300), 0..60),
            seed in any::<u64>(),
        ) {
            let mut pieces: Vec<(u64, &[u8])> = stream.chunks(97).enumerate().map(|(i, c)| (i as u64 * 97, c)).collect();
            for (start, len) in cuts {
                let start = start % stream.len();
                pieces.push((start as u64, &stream[start..(start + len).min(stream.len())]));
            }
            let mut state = seed | 1;
            for i in (1..pieces.len()).rev() {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                pieces.swap(i, (state >> 33) as usize % (i + 1));
            }
            let mut order = Order::default();
            let (bytes, gaps) = run(&mut order, &pieces);
            prop_assert_eq!(gaps, 0);
            prop_assert_eq!(bytes, stream);
            prop_assert_eq!(order.buffered(), 0);
        }
    }
}
