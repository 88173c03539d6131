//! `scan --batch`: JSON Lines in, one line out for each line in, in the same order.
//!
//! In: `{"id","transport","direction","data_b64"}`; each line is a connection of its own. Out: `{"id","messages",
//! "findings","error"}`, and `losses` when bytes were not inspected. A line that cannot be used is answered with its
//! `error` and the next one is read.

use std::collections::HashMap;
use std::io::{BufRead, Read, Write};

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use gnomon_inspect::{Direction, Finding, Inspector, Item, Limits, Transport};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::Scan;
use super::output::{Decided, NotInspected, decide};

/// Longest line of input.
pub(super) const MAX_LINE: usize = 64 << 20;

/// RFC 4648, section 4, with or without padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Members of a line, as they came; of duplicates, the last.
type Members<'a> = HashMap<String, &'a RawValue>;

#[derive(Default, Serialize)]
struct Answer<'a> {
    /// As it came, to the digit; null when the line has none, or cannot be read.
    id: Option<&'a RawValue>,
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

fn answer<'a>(scan: &Scan, line: &'a [u8]) -> Answer<'a> {
    let members: Members<'a> = match serde_json::from_slice(line) {
        Ok(members) => members,
        Err(e) => return Answer { error: Some(format!("expected a JSON object: {e}")), ..Answer::default() },
    };
    let mut answer = Answer { id: members.get("id").copied(), ..Answer::default() };
    if let Err(error) = inspect(scan, &members, &mut answer) {
        answer.error = Some(error);
    }
    answer
}

/// A member; `None` when it is not there, or null.
fn member<'a, T: Deserialize<'a>>(members: &Members<'a>, name: &str) -> Result<Option<T>, String> {
    let Some(value) = members.get(name) else { return Ok(None) };
    serde_json::from_str(value.get()).map_err(|e| format!("{name}: {e}"))
}

fn inspect(scan: &Scan, members: &Members<'_>, answer: &mut Answer<'_>) -> Result<(), String> {
    let transport = member::<Transport>(members, "transport")?.unwrap_or(scan.transport);
    let direction = member::<Direction>(members, "direction")?.unwrap_or(scan.direction);
    let data = member::<String>(members, "data_b64")?
        .ok_or_else(|| "data_b64: expected a string with base64".to_owned())?;
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

#[cfg(test)]
mod tests {
    use gnomon_policy::Policy;

    use super::*;

    fn run(input: &str) -> Vec<String> {
        let scan =
            Scan { policy: Policy::builtin(), transport: Transport::Auto, direction: Direction::Request };
        let mut out = Vec::new();
        super::run(&scan, input.as_bytes(), &mut out).unwrap();
        String::from_utf8(out).unwrap().lines().map(str::to_owned).collect()
    }

    #[test]
    fn an_id_is_echoed_to_the_byte() {
        for id in [
            "1.50",
            "12345678901234567890123",
            "1E400",
            "-0",
            r#""\u0041 \/""#,
            r#"{ "b": 1.0, "a": [1e2 ] }"#,
            "null",
            "false",
        ] {
            let answers = run(&format!("{{\"data_b64\":\"\", \"id\" : {id} }}\n{{\"id\":{id}}}\n"));
            let start = format!("{{\"id\":{id},\"messages\":[]");
            assert!(answers.iter().all(|a| a.starts_with(&start)), "{answers:?}");
            assert!(answers[0].contains("\"error\":null") && answers[1].contains("data_b64"), "{answers:?}");
        }
        assert!(run("{\"id\":1,\"id\":2,\"data_b64\":\"\"}")[0].starts_with("{\"id\":2,"), "the last one");
    }

    #[test]
    fn the_id_of_a_message_keeps_its_digits() {
        let line = r#"{"jsonrpc":"2.0","id":123456789012345678901234,"method":"tools/list"}"#;
        let data = BASE64.encode(format!("{line}\n"));
        let answers = run(&format!("{{\"id\":1,\"data_b64\":\"{data}\"}}"));
        assert!(answers[0].contains("\"id\":123456789012345678901234,"), "{answers:?}");
    }
}
