//! JSON-RPC to MCP: which messages are MCP, how sure, and what they act on.

mod connection;
mod context;
mod fields;
mod lookalike;
mod methods;
mod recognise;
mod results;
pub(crate) mod signals;

pub(crate) use connection::Connection;
pub(crate) use context::{HttpContext, Origin, ResponseContext, decode_header};
pub(crate) use recognise::{recognise, recognise_headers};

use crate::Message;

/// Cuts a text from the wire to [`Message::MAX_TEXT`] bytes, at a character.
pub(crate) fn clip(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(Message::MAX_TEXT));
    text
}

/// A protocol revision is a date: `2025-11-25`.
pub(crate) fn is_revision(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() == 10
        && bytes
            .iter()
            .enumerate()
            .all(|(i, b)| if i == 4 || i == 7 { *b == b'-' } else { b.is_ascii_digit() })
}
