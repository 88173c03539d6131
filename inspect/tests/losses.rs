//! Gaps, caps and cut streams: what is lost is counted, what follows is found, nothing is invented.

mod support;

use gnomon_inspect::{Direction, Inspector, Item, Limits, Loss, Relevance, Transport};
use support::messages;

const LIST: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;

struct Feed {
    inspector: Inspector,
    out: Vec<Item>,
}

impl Feed {
    fn new(transport: Transport, limits: Limits) -> Self {
        Self { inspector: Inspector::new(transport, limits), out: Vec::new() }
    }

    fn push(&mut self, bytes: &str) -> &mut Self {
        self.inspector.push(Direction::Request, bytes.as_bytes(), &mut self.out);
        self
    }

    fn gap(&mut self, missing: u64) -> &mut Self {
        self.inspector.gap(Direction::Request, missing, &mut self.out);
        self
    }

    /// Ids of the messages, and losses, in order.
    fn finish(&mut self) -> (Vec<String>, Vec<(Loss, u64)>) {
        self.inspector.finish(Direction::Request, &mut self.out);
        let ids =
            messages(&self.out).iter().filter_map(|m| Some(m.id.as_ref()?.as_json().to_owned())).collect();
        let losses = self.out.iter().filter_map(|item| match item {
            Item::Truncated { what, bytes, .. } => Some((*what, *bytes)),
            _ => None,
        });
        (ids, losses.collect())
    }
}

fn post(id: u32, padding: usize) -> String {
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"t","pad":"{}"}}}}"#,
        "x".repeat(padding)
    );
    format!("POST /mcp HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

#[test]
fn a_gap_in_a_line_costs_that_line() {
    let mut feed = Feed::new(Transport::Stdio, Limits::default());
    feed.push(&LIST[..20]).gap(7).push(&LIST[27..]).push("\n").push(&LIST.replace(":1", ":2")).push("\n");
    assert_eq!(feed.finish(), (vec!["2".to_owned()], vec![(Loss::Gap, 27)]));
}

#[test]
fn the_rest_of_a_line_is_never_a_message() {
    let line = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":{"jsonrpc":"2.0","id":9,"method":"tools/list","q":"{\"jsonrpc\":\"2.0\",\"id\":8,\"method\":\"tools/list\"}"}}}"#;
    for lost in 1..line.len() {
        let mut feed = Feed::new(Transport::Stdio, Limits::default());
        feed.gap(lost as u64).push(&line[lost..]).push("\n");
        assert_eq!(feed.finish().0, Vec::<String>::new(), "after {lost}");
    }
}

#[test]
fn a_whole_line_after_a_gap_counts() {
    let mut feed = Feed::new(Transport::Stdio, Limits::default());
    feed.gap(100).push(LIST).push("\n");
    assert_eq!(feed.finish(), (vec!["1".to_owned()], vec![(Loss::Gap, 100)]));
}

#[test]
fn a_gap_in_a_body_of_known_length_costs_that_message() {
    let (first, second) = (post(1, 100), post(2, 0));
    let mut feed = Feed::new(Transport::Http, Limits::default());
    let at = first.len() - 60;
    feed.push(&first[..at]).gap(50).push(&first[at + 50..]).push(&second);
    let (ids, losses) = feed.finish();
    assert_eq!(ids, ["2"]);
    assert_eq!(losses.len(), 1);
    assert_eq!(losses[0].0, Loss::Gap);
}

#[test]
fn a_gap_over_the_end_of_a_message_is_hunted_past() {
    let all = [post(1, 50), post(2, 0), post(3, 0)];
    let mut feed = Feed::new(Transport::Http, Limits::default());
    // Lost: the end of the first message and the beginning of the second.
    let keep = all[0].len() - 30;
    feed.push(&all[0][..keep]).gap(60).push(&all[1][30..]).push(&all[2]);
    let (ids, losses) = feed.finish();
    assert_eq!(ids, ["3"]);
    assert!(matches!(losses[..], [(Loss::Gap, lost)] if lost > 60));
}

