//! `scan --batch`: JSON Lines in, one line out for each line in, in the same order.
//!
//! In: `{"id","transport","direction","data_b64"}`; each line is a connection of its own. Out: `{"id","messages",
//! "findings","error"}`, and `losses` when bytes were not inspected. A line that cannot be used is answered with its
//! `error` and the next one is read.

use std::io::{BufRead, Read, Write};

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use gnomon_inspect::{Direction, Finding, Inspector, Item, Limits, Transport};
use serde::Serialize;
use serde_json::Value;

use super::Scan;
use super::output::{Decided, NotInspected, decide};

/// Longest line of input.
pub(super) const MAX_LINE: usize = 64 << 20;

/// RFC 4648, section 4, with or without padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

#[derive(Default, Serialize)]
struct Answer {
    /// As it came; null when the line has none, or cannot be read.
    id: Value,
    messages: Vec<Decided>,
    /// Those within messages too.
    findings: Vec<Finding>,
    error: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    losses: Vec<NotInspected>,
}

pub(super) fn run(scan: &Scan, input: impl Read, out: &mut impl Write) -> anyhow::Result<()> {
    let mut input = std::io::BufReader::with_capacity(64 << 10, input);
    let mut line = Vec::new();
    while let Some(whole) = next_line(&mut input, &mut line)? {
        let answer = if whole {
            answer(scan, &line)
        } else {
            Answer { error: Some(format!("line is longer than {MAX_LINE} bytes")), ..Answer::default() }
        };
        serde_json::to_writer(&mut *out, &answer)?;
        out.write_all(b"\n")?;
        // Flushed before waiting: the caller may want this answer before it writes the next line.
        if !input.buffer().contains(&b'\n') {
            out.flush()?;
        }
    }
    out.flush()?;
    Ok(())
}

/// Reads the next line without its end; `None` at the end of the input, `Some(false)` for a line over [`MAX_LINE`],
/// which is skipped.
fn next_line(input: &mut impl BufRead, line: &mut Vec<u8>) -> std::io::Result<Option<bool>> {
    line.clear();
    let read = input.by_ref().take(MAX_LINE as u64 + 1).read_until(b'\n', line)?;
    if line.last() == Some(&b'\n') {
        line.pop();
        return Ok(Some(true));
    }
    if read <= MAX_LINE {
        return Ok((read > 0).then_some(true));
    }
    *line = Vec::new();
    input.skip_until(b'\n')?;
    Ok(Some(false))
}

fn answer(scan: &Scan, line: &[u8]) -> Answer {
    let mut object = match serde_json::from_slice(line) {
        Ok(Value::Object(object)) => object,
        Ok(_) => return Answer { error: Some("expected a JSON object".to_owned()), ..Answer::default() },
        Err(e) => return Answer { error: Some(format!("expected a JSON object: {e}")), ..Answer::default() },
    };
    let mut answer = Answer { id: object.remove("id").unwrap_or_default(), ..Answer::default() };
    if let Err(error) = inspect(scan, object, &mut answer) {
        answer.error = Some(error);
    }
    answer
}

fn inspect(
    scan: &Scan,
    mut object: serde_json::Map<String, Value>,
    answer: &mut Answer,
) -> Result<(), String> {
    let transport = match object.remove("transport") {
        None | Some(Value::Null) => scan.transport,
        Some(value) => serde_json::from_value::<Transport>(value).map_err(|e| format!("transport: {e}"))?,
    };
    let direction = match object.remove("direction") {
        None | Some(Value::Null) => scan.direction,
        Some(value) => serde_json::from_value::<Direction>(value).map_err(|e| format!("direction: {e}"))?,
    };
    let Some(Value::String(data)) = object.remove("data_b64") else {
        return Err("data_b64: expected a string with base64".to_owned());
    };
    let data = BASE64.decode(data).map_err(|e| format!("data_b64: {e}"))?;
    let mut inspector = Inspector::new(transport, Limits::default());
    let mut items = Vec::new();
    inspector.push(direction, &data, &mut items);
    inspector.finish(direction, &mut items);
    for item in items {
        match item {
            Item::Message(message) => {
                let (decided, findings) = decide(&scan.policy, *message);
                answer.messages.push(decided);
                answer.findings.extend(findings);
            }
            Item::Findings(findings) => answer.findings.extend(findings),
            Item::Truncated { direction, what, bytes } => {
                answer.losses.push(NotInspected { direction, what, bytes })
            }
        }
    }
    Ok(())
}
