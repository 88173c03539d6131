//! One JSON document, from wherever it was framed, to items.

use std::borrow::Cow;

use sha2::{Digest, Sha256};

use crate::{
    Direction, Item, Limits, Loss,
    dlp::{Collector, Place},
    json::{self, Error, LeafKind, Value},
    mcp::{self, Connection, Origin, decode_header},
    rpc::{Parsed, Rpc},
};

/// What a document was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// At least one MCP message.
    Mcp,
    /// JSON, but not MCP.
    Json,
    Broken(Error),
}

/// Turns documents into items; owns what is known about the connection.
#[derive(Debug)]
pub(crate) struct Documents {
    pub(crate) limits: Limits,
    pub(crate) connection: Connection,
}

impl Documents {
    pub(crate) fn new(limits: Limits) -> Self {
        let connection = Connection::new(limits.pending_requests);
        Self { limits, connection }
    }

    /// Inspects one document. `head` is the raw HTTP head, searched when the document is MCP. With `partial`, the
    /// document is only the beginning of one.
    pub(crate) fn inspect(
        &mut self,
        origin: &Origin<'_>,
        wire: &[u8],
        head: &[u8],
        partial: bool,
        out: &mut Vec<Item>,
    ) -> Outcome {
        let wire = wire.trim_ascii();
        let text = json::to_utf8(wire);
        let whole = matches!(text, Cow::Owned(_)).then_some(wire);
        let text = text.trim_ascii();
        let outcome = match text.first() {
            Some(b'{' | b'[') if !(partial || may_be_rpc(text)) => Outcome::Json,
            Some(b'{') => self.object(origin, text, whole, head, partial, out),
            Some(b'[') => self.batch(origin, text, head, partial, out),
            _ => Outcome::Broken(Error::Syntax),
        };
        // A banner line is no message yet.
        self.connection.complete |= !matches!(outcome, Outcome::Broken(_));
        if outcome != Outcome::Mcp && self.limits.search_other {
            self.search_other(text, out);
        }
        outcome
    }

    fn object(
        &mut self,
        origin: &Origin<'_>,
        text: &[u8],
        whole: Option<&[u8]>,
        head: &[u8],
        partial: bool,
        out: &mut Vec<Item>,
    ) -> Outcome {
        let rpc = match Rpc::parse(text, partial) {
            Parsed::Rpc(rpc) => rpc,
            Parsed::Other => return Outcome::Json,
            Parsed::Broken(error) => return Outcome::Broken(error),
        };
        let Some(mut message) = mcp::recognise(&rpc, origin, &mut self.connection) else {
            return Outcome::Json;
        };
        let wire = whole.unwrap_or(rpc.raw);
        message.size = wire.len() as u64;
        message.sha256 = hex(&Sha256::digest(wire));
        message.truncated = partial;
        let mut found = Collector::new(self.limits.findings);
        search_headers(head, &mut found);
        for (key, value) in Value(rpc.raw).members().partial().map_while(Result::ok) {
            let key = key.to_str();
            if matches!(&*key, "params" | "result" | "error") {
                // The envelope has been read, so only a cut document ends early, with what there is.
                let _ = search_json(value.0, &key, self.limits.path_depth, &mut found);
            }
        }
        (message.findings, message.findings_omitted) = found.finish();
        out.push(Item::Message(Box::new(message)));
        Outcome::Mcp
    }

    fn batch(
        &mut self,
        origin: &Origin<'_>,
        text: &[u8],
        head: &[u8],
        partial: bool,
        out: &mut Vec<Item>,
    ) -> Outcome {
        // An array is a batch only as a whole: nothing is reported of a line that turns out to be broken.
        let mut check = Value(text).elements();
        let broken = check.by_ref().find_map(Result::err);
        match broken {
            Some(Error::End) if partial => {}
            Some(error) => return Outcome::Broken(error),
            None if check.at_end() => {}
            None => return Outcome::Broken(Error::Syntax),
        }
        let mut outcome = Outcome::Json;
        let mut messages = 0;
        let mut head = head;
        for element in Value(text).elements().map_while(Result::ok) {
            if messages == self.limits.batch_messages {
                let rest = text.len() - (element.0.as_ptr().addr() - text.as_ptr().addr());
                out.push(Item::Truncated {
                    direction: origin.direction,
                    what: Loss::Message,
                    bytes: rest as u64,
                });
                break;
            }
            if element.is_object() && self.object(origin, element.0, None, head, false, out) == Outcome::Mcp {
                outcome = Outcome::Mcp;
                messages += 1;
                head = &[];
            }
        }
        outcome
    }