#[test]
fn a_line_of_four_mebibytes_is_whole_and_a_longer_one_is_cut() {
    for (size, lost) in [(4 << 20, 0), (5 << 20, 1)] {
        let line = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"t","arguments":"{}"}}}}"#,
            "x".repeat(size)
        );
        let mut feed = Feed::new(Transport::Stdio, Limits::default());
        for piece in line.as_bytes().chunks(65_536) {
            feed.push(std::str::from_utf8(piece).unwrap());
        }
        feed.push("\n").push(&LIST.replace(":1", ":2")).push("\n");
        let (ids, losses) = feed.finish();
        assert_eq!(ids, ["1", "2"]);
        assert_eq!(losses.len(), lost);
        let first = messages(&feed.out)[0];
        assert_eq!((first.tool.as_deref(), first.truncated), (Some("t"), lost == 1));
    }
}

#[test]
fn a_head_over_the_cap_is_counted() {
    let limits = Limits { head_bytes: 256, ..Limits::default() };
    let head = format!("POST /mcp HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(500));
    let mut feed = Feed::new(Transport::Http, limits);
    feed.push(&head).push(&post(2, 0));
    assert_eq!(feed.finish(), (vec!["2".to_owned()], vec![(Loss::Head, head.len() as u64)]));
}

#[test]
fn a_stopped_request_shows_its_beginning() {
    let body =
        r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"echo","arguments":{"m":"xxxx"}}}"#;
    let head = format!(
        "POST /mcp HTTP/1.1\r\nHost: h:1\r\nContent-Type: application/json\r\n\
         Accept: application/json, text/event-stream\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let seen = |bytes: &str| {
        let mut inspector = Inspector::new(Transport::Http, Limits::default());
        let mut items = Vec::new();
        inspector.push(Direction::Request, bytes.as_bytes(), &mut items);
        inspector.beginning(Direction::Request, &mut items);
        items
    };
    let cut = format!("{head}{}", &body[..body.len() - 6]);
    let [Item::Message(message)] = &seen(&cut)[..] else { panic!("one message") };
    assert!(message.truncated);
    assert_eq!((message.tool.as_deref(), message.host.as_deref()), (Some("echo"), Some("h:1")));
    assert!(seen(&head).is_empty(), "nothing in these headers proves MCP");
    let proved = head.replace("\r\n\r\n", "\r\nMcp-Session-Id: s\r\n\r\n");
    let [Item::Message(message)] = &seen(&proved)[..] else { panic!("one message") };
    assert_eq!(message.session.as_deref(), Some("s"));
}

#[test]
fn a_cut_stream_is_counted_and_gives_no_message() {
    let whole = post(1, 10);
    for end in 1..whole.len() {
        let mut feed = Feed::new(Transport::Http, Limits::default());
        feed.push(&whole[..end]);
        assert_eq!(feed.finish().0, Vec::<String>::new(), "cut at {end}");
    }
    let mut feed = Feed::new(Transport::Stdio, Limits::default());
    feed.push(&LIST[..30]);
    assert_eq!(feed.finish(), (vec![], vec![(Loss::EndOfStream, 30)]));
}

#[test]
fn a_batch_of_too_many_is_cut() {
    let limits = Limits { batch_messages: 3, ..Limits::default() };
    let mut feed = Feed::new(Transport::Stdio, limits);
    feed.push(&format!("[{}]\n", [LIST; 5].join(",")));
    let (ids, losses) = feed.finish();
    assert_eq!((ids.len(), losses.len()), (3, 1));
}

#[test]
fn a_flood_of_one_kind_of_data_hides_no_other() {
    let text = "203.0.113.7 ".repeat(5_000) + "AKIAIOSFODNN7EXAMPLE";
    let line = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"t","arguments":"{text}"}}}}"#
    );
    let mut feed = Feed::new(Transport::Stdio, Limits::default());
    feed.push(&line).finish();
    let message = messages(&feed.out)[0];
    assert!(message.findings_omitted > 0);
    assert_eq!(message.findings.last().unwrap().detector, "aws_access_key_id");
}

#[test]
fn relevance() {
    let mut feed = Feed::new(Transport::Http, Limits::default());
    assert_eq!(feed.inspector.relevance(), Relevance::Undecided { bytes: 0 });
    let other = "POST /api HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}";
    feed.push(other);
    assert_eq!(feed.inspector.relevance(), Relevance::Other { bytes: other.len() as u64 });
    feed.push("GET /mcp HTTP/1.1\r\nHost: h\r\nMCP-Protocol-Version: 2025-06-18\r\n\r\n");
    assert_eq!(feed.inspector.relevance(), Relevance::Mcp);
}

