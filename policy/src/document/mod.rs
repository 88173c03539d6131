//! The document format `gnomon.policy/v1`: a YAML tree in, a [`Policy`] or every problem out.

mod read;
mod reader;
mod rules;
mod servers;
mod suggest;

use crate::error::Errors;
use crate::model::Policy;
use crate::yaml::{Position, load};
use reader::Reader;

/// Reads a policy document.
///
/// # Errors
/// Every problem found, each with its place. A document that is not YAML, or is beyond the bounds (1 MiB, 16 levels,
/// one document, no anchors, aliases or tags), gives the first problem only.
pub fn parse(source: &str) -> Result<Policy, Errors> {
    parse_with_data_classes(source, &[])
}

/// Like [`parse`], and refuses names in `data_class` that are not in `known` (names with a `*` must match at least one).
///
/// `known` are the classes and detectors that findings can carry. When it is empty, only the shape of the names is
/// checked.
///
/// # Errors
/// As [`parse`].
pub fn parse_with_data_classes(source: &str, known: &[&str]) -> Result<Policy, Errors> {
    let mut reader = Reader::new(known);
    let policy = match load(source) {
        Ok(Some(root)) => read::policy(&mut reader, &root),
        Ok(None) => {
            reader.error(
                Position::START,
                "empty document: expected schema, revision, servers, defaults and rules",
            );
            None
        }
        Err(diagnostic) => return Err(Errors::new(vec![diagnostic])),
    };
    let diagnostics = reader.finish();
    match policy {
        Some(policy) if diagnostics.is_empty() => Ok(policy),
        _ => Err(Errors::new(diagnostics)),
    }
}
