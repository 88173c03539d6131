//! The first bytes of one direction, until they show how it is framed.

use crate::{
    rpc::{Parsed, Rpc},
    transport::{Framing, detect},
};

/// Bytes in which lines of JSON-RPC must begin after a banner.
const WINDOW: usize = 8 << 10;

/// Decides once, from all bytes so far; the pieces in which they came do not matter.
#[derive(Debug, Default)]
pub(crate) struct Beginning {
    held: Vec<u8>,
    /// Once the first line has turned out to be text: where the first line begins that was not judged yet.
    line: Option<usize>,
    /// The lines that follow are an example in a text.
    quoted: bool,
    /// Between two fences of Markdown.
    fenced: bool,
}

impl Beginning {
    pub(crate) fn buffered(&self) -> usize {
        self.held.capacity()
    }

    pub(crate) fn len(&self) -> usize {
        self.held.len()
    }

    pub(crate) fn take(&mut self) -> Vec<u8> {
        std::mem::take(self).held
    }

    /// It is text, or lines with a banner before them.
    pub(crate) fn readable(&self) -> bool {
        self.line.is_some()
    }

    /// `None` asks for more.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Option<Framing> {
        self.held.extend_from_slice(bytes);
        if self.line.is_none() {
            match detect(&self.held)? {
                Framing::Text => self.line = Some(0),
                framing => return Some(framing),
            }
        }
        self.after_banner()
    }

    /// Nothing follows.
    pub(crate) fn end(&self) -> Framing {
        let last = &self.held[self.line.unwrap_or(0)..];
        if !self.quoted && is_rpc(last, false) { Framing::Lines } else { Framing::Text }
    }

    /// A server may print to stdout before it speaks (`Server running on stdio`). It is lines from the first line on
    /// that is a JSON-RPC message by itself, unless the text around shows it as an example.
    fn after_banner(&mut self) -> Option<Framing> {
        let mut start = self.line?;
        let window = self.held.len().min(WINDOW);
        while let Some(length) = memchr::memchr(b'\n', &self.held[start..window]) {
            let line = &self.held[start..start + length];
            let rpc = is_rpc(line, false);
            if rpc && !self.quoted {
                return Some(Framing::Lines);
            }
            if is_start_line(line) {
                return Some(Framing::Text);
            }
            // A quotation may have several lines.
            if !rpc && !line.trim_ascii().is_empty() {
                self.fenced ^= is_fence(line);
                self.quoted = self.fenced || introduces(line);
            }
            start += length + 1;
        }
        self.line = Some(start);
        if window < WINDOW {
            return None;
        }
        // Of a line over the window, its beginning decides.
        let rpc = !self.quoted && is_rpc(&self.held[start..window], true);
        Some(if rpc { Framing::Lines } else { Framing::Text })
    }
}

fn is_rpc(line: &[u8], partial: bool) -> bool {
    let line = line.trim_ascii();
    line.starts_with(b"{") && matches!(Rpc::parse(line, partial), Parsed::Rpc(_))
}

/// HTTP of a method that carries no MCP (`NOTIFY * HTTP/1.1`); its body is no line.
fn is_start_line(line: &[u8]) -> bool {
    matches!(line.trim_ascii_end(), [start @ .., b'0' | b'1'] if start.ends_with(b" HTTP/1."))
}

fn is_fence(line: &[u8]) -> bool {
    let line = line.trim_ascii();
    line.starts_with(b"```") || line.starts_with(b"~~~")
}

/// Whether a line announces an example, or is the header of a message framed otherwise (LSP).
fn introduces(line: &[u8]) -> bool {
    let line = line.trim_ascii();
    line.ends_with(b":") || line.get(..8).is_some_and(|start| start.eq_ignore_ascii_case(b"content-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;

    /// The decision, and whether only the end brought it.
    fn decide(text: &str, piece: usize) -> (Framing, bool) {
        let mut beginning = Beginning::default();
        for bytes in text.as_bytes().chunks(piece) {
            if let Some(framing) = beginning.push(bytes) {
                return (framing, false);
            }
        }
        (beginning.end(), true)
    }

    #[test]
    fn lines_after_a_banner() {
        let banner = "Server running on stdio\n";
        let long = format!(r#"{{"id":1,"result":{{"a":"{}"}},"jsonrpc":"2.0"}}"#, "x".repeat(20_000));
        for (text, want) in [
            (format!("{banner}{LIST}\n"), (Framing::Lines, false)),
            (format!("{banner}\nready\n  {LIST}\r\n"), (Framing::Lines, false)),
            (format!("{banner}{LIST}"), (Framing::Lines, true)),
            (format!("{banner}{long}\n"), (Framing::Lines, false)),
            (format!("{}{LIST}\n", "noise\n".repeat(1_200)), (Framing::Lines, false)),
            (format!("{}{LIST}\n", "noise\n".repeat(1_400)), (Framing::Text, false)),
            (format!("{banner}{{\"level\":\"info\"}}\n"), (Framing::Text, true)),
            (format!("{banner}{LIST} and more\n"), (Framing::Text, true)),
            (format!("{banner}see {LIST}\n"), (Framing::Text, true)),
            (format!("An example:\n\n{LIST}\n{LIST}\n"), (Framing::Text, true)),
            (format!("# Use\n```json\n// list\n{LIST}\n```\n"), (Framing::Text, true)),
            (format!("# Use\n```sh\nrun\n```\n{LIST}\n"), (Framing::Lines, false)),
            (format!("Content-Length: {}\r\n\r\n{LIST}", LIST.len()), (Framing::Text, true)),
            ("x".repeat(WINDOW), (Framing::Text, false)),
            (String::new(), (Framing::Text, true)),
        ] {
            for piece in [1, 7, 4_096, usize::MAX] {
                let start = &text[..text.len().min(100)];
                assert_eq!(decide(&text, piece), want, "{start:?} in pieces of {piece}");
            }
        }
    }
}