#[test]
fn long_texts_are_searched_in_blocks() {
    // Values on, before and after the seams of the blocks.
    let mut text = String::new();
    while text.len() < 400_000 {
        text.push_str("AKIAIOSFODNN7EXAMPLE ");
        text.push_str(&"lorem ipsum ".repeat(67));
    }
    let limits = Limits { findings: 10_000, ..Limits::default() };
    let mut feed = Feed::new(Transport::Text, limits);
    feed.push(&text).finish();
    let starts: Vec<u64> = support::findings(&feed.out).iter().map(|f| f.start).collect();
    let wanted: Vec<u64> = text.match_indices("AKIA").map(|(at, _)| at as u64).collect();
    assert_eq!(starts, wanted);
}

#[test]
fn data_in_a_cut_body_is_reported() {
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t","arguments":{"k":"AKIAIOSFODNN7EXAMPLE","more":""#;
    let post = |kind: &str| {
        format!("POST /mcp HTTP/1.1\r\nHost: h\r\nContent-Type: {kind}\r\nContent-Length: 9999\r\n\r\n{body}")
    };
    let cut = |limits: Limits, bytes: &str| {
        let mut feed = Feed::new(Transport::Http, limits);
        feed.push(bytes);
        let (ids, losses) = feed.finish();
        assert_eq!(ids, Vec::<String>::new(), "nobody acts on half a request");
        assert_eq!(losses, [(Loss::EndOfStream, body.len() as u64)]);
        support::findings(&feed.out).iter().map(|f| f.detector).collect::<Vec<_>>()
    };
    for kind in ["application/json", "application/x-www-form-urlencoded"] {
        assert_eq!(cut(Limits::default(), &post(kind)), ["aws_access_key_id"], "{kind}");
    }
    let quiet = Limits { search_other: false, ..Limits::default() };
    assert_eq!(cut(quiet, &post("application/json")), <[&str; 0]>::default());

    let media = post("image/png");
    let mut feed = Feed::new(Transport::Http, Limits::default());
    feed.push(&media);
    assert_eq!(feed.finish(), (vec![], vec![]));
    assert!(feed.out.is_empty(), "media is not read");
}

#[test]
fn data_that_a_beginning_has_shown_is_not_reported_again() {
    let mut feed = Feed::new(Transport::Http, Limits::default());
    feed.push(&post(1, 20).replace(&"x".repeat(20), "AKIAIOSFODNN7EXAMPLE").replace("}}", "}"));
    feed.inspector.beginning(Direction::Request, &mut feed.out);
    assert_eq!(messages(&feed.out)[0].findings.len(), 1);
    feed.finish();
    assert!(support::findings(&feed.out).is_empty());
}

#[test]
fn http2_is_counted_on_both_sides() {
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    let settings = b"\0\0\x06\x04\0\0\0\0\0\0\x03\0\0\0\x64\0\0\0\x04\x01\0\0\0\0";
    let (request, response) = ((Direction::Request, &preface[..]), (Direction::Response, &settings[..]));
    for transport in [Transport::Auto, Transport::Http] {
        // A server need not wait for the client.
        for steps in [[request, response], [response, request]] {
            for piece in [1, 5, usize::MAX] {
                let steps = steps.map(|(dir, bytes)| (dir, bytes.to_vec()));
                let lost = |direction, bytes| Item::Truncated { direction, what: Loss::Http2, bytes };
                assert_eq!(
                    support::feed(transport, &steps, piece),
                    [lost(Direction::Request, 33), lost(Direction::Response, 24)],
                    "{transport:?} {steps:?} in pieces of {piece}"
                );
            }
        }
    }
    assert_eq!(serde_json::to_value(Loss::Http2).unwrap(), "http2");

    let mut feed = Feed::new(Transport::Auto, Limits::default());
    feed.push("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").gap(100).push("x");
    assert_eq!(feed.finish(), (vec![], vec![(Loss::Http2, 125)]));
    let mut feed = Feed::new(Transport::Auto, Limits::default());
    feed.push("\x16\x03\x01");
    assert_eq!(feed.finish(), (vec![], vec![]), "not HTTP/2");
}

#[test]
fn a_gap_after_a_banner_costs_neither_data_nor_what_follows() {
    let mut feed = Feed::new(Transport::Auto, Limits::default());
    feed.push("key AKIAIOSFODNN7EXAMPLE\n").gap(5).push("more");
    assert_eq!(feed.finish(), (vec![], vec![(Loss::Gap, 5)]));
    assert_eq!(support::findings(&feed.out).len(), 1);
}
