//! Collects one message that arrives in pieces, up to a cap.

/// Bytes of a message so far. Copies nothing when the message arrives whole.
#[derive(Debug)]
pub(crate) struct MessageBuf {
    held: Vec<u8>,
    /// Bytes of the message so far, held or not.
    total: u64,
    cap: usize,
}

/// A message at its end.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Complete<'a> {
    Whole(&'a [u8]),
    /// The message was over the cap.
    Over {
        /// By this many bytes.
        bytes: u64,
        /// What was held of it; empty after [`MessageBuf::release`].
        beginning: &'a [u8],
    },
}

impl MessageBuf {
    pub(crate) fn new(cap: usize) -> Self {
        Self { held: Vec::new(), total: 0, cap }
    }

    pub(crate) fn buffered(&self) -> usize {
        self.held.capacity()
    }

    /// What is held of the message so far.
    pub(crate) fn held(&self) -> &[u8] {
        &self.held
    }

    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// Adds a piece that is not the last. Returns the beginning of the message, once, when it grows over the cap.
    pub(crate) fn push(&mut self, piece: &[u8]) -> Option<&[u8]> {
        let over_before = self.total > self.cap as u64;
        self.total += piece.len() as u64;
        if over_before {
            return None;
        }
        let room = self.cap - self.held.len();
        self.held.extend_from_slice(&piece[..piece.len().min(room)]);
        (self.total > self.cap as u64).then_some(&self.held)
    }

    /// Adds the last piece. Call [`Self::clear`] after.
    pub(crate) fn complete<'a>(&'a mut self, last: &'a [u8]) -> Complete<'a> {
        let total = self.total + last.len() as u64;
        if total > self.cap as u64 {
            // Otherwise it is full already, or was released.
            if self.total <= self.cap as u64 {
                let room = self.cap - self.held.len();
                self.held.extend_from_slice(&last[..last.len().min(room)]);
            }
            return Complete::Over { bytes: total - self.cap as u64, beginning: &self.held };
        }
        if self.held.is_empty() {
            return Complete::Whole(last);
        }
        self.held.extend_from_slice(last);
        Complete::Whole(&self.held)
    }

    /// Ready for the next message; gives up large buffers.
    pub(crate) fn clear(&mut self) {
        const KEEP: usize = 64 << 10;
        self.total = 0;
        self.held.clear();
        if self.held.capacity() > KEEP {
            self.held = Vec::new();
        }
    }

    /// Frees what is held, keeps counting: the beginning has been used.
    pub(crate) fn release(&mut self) {
        self.held = Vec::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_message_is_not_copied() {
        let mut buf = MessageBuf::new(8);
        let last = b"12345678";
        let Complete::Whole(got) = buf.complete(last) else { panic!() };
        assert!(std::ptr::eq(got, last));
        assert_eq!(buf.buffered(), 0);
    }

    #[test]
    fn over_the_cap_is_told_once() {
        let mut buf = MessageBuf::new(4);
        assert_eq!(buf.push(b"123"), None);
        assert_eq!(buf.push(b"45"), Some(&b"1234"[..]));
        buf.release();
        assert_eq!(buf.push(b"6"), None);
        assert_eq!(buf.complete(b"78"), Complete::Over { bytes: 4, beginning: b"" });
        buf.clear();
        assert_eq!(buf.complete(b"12345"), Complete::Over { bytes: 1, beginning: b"1234" });
    }
}
