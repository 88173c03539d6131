//! Events as they stand in `events.jsonl` and come from the collector's API: the JSON form of `gnomon.v1.Event`.
use std::{fs, io::ErrorKind, path::Path};

use anyhow::{Context, Result};
use serde_json::Value;

/// One event.
#[derive(Debug, Clone)]
pub struct Event(pub Value);

impl Event {
    /// The string at `pointer` (RFC 6901); empty when absent, as the wire contract has it.
    pub fn str(&self, pointer: &str) -> &str {
        self.0.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
    }

    /// The number at `pointer`; 0 when absent.
    pub fn number(&self, pointer: &str) -> u64 {
        self.0.pointer(pointer).and_then(Value::as_u64).unwrap_or_default()
    }

    /// Whether it is an MCP request to the server that clients name `host`.
    pub fn is_request_to(&self, host: &str) -> bool {
        self.str("/kind") == "message"
            && self.str("/message/direction") == "request"
            && self.str("/server/host") == host
    }

    /// Whether the request was denied and its body kept from leaving.
    pub fn stopped(&self) -> bool {
        self.str("/decision/verdict") == "deny"
            && self.str("/enforcement/outcome") == "stopped"
            && self.number("/enforcement/body_bytes_left") == 0
    }

    /// Detectors that found something in it.
    pub fn detectors(&self) -> Vec<&str> {
        let findings =
            self.0.get("findings").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        findings.iter().filter_map(|finding| finding.get("detector")?.as_str()).collect()
    }
}

/// All whole lines of a JSON Lines file; none when it does not exist yet.
///
/// # Errors
/// When the file cannot be read or a whole line is no JSON.
pub fn read(path: &Path) -> Result<Vec<Event>> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).with_context(|| format!("{}", path.display())),
    };
    // The writer may be in the middle of the last line.
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole
        .lines()
        .map(|line| serde_json::from_str(line).map(Event).with_context(|| format!("not JSON: {line}")))
        .collect()
}
