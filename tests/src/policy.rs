//! Policy documents for tests.
use std::fmt::Write;

/// A document that stops everything but the servers named `(id, host)`.
pub fn only(revision: u64, sanctioned: &[(&str, &str)]) -> String {
    let mut text = format!("schema: gnomon.policy/v1\nrevision: {revision}\n");
    text.push_str("defaults:\n  unsanctioned: {action: deny, mode: enforce}\n");
    if !sanctioned.is_empty() {
        text.push_str("servers:\n");
    }
    for (id, host) in sanctioned {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  - id: {id}\n    hosts: [\"{host}\"]");
    }
    text
}
