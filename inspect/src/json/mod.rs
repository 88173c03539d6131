//! A small JSON reader made for hostile input.
//!
//! Strict about structure (brackets, commas, colons), because a line is either a message or not; lenient about what
//! real servers let pass and an evader would use: bytes that are not UTF-8, lone surrogates, raw control characters,
//! `NaN` and `Infinity` (CPython). Nothing recurses, so nesting is bounded only by the size of the text.

mod cursor;
mod encoding;
mod leaves;
mod text;
mod value;

pub(crate) use encoding::to_utf8;
pub(crate) use leaves::{LeafKind, walk};
pub(crate) use text::Text;
pub(crate) use value::Value;

/// Not JSON, or JSON cut short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Error {
    /// A byte that cannot be there.
    Syntax,
    /// The text ends inside a value.
    End,
}
