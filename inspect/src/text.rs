//! Plain text of any length, searched in blocks.

use crate::{
    Finding, Item,
    dlp::{Collector, Place},
};

/// Bytes whose findings are reported together.
const BLOCK: usize = 64 << 10;
/// Bytes before a block a detector may look at (word boundaries, context words).
const BEFORE: usize = 256;
/// Bytes after a block that a finding which begins in it may reach into: a private key in PEM.
const AFTER: usize = 16 << 10;

/// Searches a text that arrives in pieces. Blocks are cut at fixed offsets, so the pieces do not matter.
#[derive(Debug)]
pub(crate) struct Text {
    held: Vec<u8>,
    /// Offset in the text of the first byte held.
    offset: u64,
    /// Bytes held that belong to the block before.
    before: usize,
    /// End of the last finding reported.
    reported: u64,
    limit: usize,
}

impl Text {
    pub(crate) fn new(limit: usize) -> Self {
        Self { held: Vec::new(), offset: 0, before: 0, reported: 0, limit }
    }

    pub(crate) fn buffered(&self) -> usize {
        self.held.capacity()
    }

    pub(crate) fn push(&mut self, mut bytes: &[u8], out: &mut Vec<Item>) {
        loop {
            let full = self.before + BLOCK + AFTER;
            let taken = bytes.len().min(full - self.held.len());
            self.held.extend_from_slice(&bytes[..taken]);
            bytes = &bytes[taken..];
            if self.held.len() < full {
                return;
            }
            self.search(self.before + BLOCK, out);
            let keep = self.before + BLOCK - BEFORE;
            self.held.drain(..keep);
            self.offset += keep as u64;
            self.before = BEFORE;
        }
    }

    pub(crate) fn finish(&mut self, out: &mut Vec<Item>) {
        self.search(self.held.len(), out);
        *self = Self::new(self.limit);
    }

    /// Bytes were lost: what is held is searched, and the text goes on after the gap.
    pub(crate) fn gap(&mut self, missing: u64, out: &mut Vec<Item>) {
        let next = self.offset + self.held.len() as u64 + missing;
        self.search(self.held.len(), out);
        *self = Self { offset: next, reported: next, ..Self::new(self.limit) };
    }

    /// Reports findings that begin before `end`.
    fn search(&mut self, end: usize, out: &mut Vec<Item>) {
        let mut found = Collector::new(self.limit);
        found.search(&self.held, &Place::text());
        let (findings, _) = found.finish();
        let mut fresh: Vec<Finding> = Vec::new();
        for mut finding in findings {
            if finding.start >= end as u64 || finding.start < self.before as u64 {
                continue;
            }
            finding.start += self.offset;
            finding.end += self.offset;
            if finding.start >= self.reported {
                self.reported = finding.end;
                fresh.push(finding);
            }
        }
        if !fresh.is_empty() {
            out.push(Item::Findings(fresh));
        }
    }
}
