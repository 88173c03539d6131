//! What the inspector gives back.

use serde::Serialize;

use crate::{Direction, Finding, Message};

/// One thing seen on a connection, in wire order per direction.
#[derive(Debug, Clone, PartialEq)]
pub enum Item {
    /// One JSON-RPC message recognised as MCP.
    Message(Box<Message>),
    /// Data found in content that is not MCP (a text, a REST body, a line that is no message), or in a body cut by the
    /// end of the stream.
    Findings(Vec<Finding>),
    /// Bytes that could not be inspected. Reported once per occasion, so the sum over `bytes` is the loss.
    Truncated {
        direction: Direction,
        what: Loss,
        /// Bytes not inspected. For [`Loss::Encoded`], bytes as they were on the wire.
        bytes: u64,
    },
}

/// Why bytes were not inspected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Loss {
    /// An HTTP head over [`Limits::head_bytes`](crate::Limits::head_bytes), or one that does not parse.
    Head,
    /// A message over [`Limits::message_bytes`](crate::Limits::message_bytes). Its beginning was still inspected.
    Message,
    /// A body with a `Content-Encoding` (or a `Transfer-Encoding` other than chunked).
    Encoded,
    /// A chunked body whose framing is broken.
    Framing,
    /// A message damaged by bytes the caller reported lost.
    Gap,
    /// A message cut by the end of the stream. Data in what came of an HTTP body was still searched for.
    EndOfStream,
    /// HTTP/2, from its connection preface (RFC 9113 section 3.4) on. This crate reads HTTP/1 only.
    Http2,
}

/// What a connection has turned out to be so far; the caller uses it to stop capturing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relevance {
    /// No complete message yet.
    Undecided {
        /// Bytes fed so far, both directions.
        bytes: u64,
    },
    /// At least one sign of MCP: a message, or an HTTP head or SSE event only MCP uses.
    Mcp,
    /// At least one complete message, and nothing MCP.
    Other {
        /// Bytes fed so far, both directions.
        bytes: u64,
    },
}
