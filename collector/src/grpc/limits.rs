//! Nothing enters the store before it passed here: sizes, numbers, order.

use gnomon_proto::{
    limits::{BATCH_EVENTS, EPOCH_BYTES, EVENT_BYTES, INTEGER, LIST_ENTRIES, TEXT_BYTES},
    v1::{Batch, Event, Health},
};
use serde::Serialize;
use serde_json::Value;

use crate::store::{BatchRows, EventRow};

/// What is wrong with a batch.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{field} {problem}")]
pub(super) struct Refused {
    /// As in the `.proto` file: `events[3].message.tool`.
    pub(super) field: String,
    pub(super) problem: String,
    /// Of the event that is refused, when one is.
    pub(super) seq: Option<u64>,
}

pub(super) fn check(batch: Batch) -> Result<BatchRows, Refused> {
    let refuse = |field: &str, problem: String| Err(Refused { field: field.to_owned(), problem, seq: None });
    if batch.epoch.is_empty() || batch.epoch.len() > EPOCH_BYTES {
        return refuse("epoch", format!("must have 1 to {EPOCH_BYTES} bytes"));
    }
    if batch.events.len() > BATCH_EVENTS {
        return refuse("events", format!("has {} entries, at most {BATCH_EVENTS}", batch.events.len()));
    }
    let mut events = Vec::with_capacity(batch.events.len());
    let mut previous = 0;
    for (index, event) in batch.events.into_iter().enumerate() {
        let seq = event.seq;
        let row = check_event(event, previous).map_err(|(field, problem)| Refused {
            field: format!("events[{index}]{field}"),
            problem,
            seq: Some(seq),
        })?;
        previous = seq;
        events.push(row);
    }
    let health = batch.health.map(check_health).transpose()?;
    Ok(BatchRows { epoch: batch.epoch, events, health })
}

fn check_health(health: Health) -> Result<(String, String), Refused> {
    let json = checked_json(&health, "").map_err(|(field, problem)| Refused {
        field: format!("health{field}"),
        problem,
        seq: None,
    })?;
    Ok((health.hostname, json))
}

fn check_event(event: Event, previous: u64) -> Result<EventRow, (String, String)> {
    if event.seq <= previous {
        return Err((".seq".into(), format!("is {} after {previous}: must count up from 1", event.seq)));
    }
    let signed = |field: &str, value: u64| {
        i64::try_from(value).map_err(|_| (field.to_owned(), format!("is {value}, at most {INTEGER}")))
    };
    let seq = signed(".seq", event.seq)?;
    let time_ns = signed(".time_unix_nanos", event.time_unix_nanos)?;
    if event.kind.is_empty() {
        return Err((".kind".into(), "is empty".into()));
    }
    let size = prost_size(&event);
    if size > EVENT_BYTES {
        return Err((String::new(), format!("has {size} bytes, at most {EVENT_BYTES}")));
    }
    let json = checked_json(&event, "")?;
    let message = event.message.unwrap_or_default();
    let process = event.process.unwrap_or_default();
    let server = event.server.unwrap_or_default();
    let decision = event.decision.unwrap_or_default();
    Ok(EventRow {
        seq,
        time_ns,
        kind: event.kind,
        server_host: server.host,
        server_address: server.address,
        server_tls: server.tls,
        sanctioned_as: server.sanctioned_as,
        method: message.method,
        tool: message.tool,
        verdict: decision.verdict,
        mode: decision.mode,
        rule: decision.rule,
        exe: process.exe,
        user: process.user,
        findings: event.findings.len(),
        note: event.note,
        json,
    })
}

fn prost_size(event: &Event) -> usize {
    gnomon_proto::Message::encoded_len(event)
}

/// The JSON form, after a walk over it that finds every text, list and number over a limit: a field that a later
/// version of the contract adds is bounded without a line here.
fn checked_json<T: Serialize>(message: &T, path: &str) -> Result<String, (String, String)> {
    let failed = |e: serde_json::Error| (path.to_owned(), format!("has no JSON form: {e}"));
    walk(&serde_json::to_value(message).map_err(failed)?, path)?;
    serde_json::to_string(message).map_err(failed)
}

