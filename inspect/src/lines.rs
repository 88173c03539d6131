//! One JSON document per line (stdio).

use crate::{
    Direction, Item, Loss,
    documents::{Documents, Outcome},
    json::{Error, Value},
    mcp::Origin,
    message_buf::{Complete, MessageBuf},
};

/// Splits one direction into lines.
#[derive(Debug)]
pub(crate) struct Lines {
    direction: Direction,
    line: MessageBuf,
    /// Bytes lost since the last line that was seen whole.
    lost: u64,
    mode: Mode,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Lines,
    /// The first line decides between lines and one document over many lines.
    Undecided,
    /// One document, to the end of the stream.
    Document,
}

impl Lines {
    /// With `documents`, text whose first line is the beginning of a JSON document is read as one document. That is
    /// for files; on a pipe a message is a line.
    pub(crate) fn new(direction: Direction, cap: usize, documents: bool) -> Self {
        let mode = if documents { Mode::Undecided } else { Mode::Lines };
        Self { direction, line: MessageBuf::new(cap), lost: 0, mode }
    }

    pub(crate) fn buffered(&self) -> usize {
        self.line.buffered()
    }

    pub(crate) fn push(&mut self, mut bytes: &[u8], documents: &mut Documents, out: &mut Vec<Item>) {
        while !bytes.is_empty() {
            let end = if self.mode == Mode::Document { None } else { memchr::memchr(b'\n', bytes) };
            let Some(end) = end else {
                if let Some(beginning) = self.line.push(bytes) {
                    documents.lost(self.direction, Loss::Gap, std::mem::take(&mut self.lost), out);
                    documents.inspect(&Origin::lines(self.direction), beginning, &[], true, out);
                    self.line.release();
                }
                return;
            };
            self.line(&bytes[..=end], documents, out);
            bytes = &bytes[end + 1..];
        }
    }

    pub(crate) fn gap(&mut self, missing: u64) {
        // What follows the gap is taken for the beginning of a line. If it is the rest of one it does not parse: the
        // rest of a JSON object or array closes a bracket, or a quote, that it did not open.
        self.lost += self.line.total() + missing;
        self.line.clear();
    }

    pub(crate) fn finish(&mut self, documents: &mut Documents, out: &mut Vec<Item>) {
        if self.mode == Mode::Document {
            self.document(documents, out);
        } else {
            self.line(b"", documents, out);
        }
        documents.lost(self.direction, Loss::Gap, std::mem::take(&mut self.lost), out);
    }

    /// A line ends with `last`.
    fn line(&mut self, last: &[u8], documents: &mut Documents, out: &mut Vec<Item>) {
        let ended = last.ends_with(b"\n");
        let origin = Origin::lines(self.direction);
        match self.line.complete(last) {
            Complete::Over { bytes, beginning } => {
                if !beginning.is_empty() {
                    documents.inspect(&origin, beginning, &[], true, out);
                }
                documents.lost(self.direction, Loss::Message, bytes, out);
                self.mode = Mode::Lines;
            }
            Complete::Whole(line) if line.trim_ascii().is_empty() => {}
            Complete::Whole(line) if self.mode == Mode::Undecided && begins_document(line) && ended => {
                self.mode = Mode::Document;
                let line = line.to_vec();
                self.line.clear();
                self.line.push(&line);
                return;
            }
            Complete::Whole(line) => {
                documents.lost(self.direction, Loss::Gap, std::mem::take(&mut self.lost), out);
                let size = line.len() as u64;
                let outcome = documents.inspect(&origin, line, &[], false, out);
                if outcome == Outcome::Broken(Error::End) && !ended {
                    documents.lost(self.direction, Loss::EndOfStream, size, out);
                }
                self.mode = Mode::Lines;
            }
        }
        self.line.clear();
    }

    /// The stream ends after a document over many lines.
    fn document(&mut self, documents: &mut Documents, out: &mut Vec<Item>) {
        self.mode = Mode::Lines;
        let text = match self.line.complete(b"") {
            Complete::Over { bytes, .. } => {
                documents.lost(self.direction, Loss::Message, bytes, out);
                self.line.clear();
                return;
            }
            Complete::Whole(text) => text.to_vec(),
        };
        self.line.clear();
        if is_document(&text) {
            documents.inspect(&Origin::lines(self.direction), &text, &[], false, out);
        } else {
            // Lines after all: the first one was garbage.
            self.push(&text, documents, out);
            self.line(b"", documents, out);
        }
    }
}

/// Whether a line is a JSON document that goes on.
fn begins_document(line: &[u8]) -> bool {
    error(line) == Some(Error::End)
}

fn is_document(text: &[u8]) -> bool {
    error(text).is_none()
}

fn error(text: &[u8]) -> Option<Error> {
    let text = crate::json::to_utf8(text);
    let value = Value(&text);
    let mut members = value.members();
    let mut elements = value.elements();
    if value.is_object() {
        members.by_ref().find_map(Result::err).or_else(|| (!members.at_end()).then_some(Error::Syntax))
    } else if value.is_array() {
        elements.by_ref().find_map(Result::err).or_else(|| (!elements.at_end()).then_some(Error::Syntax))
    } else {
        Some(Error::Syntax)
    }
}
