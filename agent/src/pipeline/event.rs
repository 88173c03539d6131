//! Events in the form of the wire contract.

use gnomon_inspect::{Direction, Finding, Kind, Message, Transport};
use gnomon_proto::v1 as wire;
use std::net::SocketAddr;

/// Who sent a message, where to, and when.
#[derive(Debug)]
pub(super) struct Subject {
    pub process: wire::Process,
    pub address: Option<SocketAddr>,
    pub tls: bool,
    /// Nanoseconds since the Unix epoch.
    pub time: u64,
}

pub(super) fn of_message(
    message: &Message,
    subject: Subject,
    decision: &gnomon_policy::Decision,
    policy_revision: u64,
) -> wire::Event {
    wire::Event {
        time_unix_nanos: subject.time,
        kind: "message".into(),
        message: Some(wire_message(message)),
        server: Some(wire::Server {
            host: message.host.clone().unwrap_or_default(),
            address: subject.address.map(|a| a.to_string()).unwrap_or_default(),
            tls: subject.tls,
            sanctioned_as: decision.server.clone().unwrap_or_default(),
        }),
        process: Some(subject.process),
        decision: Some(wire::Decision {
            verdict: decision.action.as_str().into(),
            mode: decision.mode.as_str().into(),
            rule: decision.rule.clone(),
            policy_revision,
            tier: "user".into(),
            reason: decision.reason.clone(),
        }),
        findings: message.findings.iter().map(finding).collect(),
        ..wire::Event::default()
    }
}

/// A denied stream of which no message could be read.
pub(super) fn of_unread(
    subject: Subject,
    decision: wire::Decision,
    enforcement: wire::Enforcement,
) -> wire::Event {
    wire::Event {
        time_unix_nanos: subject.time,
        kind: "message".into(),
        message: Some(wire::Message {
            protocol: Message::PROTOCOL.into(),
            direction: "request".into(),
            signals: vec!["kernel.matcher".into()],
            ..wire::Message::default()
        }),
        server: Some(wire::Server {
            address: subject.address.map(|a| a.to_string()).unwrap_or_default(),
            tls: subject.tls,
            ..wire::Server::default()
        }),
        process: Some(subject.process),
        decision: Some(decision),
        enforcement: Some(enforcement),
        ..wire::Event::default()
    }
}

fn wire_message(m: &Message) -> wire::Message {
    let text = |s: &Option<String>| s.clone().unwrap_or_default();
    wire::Message {
        protocol: Message::PROTOCOL.into(),
        transport: transport(m.transport).into(),
        direction: direction(m.direction).into(),
        revision: text(&m.revision),
        kind: kind(m.kind).into(),
        method: text(&m.method),
        tool: text(&m.tool),
        uri: text(&m.uri),
        id: m.id.as_ref().map(|id| id.as_json().to_owned()).unwrap_or_default(),
        session: text(&m.session),
        client_name: text(&m.client_name),
        server_name: text(&m.server_name),
        confidence: m.confidence,
        signals: m.signals.iter().map(|s| (*s).to_owned()).collect(),
        size: m.size,
        sha256: m.sha256.clone(),
        path: text(&m.path),
    }
}

fn transport(t: Transport) -> &'static str {
    match t {
        Transport::Http => "http",
        Transport::Stdio => "stdio",
        Transport::Auto | Transport::Text => "",
    }
}

fn direction(d: Direction) -> &'static str {
    match d {
        Direction::Request => "request",
        Direction::Response => "response",
    }
}

fn kind(k: Kind) -> &'static str {
    match k {
        Kind::Request => "request",
        Kind::Response => "response",
        Kind::Notification => "notification",
    }
}

fn finding(f: &Finding) -> wire::Finding {
    wire::Finding {
        detector: f.detector.into(),
        class: f.class.name().into(),
        start: f.start,
        end: f.end,
        r#where: f.where_.clone(),
        confidence: f.confidence,
        validated: f.validated,
        redacted: f.redacted.clone(),
    }
}
