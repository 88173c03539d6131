//! Keeps an event within what the collector accepts (`gnomon_proto::limits`): one over them would be refused for ever.

use gnomon_proto::Message as _;
use gnomon_proto::limits::{EVENT_BYTES, INTEGER, LIST_ENTRIES, TEXT_BYTES};
use gnomon_proto::v1::Event;

/// The number the spool will write takes up to this much more than the 0 that is there now.
const SEQ_BYTES: usize = 10;

/// Cuts texts, lists and numbers that are over their limit; returns by how many bytes the event became shorter.
pub(super) fn clamp(event: &mut Event) -> usize {
    let before = event.encoded_len();
    event.time_unix_nanos = event.time_unix_nanos.min(INTEGER);
    texts(event, TEXT_BYTES);
    lists(event, LIST_ENTRIES);
    let (mut text, mut entries) = (TEXT_BYTES, LIST_ENTRIES);
    while event.encoded_len() + SEQ_BYTES > EVENT_BYTES && entries > 1 {
        (text, entries) = (text / 2, entries / 2);
        texts(event, text);
        lists(event, entries);
    }
    before.saturating_sub(event.encoded_len())
}

fn texts(event: &mut Event, max: usize) {
    cut(&mut event.kind, max);
    cut(&mut event.note, max);
    if let Some(m) = &mut event.message {
        for text in [
            &mut m.protocol,
            &mut m.transport,
            &mut m.direction,
            &mut m.revision,
            &mut m.kind,
            &mut m.method,
            &mut m.tool,
            &mut m.uri,
            &mut m.id,
            &mut m.session,
            &mut m.client_name,
            &mut m.server_name,
            &mut m.sha256,
            &mut m.path,
        ] {
            cut(text, max);
        }
        m.signals.iter_mut().for_each(|text| cut(text, max));
        finite(&mut m.confidence);
    }
    if let Some(p) = &mut event.process {
        for text in [&mut p.exe, &mut p.comm, &mut p.user, &mut p.cgroup] {
            cut(text, max);
        }
        p.ancestors.iter_mut().for_each(|text| cut(text, max));
    }
    if let Some(s) = &mut event.server {
        for text in [&mut s.host, &mut s.address, &mut s.sanctioned_as] {
            cut(text, max);
        }
    }
    if let Some(d) = &mut event.decision {
        for text in [&mut d.verdict, &mut d.mode, &mut d.rule, &mut d.tier, &mut d.reason] {
            cut(text, max);
        }
    }
    if let Some(e) = &mut event.enforcement {
        cut(&mut e.technique, max);
        cut(&mut e.outcome, max);
    }
    for f in &mut event.findings {
        for text in [&mut f.detector, &mut f.class, &mut f.r#where, &mut f.redacted] {
            cut(text, max);
        }
        finite(&mut f.confidence);
    }
    if let Some(l) = &mut event.loss {
        cut(&mut l.what, max);
    }
}

fn lists(event: &mut Event, max: usize) {
    event.findings.truncate(max);
    if let Some(m) = &mut event.message {
        m.signals.truncate(max);
    }
    if let Some(p) = &mut event.process {
        p.ancestors.truncate(max);
    }
}

fn cut(text: &mut String, max: usize) {
    text.truncate(text.floor_char_boundary(max));
}

/// JSON has no other numbers.
fn finite(number: &mut f64) {
    if !number.is_finite() {
        *number = 0.0;
    }
}

#[cfg(test)]
mod tests {
    use gnomon_proto::v1::{Finding, Message, Process};

    use super::*;

    #[test]
    fn what_fits_is_left_alone() {
        let message = Message { tool: "x".repeat(TEXT_BYTES), ..Message::default() };
        let mut event = Event { kind: "message".into(), message: Some(message), ..Event::default() };
        let same = event.clone();
        assert_eq!(clamp(&mut event), 0);
        assert_eq!(event, same);
    }

    #[test]
    fn what_does_not_fit_is_cut_to_the_limits() {
        let wide = "é".repeat(TEXT_BYTES);
        let finding = Finding { r#where: wide.clone(), confidence: f64::NAN, ..Finding::default() };
        let mut event = Event {
            time_unix_nanos: u64::MAX,
            kind: "message".into(),
            message: Some(Message {
                uri: wide.clone(),
                signals: vec![wide.clone(); 999],
                ..Message::default()
            }),
            process: Some(Process { ancestors: vec![wide; 999], ..Process::default() }),
            findings: vec![finding; 999],
            ..Event::default()
        };
        let before = event.encoded_len();
        let cut = clamp(&mut event);
        assert_eq!(cut, before - event.encoded_len());
        event.seq = INTEGER;
        assert!(event.encoded_len() <= EVENT_BYTES, "{}", event.encoded_len());
        assert_eq!(event.findings[0].confidence, 0.0);
        assert!(!event.findings.is_empty() && !event.message.unwrap().uri.is_empty());
    }
}
