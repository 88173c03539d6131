//! The regular expressions behind the automaton, and the action of each.
//!
//! Lines start with a bare LF here, which CRLF ends in: some servers accept either (RFC 9112 section 2.2), and so a
//! header cannot hide behind the other kind.

use std::collections::BTreeSet;

use gnomon_common::matcher::action;

use crate::host::{DEFAULT_PORTS, HostPattern, Name};
use crate::methods::METHODS;

/// White space of JSON (RFC 8259). Unbounded: a loop costs an automaton nothing, and a bound would be a way around it.
const JSON_SPACE: &str = r"[ \t\r\n]*";

/// Each pattern with the bits of [`action`] that its end sets. ASCII only; case matters unless the pattern says not.
pub(super) fn patterns(hosts: &[&HostPattern]) -> Vec<(u8, String)> {
    let mut patterns = vec![
        (action::MCP_BODY, method()),
        // `initialize` is shared with LSP and ACP, and proves MCP only with a dated version: ACP has an integer, A2A
        // has three numbers.
        (
            action::MCP_BODY,
            format!(
                r#""{}"{JSON_SPACE}:{JSON_SPACE}"202[4-9]-[0-9][0-9]-[0-9][0-9]""#,
                json("protocolVersion")
            ),
        ),
        // Up to the closing quote and the colon: inside a JSON string, a quoted copy has a backslash there.
        (action::MCP_BODY, format!(r#""{}[A-Za-z0-9._-]+"{JSON_SPACE}:"#, json("io.modelcontextprotocol/"))),
        (
            action::MCP_HEADER,
            r"(?i:\nmcp-(?:session-id|protocol-version|method|name|param-[a-z0-9-]+)[ \t]*:)".into(),
        ),
        (action::HOST_LINE, r"(?i:\nhost[ \t]*:)".into()),
        // Under HTTP/2 the host is in HPACK, which no fixed text matches (RFC 7541): such a connection is left to user
        // space. RFC 9113 section 3.4 has the preface; only as the very first bytes, or it would be a way around.
        (action::HOST_SANCTIONED, r"\APRI \* HTTP/2\.0\r\n\r\nSM\r\n\r\n".into()),
        (action::HEADERS_END, r"\n\r?\n".into()),
    ];
    patterns.extend(host_line(hosts).map(|pattern| (action::HOST_SANCTIONED, pattern)));
    patterns
}

/// `"method": "NAME"` for the names that prove MCP.
fn method() -> String {
    let names: Vec<String> = METHODS.iter().filter(|m| m.specific).map(|m| json(m.name)).collect();
    format!(r#""{}"{JSON_SPACE}:{JSON_SPACE}"(?:{})""#, json("method"), names.join("|"))
}

/// ASCII text in a JSON string, each character as itself or escaped (RFC 8259 section 7).
fn json(text: &str) -> String {
    text.chars()
        .map(|c| {
            let plain = if c == '/' { r"\\?/".into() } else { literal(c) };
            format!(r"(?:{plain}|\\u00(?i:{:02x}))", u32::from(c))
        })
        .collect()
}

fn literal(c: char) -> String {
    if c.is_ascii_alphanumeric() { c.to_string() } else { format!(r"\{c}") }
}

/// A whole `Host:` line that names one of the hosts; `None` without hosts. Mirrors [`HostPattern::matches`].
fn host_line(hosts: &[&HostPattern]) -> Option<String> {
    let group = |port: Option<u16>| {
        let exact = |h: &&HostPattern| match &h.name {
            Name::Exact(name) if h.port == port => Some(dotted(name)),
            _ => None,
        };
        let below = |h: &&HostPattern| match &h.name {
            Name::Below(suffix) if h.port == port => Some(dotted(&suffix[1..])),
            // Patterns of any other kind are left to user space by `placement`.
            _ => None,
        };
        let mut names: Vec<String> = hosts.iter().filter_map(exact).collect();
        let suffixes: Vec<String> = hosts.iter().filter_map(below).collect();
        if !suffixes.is_empty() {
            names.push(format!(r"(?:[a-z0-9_-]+\.)+(?:{})", suffixes.join("|")));
        }
        (!names.is_empty()).then(|| format!("(?:{}){}", names.join("|"), with_port(port)))
    };
    // Names with the same port share one copy of its states, and one copy of the labels before a suffix.
    let ports: BTreeSet<Option<u16>> = hosts.iter().map(|h| h.port).collect();
    let authorities: Vec<String> = ports.into_iter().filter_map(group).collect();
    (!authorities.is_empty()).then(|| format!(r"(?i:\nhost:[ \t]*(?:{})[ \t]*\r?\n)", authorities.join("|")))
}

fn with_port(port: Option<u16>) -> String {
    match port {
        None => "(?::[0-9]{0,5})?".into(),
        Some(port) if DEFAULT_PORTS.contains(&port) => format!("(?::(?:{port})?)?"),
        Some(port) => format!(":{port}"),
    }
}

/// A name, and the same with the dot of the DNS root.
fn dotted(name: &str) -> String {
    let escaped = name.replace('.', r"\.").replace('[', r"\[").replace(']', r"\]");
    if name.ends_with(']') { escaped } else { format!(r"{escaped}\.?") }
}
