//! The compiled automaton against a reference: plain regular expressions tried at every position of the whole text,
//! and user space's own opinion of a host.
#![forbid(unsafe_code)]

use std::sync::LazyLock;

use gnomon_common::matcher::{Automaton, MAX_TRANSITIONS, MatchState, action, flag, settled};
use gnomon_policy::{Compiled, Policy, compile, parse};
use proptest::prelude::*;
use regex::bytes::Regex;

const POLICY: &str = r#"
schema: gnomon.policy/v1
revision: 1
servers:
  - id: a
    hosts: ["127.0.0.1:3001", "mcp.example.com", "*.tools.example.com", "[::1]:3001", "tls.example.org:443"]
defaults:
  unsanctioned: { action: deny }
"#;

static SUBJECT: LazyLock<(Policy, Compiled)> = LazyLock::new(|| {
    let policy = parse(POLICY).expect("policy");
    let compiled = compile(&policy, 9);
    (policy, compiled)
});

/// Written apart from the crate's own patterns, each anchored to the end of what has been seen.
static REFERENCE: LazyLock<Vec<(u8, Regex)>> = LazyLock::new(|| {
    let methods = "server/discover|subscriptions/listen|tools/(list|call)|resources/(list|templates/list|read|subscribe|\
                   unsubscribe|directory/read)|prompts/(list|get)|completion/complete|logging/setLevel|roots/list|\
                   sampling/createMessage|notifications/(initialized|elicitation/complete|\
                   (roots|tools|prompts|resources)/list_changed|resources/updated|subscriptions/acknowledged)";
    let (methods, method, version) = (escapable(methods), escapable("method"), escapable("protocolVersion"));
    let meta = escapable("io.modelcontextprotocol/");
    [
        (action::MCP_BODY, format!(r#""{method}"\s*:\s*"({methods})""#)),
        (action::MCP_BODY, format!(r#""{version}"\s*:\s*"202[4-9]-\d\d-\d\d""#)),
        (action::MCP_BODY, format!(r#""{meta}[\w.-]+"\s*:"#)),
        (
            action::MCP_HEADER,
            r"\n(?i:mcp-session-id|mcp-protocol-version|mcp-method|mcp-name|mcp-param-[a-z0-9-]+)[ \t]*:"
                .into(),
        ),
        (action::HOST_LINE, r"\n(?i:host)[ \t]*:".into()),
        (action::HEADERS_END, r"\n\r?\n".into()),
        (action::HOST_SANCTIONED, r"\APRI \* HTTP/2\.0\r\n\r\nSM\r\n\r\n".into()),
    ]
    .map(|(bits, pattern): (u8, String)| {
        // JSON white space has no form feed, which \s has in ASCII mode.
        (bits, Regex::new(&format!(r"(?-u)(?:{})\z", pattern.replace(r"\s", r"[ \t\r\n]"))).expect("regex"))
    })
    .into()
});

/// Every letter, dot and slash of a pattern also as a JSON escape; groups and bars stay.
fn escapable(pattern: &str) -> String {
    pattern
        .chars()
        .map(|c| match c {
            '/' => r"(/|\\/|\\u002[Ff])".to_owned(),
            '.' => r"(\.|\\u002[Ee])".to_owned(),
            '_' => r"(_|\\u005[Ff])".to_owned(),
            c if c.is_ascii_alphabetic() => format!(r"({c}|\\u00(?i:{:02x}))", u32::from(c)),
            c => c.to_string(),
        })
        .collect()
}

static HOST_LINE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?-u)\n(?i:host):[ \t]*([^\r\n]*?)[ \t]*\r?\n\z").expect("regex"));

fn reference_actions(policy: &Policy, seen: &[u8]) -> u8 {
    let mut bits =
        REFERENCE.iter().filter(|(_, regex)| regex.is_match(seen)).fold(0, |bits, (bit, _)| bits | bit);
    if let Some(host) = HOST_LINE.captures(seen).and_then(|c| std::str::from_utf8(c.get(1)?.as_bytes()).ok())
        && policy.sanctioned(host).is_some()
    {
        bits |= action::HOST_SANCTIONED;
    }
    bits
}

fn run(automaton: &Automaton, pieces: &[&[u8]]) -> MatchState {
    let mut state = MatchState::default();
    for piece in pieces {
        automaton.run(&mut state, piece);
    }
    state
}

fn flags(text: &str) -> u8 {
    run(&SUBJECT.1.automaton, &[text.as_bytes()]).flags
}

fn request(host: &str, body: &str) -> String {
    format!("POST /mcp HTTP/1.1\r\nHost: {host}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

const LIST: &str = r#"{"method":"tools/list","jsonrpc":"2.0","id":1}"#;

#[test]
fn unsanctioned_requests_are_recognised() {
    assert!(SUBJECT.1.enforce_unsanctioned);
    for host in [
        "mcp.example.com",
        "MCP.EXAMPLE.COM:8443",
        "127.0.0.1:3001",
        "x.y.tools.example.com",
        "[::1]:3001",
        "tls.example.org",
        "tls.example.org:443",
    ] {
        assert_eq!(flags(&request(host, LIST)) & (flag::MCP | flag::UNSANCTIONED), flag::MCP, "{host}");
    }
    for host in [
        "evil.tld",
        "mcp.example.com.evil.tld",
        "notmcp.example.com",
        "mcp.example.comx",
        "mcp.example.com evil",
        "mcp-example.com",
        "mcp.example.com@evil.tld",
        "mcp.example.com:80@evil.tld",
        "evil.tld/mcp.example.com",
        "127.0.0.1",
        "127.0.0.1:30011",
        "tools.example.com",
        "xtools.example.com",
        "a.tools.example.com.evil.tld",
        "[::1]",
        "tls.example.org:8443",
        "",
    ] {
        assert_ne!(flags(&request(host, LIST)) & flag::UNSANCTIONED, 0, "{host}");
    }
}

#[test]
fn every_way_to_write_mcp_counts() {
    let bodies = [
        "{\"method\" \n\t:      \"tools\\/call\"}",
        r#"{"method":"initialize","params":{"protocolVersion":"2025-06-18"}}"#,
        r#"{"_meta":{"io.modelcontextprotocol/clientInfo":{}}}"#,
        r#"{"method":"ping","method":"tools/list"}"#,
    ];
    for body in bodies {
        assert_ne!(flags(&request("evil.tld", body)) & flag::UNSANCTIONED, 0, "{body}");
    }
    let header = "POST / HTTP/1.1\r\nMcp-Session-Id: 1\r\nHost: evil.tld\r\n\r\n";
    assert_ne!(flags(header) & flag::UNSANCTIONED, 0);
    assert_ne!(flags(&header.replace('\r', "")) & flag::UNSANCTIONED, 0, "bare LF");
    assert_eq!(
        flags(&header.replace("evil.tld", "mcp.example.com")) & flag::UNSANCTIONED,
        0,
        "host after the header"
    );
}

#[test]
fn what_other_protocols_share_does_not_count() {
    let bodies = [
        r#"{"method":"ping"}"#,
        r#"{"method":"tasks/get"}"#,
        r#"{"method":"initialize","params":{"protocolVersion":1}}"#,
        r#"{"method":"initialize","params":{"protocolVersion":"0.3.0"}}"#,
        r#"{"method":"textDocument/hover"}"#,
        r#"{"text":"{\"method\":\"tools/list\",\"io.modelcontextprotocol/x\":1,\"protocolVersion\":\"2025-06-18\"}"}"#,
        r#"{"method":"tools/listing"}"#,
        r#"{"Method":"tools/list"}"#,
    ];
    for body in bodies {
        assert_eq!(flags(&request("evil.tld", body)) & flag::MCP, 0, "{body}");
    }
}

#[test]
fn a_second_request_is_judged_by_its_own_host() {
    let both = request("mcp.example.com", LIST) + &request("evil.tld", LIST);
    assert_ne!(flags(&both) & flag::UNSANCTIONED, 0);
    let quiet = request("evil.tld", "{}") + &request("mcp.example.com", LIST);
    assert_eq!(flags(&quiet) & flag::UNSANCTIONED, 0);
}

#[test]
fn escapes_in_keys_and_names_hide_nothing() {
    for body in [
        r#"{"jsonrpc":"2.0","id":1,"m\u0065thod":"tools/list"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools\/list"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"\u0074ools\u002Flist"}"#,
        r#"{"_meta":{"io\u002emodelcontextprotocol\/protocolVersion":"2026-07-28"}}"#,
    ] {
        assert_ne!(flags(&request("evil.tld", body)) & flag::UNSANCTIONED, 0, "{body}");
        assert_eq!(flags(&request("mcp.example.com", body)) & flag::UNSANCTIONED, 0, "{body}");
    }
}

#[test]
fn the_http2_preface_counts_only_at_the_start() {
    let body = format!("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n{LIST}");
    assert_ne!(flags(&request("evil.tld", &body)) & flag::UNSANCTIONED, 0);
}

#[test]
fn most_text_is_slept_through() {
    let a = &SUBJECT.1.automaton;
    let mut wake = a.wake;
    wake.sort_unstable();
    assert_eq!(wake, *b"\n\"");
    let idle = u32::from(a.idle);
    for byte in 0..=u8::MAX {
        assert_eq!(a.step(idle, byte) != idle, wake.contains(&byte), "{byte}");
        let word = u64::from_le_bytes([b'x', b'x', byte, b'x', b'x', b'x', b'x', b'x']);
        if wake.contains(&byte) {
            assert_ne!(a.stirs(word), 0);
        }
    }
    assert_eq!(a.stirs(u64::from_le_bytes(*b"text abc")), 0);
    assert_eq!(a.enter(idle, flag::SANCTIONED | flag::MCP), flag::SANCTIONED | flag::MCP);
}

#[test]
fn http2_is_left_to_user_space() {
    let stream = format!("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0{LIST}");
    assert_eq!(flags(&stream) & (flag::MCP | flag::UNSANCTIONED), flag::MCP);
}

#[test]
fn hundreds_of_hosts_fit() {
    let hosts: String = (0..200)
        .map(|i| match i % 4 {
            0 => format!("'team-{i}.mcp.internal.example.com', "),
            1 => format!("'*.tenant{i}.example{i}.net', "),
            2 => format!("'10.{i}.0.{i}:{}', ", 3000 + i),
            _ => format!("'server{i}.region-{}.cloud.example.org:443', ", i * 7919 % 1000),
        })
        .collect();
    let policy = parse(&POLICY.replace("\"127.0.0.1:3001\"", &format!("{hosts}\"127.0.0.1:3001\""))).unwrap();
    let compiled = compile(&policy, 1);
    assert!(compiled.enforce_unsanctioned, "{:?}", compiled.unplaced);
    let used = used_transitions(&compiled.automaton);
    assert!(used <= MAX_TRANSITIONS / 2, "{used}");
    for host in ["team-196.mcp.internal.example.com", "a.tenant197.example197.net:1", "10.198.0.198:3198"] {
        let state = run(&compiled.automaton, &[request(host, LIST).as_bytes()]);
        assert_eq!(state.flags & (flag::MCP | flag::UNSANCTIONED), flag::MCP, "{host}");
    }
    for host in
        ["team-197.mcp.internal.example.com", "tenant197.example197.net", "10.198.0.198:3199", "10.198.0.198"]
    {
        let state = run(&compiled.automaton, &[request(host, LIST).as_bytes()]);
        assert_ne!(state.flags & flag::UNSANCTIONED, 0, "{host}");
    }
}

#[test]
fn too_many_hosts_turn_kernel_enforcement_off() {
    // The first does not fit the table, the second is given up while it is being built.
    for count in [300u64, 1_000] {
        // Names without a common end, which no merging helps.
        let host = |i: u64| {
            let (a, b) = (i.wrapping_mul(0x9e37_79b9_7f4a_7c15), i.wrapping_mul(0xc2b2_ae3d_27d4_eb4f));
            format!("'{a:016x}{b:016x}.x{i}y'")
        };
        let hosts: Vec<String> = (0..count).map(host).collect();
        let policy = parse(&POLICY.replace("\"127.0.0.1:3001\"", &hosts.join(", "))).unwrap();
        let compiled = compile(&policy, 1);
        assert!(!compiled.enforce_unsanctioned);
        let remark = format!("servers: {} host patterns do not fit", count + 4);
        assert!(compiled.unplaced.iter().any(|why| why.starts_with(&remark)), "{:?}", compiled.unplaced);

        // It still sees MCP.
        let state = run(&compiled.automaton, &[request("evil.tld", LIST).as_bytes()]);
        assert_ne!(state.flags & flag::MCP, 0);
    }
}

fn used_transitions(automaton: &Automaton) -> usize {
    automaton.trans.iter().rposition(|target| *target != 0).map_or(0, |last| last + 1)
}

/// Near hosts of the policy: right ones, look-alikes, and broken ones.
fn host() -> impl Strategy<Value = String> {
    let before = vec!["", "", "", "x", "x.", "a.b.", "-", "_.", ".", "@", "evil.tld/", "[", " "];
    let name = vec![
        "mcp.example.com",
        "MCP.Example.Com",
        "mcp.example-com",
        "mcpxexample.com",
        "tools.example.com",
        "tools_example.com",
        "127.0.0.1",
        "127x0.0.1",
        "[::1]",
        "tls.example.org",
        "",
    ];
    let after = vec!["", "", "", ".", "..", "x", ".evil.tld", "@evil.tld", " ", "\t", "[", "]"];
    let port = vec!["", "", ":", ":443", ":3001", ":30011", ":0443", ":65536", ":123456", ":x", ":3001:3001"];
    let end = vec!["", "", " ", "\t ", ".", "@evil.tld", "/", "\u{c}"];
    let any = prop::sample::select::<&str>;
    (any(before), any(name), any(after), any(port), any(end))
        .prop_map(|(before, name, after, port, end)| format!("{before}{name}{after}{port}{end}"))
}

fn json_space() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["", "", " ", "\r\n\t ", "\n\n", "\u{c}", "x"])
}

/// Near anchors: each is one or two changes away from one that counts.
fn anchor() -> impl Strategy<Value = String> {
    let methods = vec![
        "tools/call",
        "tools\\/list",
        "tools\\\\/list",
        "Tools/call",
        "tools/calls",
        "tools/",
        "ping",
        "initialize",
        "notifications/tools/list_changed",
        "notifications\\/tools/list_changed",
        "notifications/progress",
    ];
    let methods = prop::sample::select(methods);
    let keys =
        prop::sample::select(vec!["\"method\"", "\\\"method\\\"", "\"method", "\"Method\"", "method\""]);
    let dates = prop::sample::select(vec!["2025-06-18", "2023-06-18", "2026-7-28", "0.3.0", "2026-07-28x"]);
    let names = prop::sample::select(vec!["/clientInfo\"", "\\/x-y.z\"", "/\"", "x\"", "/a\\\"", "/a b\""]);
    let headers = prop::sample::select(vec![
        "mcp-session-id",
        "MCP-Protocol-Version",
        "Mcp-Param-X-1",
        "mcp-param-",
        "mcp-names",
        "Host",
        "hosts",
        "x-host",
    ]);
    let line_ends = || prop::sample::select(vec!["\r\n", "\n", "\r\n\r\n", "\n\n", "\r", "\r\n\t"]);
    prop_oneof![
        (keys, json_space(), json_space(), methods).prop_map(|(k, a, b, m)| format!("{k}{a}:{b}\"{m}\"")),
        (json_space(), dates).prop_map(|(a, date)| format!("\"protocolVersion\":{a}\"{date}\"")),
        (names, json_space()).prop_map(|(name, a)| format!("\"io.modelcontextprotocol{name}{a}:")),
        (line_ends(), headers, json_space()).prop_map(|(line, header, a)| format!("{line}{header}{a}:")),
        (host(), line_ends(), line_ends()).prop_map(|(host, a, b)| format!("{a}Host: {host}{b}")),
        line_ends().prop_map(str::to_owned),
    ]
}

/// Anchors, pieces of them, and noise.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let cut = (anchor(), any::<prop::sample::Index>()).prop_map(|(text, at)| {
        let bytes = text.into_bytes();
        bytes[..at.index(bytes.len())].to_vec()
    });
    let piece = prop_oneof![
        6 => anchor().prop_map(String::into_bytes),
        2 => cut,
        1 => prop::collection::vec(any::<u8>(), 0..4),
        1 => Just(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec()),
    ];
    prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn agrees_with_the_reference_after_every_byte(text in stream()) {
        let (policy, compiled) = &*SUBJECT;
        let mut expected = MatchState::default();
        let mut found = MatchState::default();
        if text.first() == Some(&0) {
            // As if joined in the middle of HTTP/2.
            expected.flags = flag::SANCTIONED;
        }
        for end in 1..=text.len() {
            let bits = reference_actions(policy, &text[..end]);
            expected.flags = settled(expected.flags, bits);
            compiled.automaton.run(&mut found, &text[end - 1..end]);
            prop_assert_eq!(compiled.automaton.actions[found.state as usize], bits, "at {} of {:?}", end, text.escape_ascii().to_string());
            prop_assert_eq!(found.flags, expected.flags);
        }
    }

    #[test]
    fn any_split_gives_the_same_state(text in stream(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6)) {
        let automaton = &SUBJECT.1.automaton;
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
        cuts.extend([0, text.len()]);
        cuts.sort_unstable();
        let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &text[pair[0]..pair[1]]).collect();
        prop_assert_eq!(run(automaton, &pieces), run(automaton, &[&text]));
    }

    #[test]
    fn kernel_and_user_space_sanction_the_same_hosts(host in host()) {
        let (policy, compiled) = &*SUBJECT;
        let stopped = run(&compiled.automaton, &[request(&host, LIST).as_bytes()]).flags & flag::UNSANCTIONED != 0;
        prop_assert_eq!(stopped, policy.sanctioned(&host).is_none(), "{}", host);
    }
}