    /// Reports a request whose body cannot be read, if its headers prove it.
    pub(crate) fn inspect_headers(
        &mut self,
        origin: &Origin<'_>,
        head: &[u8],
        size: u64,
        out: &mut Vec<Item>,
    ) -> bool {
        let Some(mut message) = mcp::recognise_headers(origin, &mut self.connection) else { return false };
        let mut found = Collector::new(self.limits.findings);
        search_headers(head, &mut found);
        (message.findings, message.findings_omitted) = found.finish();
        message.size = size;
        out.push(Item::Message(Box::new(message)));
        true
    }

    /// Searches what has come of a document that the end of the stream cut.
    pub(crate) fn search_cut(&self, wire: &[u8], out: &mut Vec<Item>) {
        if self.limits.search_other {
            self.search_other(json::to_utf8(wire.trim_ascii()).trim_ascii(), out);
        }
    }

    fn search_other(&self, text: &[u8], out: &mut Vec<Item>) {
        let mut found = Collector::new(self.limits.findings);
        let mut rest = text;
        let mut broken = rest.is_empty();
        // Usually one document; several in a row when a body is declared as JSON lines.
        while !broken && !rest.is_empty() {
            match search_json(rest, "", self.limits.path_depth, &mut found) {
                Ok(end) => rest = rest[end..].trim_ascii_start(),
                Err(_) => broken = true,
            }
        }
        if broken {
            found = Collector::new(self.limits.findings);
            found.search(text, &Place::text());
        }
        let (findings, _) = found.finish();
        if !findings.is_empty() {
            out.push(Item::Findings(findings));
        }
    }

    /// A message of a kind this crate does not read has passed.
    pub(crate) fn other(&mut self) {
        self.connection.complete = true;
    }

    pub(crate) fn lost(&self, direction: Direction, what: Loss, bytes: u64, out: &mut Vec<Item>) {
        if bytes > 0 {
            out.push(Item::Truncated { direction, what, bytes });
        }
    }
}

/// Whether a document can be JSON-RPC at all: it names the version, or hides a letter in an escape.
fn may_be_rpc(text: &[u8]) -> bool {
    memchr::memmem::find(text, b"jsonrpc").is_some() || memchr::memmem::find(text, b"\\u00").is_some()
}

fn search_json(text: &[u8], root: &str, depth: usize, found: &mut Collector) -> Result<usize, Error> {
    json::walk(text, root, depth, |leaf| {
        let place =
            Place { path: leaf.path, name: leaf.name, key: leaf.kind == LeafKind::Key, secrets_only: false };
        found.search(&leaf.bytes, &place);
    })
}

/// Searches header values. Only MCP's own headers carry what a user typed; in the others only secrets are of interest
/// (an address in `X-Forwarded-For` is not a leak).
fn search_headers(head: &[u8], found: &mut Collector) {
    for line in head.split(|&b| b == b'\n').skip(1) {
        let Some((name, value)) = std::str::from_utf8(line).ok().and_then(|line| line.split_once(':')) else {
            continue;
        };
        let name = name.trim().to_ascii_lowercase();
        let of_mcp = name.starts_with("mcp-param-") || name == "mcp-name";
        let value = if of_mcp { decode_header(value) } else { value.trim().to_owned() };
        let path = format!("header:{name}");
        let place = Place { path: &path, name: &name, key: false, secrets_only: !of_mcp };
        found.search(value.as_bytes(), &place);
    }
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|b| [DIGITS[usize::from(b >> 4)], DIGITS[usize::from(b & 15)]])
        .map(char::from)
        .collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn prefilter_sees_escapes() {
        assert!(super::may_be_rpc(br#"{"json\u0072pc":"2.0"}"#));
        assert!(!super::may_be_rpc(br#"{"method":"initialize"}"#));
    }
}
