//! The JSON form of events is a contract of its own: events.jsonl and the HTTP API carry it.
#![forbid(unsafe_code)]

use gnomon_proto::v1::{Decision, Enforcement, EnrolRequest, Event, Message, Server};
use serde_json::json;

#[test]
fn empty_text_and_absent_messages_are_left_out_numbers_are_kept() {
    let event = Event {
        seq: 7,
        time_unix_nanos: 1_764_000_000_123_456_789,
        kind: "message".into(),
        message: Some(Message { method: "tools/call".into(), confidence: 1.0, ..Message::default() }),
        server: Some(Server { host: "mcp.example.com".into(), ..Server::default() }),
        decision: Some(Decision { verdict: "deny".into(), policy_revision: 3, ..Decision::default() }),
        enforcement: Some(Enforcement {
            technique: "drop".into(),
            outcome: "stopped".into(),
            body_bytes_left: 0,
        }),
        ..Event::default()
    };
    let form = serde_json::to_value(&event).unwrap();
    assert_eq!(
        form,
        json!({
            "seq": 7,
            "time_unix_nanos": 1_764_000_000_123_456_789_u64,
            "kind": "message",
            "message": {"method": "tools/call", "confidence": 1.0, "size": 0},
            "server": {"host": "mcp.example.com", "tls": false},
            "decision": {"verdict": "deny", "policy_revision": 3},
            "enforcement": {"technique": "drop", "outcome": "stopped", "body_bytes_left": 0},
        })
    );
    assert_eq!(serde_json::from_value::<Event>(form).unwrap(), event);
}

#[test]
fn unknown_fields_of_a_newer_peer_are_tolerated() {
    let event: Event = serde_json::from_value(json!({"seq": 1, "of_a_later_version": true})).unwrap();
    assert_eq!(event.seq, 1);
}

#[test]
fn debug_output_of_an_enrolment_has_no_token() {
    let request =
        EnrolRequest { token: "gn1.secret".into(), hostname: "web-1".into(), ..EnrolRequest::default() };
    let text = format!("{request:?}");
    assert!(text.contains("web-1") && !text.contains("secret"), "{text}");
}