/// The depth is that of the contract's types, not of the sender's data.
fn walk(value: &Value, path: &str) -> Result<(), (String, String)> {
    match value {
        Value::String(text) if text.len() > TEXT_BYTES => {
            Err((path.to_owned(), format!("has {} bytes, at most {TEXT_BYTES}", text.len())))
        }
        // The only way to null: absent messages are left out.
        Value::Null => Err((path.to_owned(), "is not a finite number".into())),
        Value::Array(list) if list.len() > LIST_ENTRIES => {
            Err((path.to_owned(), format!("has {} entries, at most {LIST_ENTRIES}", list.len())))
        }
        Value::Array(list) => {
            list.iter().enumerate().try_for_each(|(index, item)| walk(item, &format!("{path}[{index}]")))
        }
        Value::Object(fields) => {
            fields.iter().try_for_each(|(name, field)| walk(field, &format!("{path}.{name}")))
        }
        Value::String(_) | Value::Number(_) | Value::Bool(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use gnomon_proto::v1::{Finding, Message, Process};

    use super::*;

    fn event(seq: u64) -> Event {
        Event { seq, kind: "message".into(), ..Event::default() }
    }

    fn batch(events: Vec<Event>) -> Batch {
        Batch { epoch: "e".into(), events, health: None }
    }

    fn refusal(batch: Batch) -> (String, Option<u64>) {
        let refused = check(batch).unwrap_err();
        (refused.field, refused.seq)
    }

    #[test]
    fn what_is_at_the_limits_passes() {
        let message = Message { tool: "x".repeat(TEXT_BYTES), ..Message::default() };
        let findings = vec![Finding::default(); LIST_ENTRIES];
        let full = Event { message: Some(message), findings, ..event(INTEGER) };
        assert_eq!(check(batch(vec![event(1), full])).unwrap().events.len(), 2);
    }

    #[test]
    fn what_is_over_a_limit_is_refused_by_name() {
        let long = Message { tool: "x".repeat(TEXT_BYTES + 1), ..Message::default() };
        let wide = Process { ancestors: vec![String::new(); LIST_ENTRIES + 1], ..Process::default() };
        let heavy = Process { ancestors: vec!["x".repeat(TEXT_BYTES); 20], ..Process::default() };
        let endless = Message { confidence: f64::NAN, ..Message::default() };
        for (wrong, field) in [
            (Event { message: Some(long), ..event(1) }, "events[0].message.tool"),
            (Event { process: Some(wide), ..event(1) }, "events[0].process.ancestors"),
            (Event { process: Some(heavy), ..event(1) }, "events[0]"),
            (Event { message: Some(endless), ..event(1) }, "events[0].message.confidence"),
            (Event { time_unix_nanos: u64::MAX, ..event(1) }, "events[0].time_unix_nanos"),
            (Event { kind: String::new(), ..event(1) }, "events[0].kind"),
        ] {
            assert_eq!(refusal(batch(vec![wrong])), (field.to_owned(), Some(1)));
        }
        assert_eq!(refusal(batch(vec![event(u64::MAX)])), ("events[0].seq".into(), Some(u64::MAX)));
        assert_eq!(refusal(batch(vec![event(2), event(2)])), ("events[1].seq".into(), Some(2)));
        assert_eq!(refusal(batch(vec![event(0)])), ("events[0].seq".into(), Some(0)));
        assert_eq!(refusal(batch((1..=4097).map(event).collect())), ("events".into(), None));
        assert_eq!(refusal(Batch { epoch: String::new(), ..Batch::default() }), ("epoch".into(), None));
        let health = Health { lacks: vec!["x".repeat(TEXT_BYTES + 1)], ..Health::default() };
        let unwell = Batch { epoch: "e".into(), health: Some(health), ..Batch::default() };
        assert_eq!(refusal(unwell), ("health.lacks[0]".into(), None));
    }
}
