//! Reads the cases of `testdata/*.toml` and feeds them.
#![allow(dead_code, reason = "each test binary uses a part")]

use gnomon_inspect::{Direction, Inspector, Item, Limits, Message, Transport};
use serde::Deserialize;

/// One case. A step is `>` (client to server) or `<` (server to client) and what is sent:
/// - stdio: a line, its end added;
/// - http: `METHOD /target` or a status, header lines, an empty line, a body. `Host`, `Content-Type` and
///   `Content-Length` are added where they are not given; with the line `Transfer-Encoding: chunked`, the body is
///   sent in the chunks that `|` separates;
/// - text, auto, and steps that begin with `>=` or `<=`: the bytes as they are.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) transport: Transport,
    pub(crate) steps: Vec<String>,
    /// Per message in order, members its JSON form must have.
    #[serde(default)]
    pub(crate) messages: Vec<toml::Table>,
    /// Per finding outside of messages.
    #[serde(default)]
    pub(crate) findings: Vec<toml::Table>,
}

#[derive(Debug, Deserialize)]
struct File {
    case: Vec<Case>,
}

pub(crate) fn cases(text: &str) -> Vec<Case> {
    toml::from_str::<File>(text).expect("a file of cases").case
}

impl Case {
    pub(crate) fn bytes(&self) -> Vec<(Direction, Vec<u8>)> {
        self.steps.iter().map(|step| self.step(step)).collect()
    }

    fn step(&self, step: &str) -> (Direction, Vec<u8>) {
        let (dir, rest) = match step.split_at(1) {
            (">", rest) => (Direction::Request, rest),
            ("<", rest) => (Direction::Response, rest),
            _ => panic!("{}: a step begins with > or <", self.name),
        };
        let bytes = match (self.transport, rest.strip_prefix('=')) {
            (_, Some(raw)) => raw.to_owned(),
            (Transport::Stdio, None) => format!("{rest}\n"),
            (Transport::Http, None) => http(dir, rest),
            (Transport::Auto | Transport::Text, None) => rest.to_owned(),
        };
        (dir, bytes.into_bytes())
    }
}

fn http(dir: Direction, text: &str) -> String {
    let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
    let mut lines: Vec<String> = head.lines().map(str::to_owned).collect();
    lines[0] = match dir {
        Direction::Request => format!("{} HTTP/1.1", lines[0]),
        Direction::Response => format!("HTTP/1.1 {} X", lines[0]),
    };
    let given = |name: &str, lines: &[String]| {
        lines.iter().any(|line| line.to_ascii_lowercase().starts_with(&format!("{name}:")))
    };
    if dir == Direction::Request && !given("host", &lines) {
        lines.push("Host: server.example".to_owned());
    }
    if !body.is_empty() && !given("content-type", &lines) {
        lines.push("Content-Type: application/json".to_owned());
    }
    let chunked = lines.iter().any(|line| line == "Transfer-Encoding: chunked");
    let body = if chunked { chunks(body) } else { body.to_owned() };
    if !given("transfer-encoding", &lines) && !given("content-length", &lines) {
        lines.push(format!("Content-Length: {}", body.len()));
    }
    format!("{}\r\n\r\n{body}", lines.join("\r\n"))
}

fn chunks(body: &str) -> String {
    let chunks = body.split('|').map(|chunk| format!("{:x}\r\n{chunk}\r\n", chunk.len()));
    chunks.chain(["0\r\n\r\n".to_owned()]).collect()
}

/// Feeds in pieces of at most `piece` bytes, directions in the order of the steps.
pub(crate) fn feed(transport: Transport, steps: &[(Direction, Vec<u8>)], piece: usize) -> Vec<Item> {
    let mut inspector = Inspector::new(transport, Limits::default());
    let mut out = Vec::new();
    for (dir, bytes) in steps {
        for part in bytes.chunks(piece) {
            inspector.push(*dir, part, &mut out);
        }
    }
    inspector.finish(Direction::Request, &mut out);
    inspector.finish(Direction::Response, &mut out);
    out
}

pub(crate) fn messages(items: &[Item]) -> Vec<&Message> {
    items.iter().filter_map(|item| if let Item::Message(m) = item { Some(&**m) } else { None }).collect()
}

pub(crate) fn findings(items: &[Item]) -> Vec<&gnomon_inspect::Finding> {
    items.iter().flat_map(|item| if let Item::Findings(f) = item { &f[..] } else { &[] }).collect()
}

/// The one check: whole, byte by byte and in uneven pieces, a case gives the items it names and no others.
pub(crate) fn check(case: &Case) {
    let steps = case.bytes();
    let whole = feed(case.transport, &steps, usize::MAX);
    for piece in [1, 7] {
        assert_eq!(feed(case.transport, &steps, piece), whole, "{}: in pieces of {piece}", case.name);
    }
    let seen: Vec<_> =
        messages(&whole).into_iter().map(|m| serde_json::to_value(m).expect("serialises")).collect();
    compare(&case.name, "message", &seen, &case.messages);
    if !case.findings.is_empty() || case.transport == Transport::Text {
        let seen: Vec<_> =
            findings(&whole).into_iter().map(|f| serde_json::to_value(f).expect("serialises")).collect();
        compare(&case.name, "finding", &seen, &case.findings);
    }
}

fn compare(case: &str, what: &str, seen: &[serde_json::Value], wanted: &[toml::Table]) {
    assert_eq!(seen.len(), wanted.len(), "{case}: number of {what}s in {seen:#?}");
    for (seen, wanted) in seen.iter().zip(wanted) {
        subset(case, seen, &serde_json::to_value(wanted).expect("serialises"));
    }
}

/// Everything wanted is there; `"null"` wants null, which TOML lacks; `signals` wants these among others.
fn subset(case: &str, seen: &serde_json::Value, wanted: &serde_json::Value) {
    use serde_json::Value;
    for (key, wanted) in wanted.as_object().expect("a table") {
        let value = seen.get(key).unwrap_or_else(|| panic!("{case}: no {key} in {seen:#}"));
        match (value, wanted) {
            (Value::Null, Value::String(null)) if null == "null" => {}
            (Value::Array(seen), Value::Array(wanted)) if key == "signals" => {
                for signal in wanted {
                    assert!(seen.contains(signal), "{case}: no signal {signal} in {seen:?}");
                }
            }
            (Value::Array(seen), Value::Array(wanted)) => {
                assert_eq!(seen.len(), wanted.len(), "{case}: {key}: {seen:#?}");
                seen.iter().zip(wanted).for_each(|(seen, wanted)| subset(case, seen, wanted));
            }
            _ => assert_eq!(value, wanted, "{case}: {key} of {seen:#}"),
        }
    }
}
