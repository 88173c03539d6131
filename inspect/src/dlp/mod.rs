//! Data findings: one detector per file, a registry, one search over a text.
//!
//! A detector names a cheap trigger (a literal, `@`, a run of digits) and a check that looks at a bounded
//! neighbourhood of it, so a search is linear in the text. To add one: a file with a `DETECTOR`, and its line in
//! `registry`.

mod aws;
mod card;
mod collector;
mod detector;
mod email;
mod finding;
mod github;
mod iban;
mod ipv4;
mod jwt;
mod phone;
mod private_key;
mod redact;
mod registry;
mod ssn;
mod vendor;

pub(crate) use collector::{Collector, Place};
pub use finding::{Class, Finding};

/// Ids of all detectors with their class, for documentation and validation of policy documents.
pub fn detectors() -> impl Iterator<Item = (&'static str, Class)> {
    registry::DETECTORS.iter().map(|detector| (detector.id, detector.class))
}

#[cfg(test)]
mod tests;
