//! The corpus: every method of every revision, evasions, look-alikes, data.

mod support;

use gnomon_inspect::{Direction, Kind, Transport};
use support::{cases, check, feed, messages};

macro_rules! corpus {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            let cases = cases(include_str!(concat!("../testdata/", stringify!($name), ".toml")));
            assert!(!cases.is_empty());
            cases.iter().for_each(check);
        })*
    };
}

corpus! { stdio http sse lookalikes evasions dlp auto }

/// Table 1.2 of the wire reference: method, who sends it.
const METHODS: &str = include_str!("../testdata/methods.txt");

#[test]
fn every_method_on_both_transports() {
    let mut count = 0;
    for line in METHODS.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let mut parts = line.splitn(3, ' ');
        let (who, method, params) = (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap());
        let (direction, kind) = match who {
            "client" => (Direction::Request, Kind::Request),
            "server" => (Direction::Response, Kind::Request),
            "client-notification" => (Direction::Request, Kind::Notification),
            "server-notification" => (Direction::Response, Kind::Notification),
            other => panic!("{other}"),
        };
        let id = if kind == Kind::Request { r#""id":7,"# } else { "" };
        let json = format!(r#"{{"method":"{method}","params":{params},{id}"jsonrpc":"2.0"}}"#);
        // Where a name is shared with other protocols, it takes MCP around it, as in every real session.
        let hello = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
        let steps = [
            (Direction::Request, format!("{hello}\n").into_bytes()),
            (direction, format!("{json}\n").into_bytes()),
        ];
        let items = feed(Transport::Stdio, &steps, 5);
        let seen = messages(&items);
        assert_eq!(seen.len(), 2, "{method} on stdio");
        assert_eq!((seen[1].method.as_deref(), seen[1].kind), (Some(method), kind));
        assert_eq!(seen[1].id.is_some(), kind == Kind::Request);
        count += 1;

        let session = "MCP-Protocol-Version: 2025-11-25\r\nMcp-Session-Id: s";
        let http = match direction {
            Direction::Request => vec![(
                direction,
                format!(
                    "POST /mcp HTTP/1.1\r\nHost: h\r\n{session}\r\nContent-Length: {}\r\n\r\n{json}",
                    json.len()
                ),
            )],
            Direction::Response => vec![
                (Direction::Request, format!("GET /mcp HTTP/1.1\r\nHost: h\r\n{session}\r\n\r\n")),
                (
                    direction,
                    format!("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: {json}\n\n"),
                ),
            ],
        };
        let steps: Vec<_> = http.into_iter().map(|(d, text)| (d, text.into_bytes())).collect();
        let items = feed(Transport::Http, &steps, 5);
        let seen = messages(&items);
        assert_eq!(seen.len(), 1, "{method} on http");
        assert_eq!((seen[0].method.as_deref(), seen[0].kind), (Some(method), kind));
        assert_eq!(seen[0].revision.as_deref(), Some("2025-11-25"));
    }
    assert_eq!(count, 39, "all methods of the reference table");
}

/// What TOML cannot hold: other encodings, and bytes that are none.
#[test]
fn other_encodings() {
    let json =
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"a":"~"}}}"#;
    let utf16: Vec<u8> = json.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let broken: Vec<u8> = json.bytes().map(|b| if b == b'~' { 0xff } else { b }).collect();
    for body in [utf16, broken] {
        let mut request =
            format!("POST /mcp HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
        request.extend_from_slice(&body);
        for piece in [1, usize::MAX] {
            let items = feed(Transport::Http, &[(Direction::Request, request.clone())], piece);
            let seen = messages(&items);
            assert_eq!(seen.len(), 1);
            assert_eq!((seen[0].tool.as_deref(), seen[0].size), (Some("echo"), body.len() as u64));
        }
    }
}
