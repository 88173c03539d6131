//! Properties: pieces do not matter, nothing panics, nothing grows without bound.

mod support;

use gnomon_inspect::{Direction, Inspector, Item, Limits, Transport};
use proptest::{prelude::*, sample::Index};
use support::{cases, feed};

type Steps = Vec<(Direction, Vec<u8>)>;

fn corpus() -> Vec<(Transport, Steps)> {
    [
        include_str!("../testdata/stdio.toml"),
        include_str!("../testdata/http.toml"),
        include_str!("../testdata/sse.toml"),
        include_str!("../testdata/lookalikes.toml"),
        include_str!("../testdata/evasions.toml"),
        include_str!("../testdata/auto.toml"),
    ]
    .iter()
    .flat_map(|text| cases(text))
    .map(|case| (case.transport, case.bytes()))
    .collect()
}

/// Cuts every step at the given places.
fn cut(steps: &Steps, cuts: &[Index]) -> Steps {
    let mut pieces = Vec::new();
    for (dir, bytes) in steps {
        let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        places.extend([0, bytes.len()]);
        places.sort_unstable();
        pieces.extend(places.windows(2).map(|pair| (*dir, bytes[pair[0]..pair[1]].to_vec())));
    }
    pieces
}

fn small() -> Limits {
    Limits { head_bytes: 512, message_bytes: 1024, pending_requests: 4, ..Limits::default() }
}

/// What an inspector may hold under `small()`: both directions of heads, messages (SSE holds a line and its data),
/// pending requests and exchanges with clipped texts, the text block, and the slack of growing vectors.
const SMALL_BOUND: usize = 256 << 10;

fn run(transport: Transport, steps: &Steps, limits: &Limits) -> (Vec<Item>, usize) {
    let mut inspector = Inspector::new(transport, limits.clone());
    let (mut out, mut most) = (Vec::new(), 0);
    for (dir, bytes) in steps {
        inspector.push(*dir, bytes, &mut out);
        most = most.max(inspector.buffered());
    }
    inspector.finish(Direction::Request, &mut out);
    inspector.finish(Direction::Response, &mut out);
    (out, most)
}

/// Bytes that are nearly a protocol: more of the code sees them than of noise.
fn nearly() -> impl Strategy<Value = Vec<u8>> {
    let parts = prop_oneof![
        Just(b"POST /mcp HTTP/1.1\r\n".to_vec()),
        Just(b"HTTP/1.1 200 OK\r\n".to_vec()),
        Just(b"Content-Length: 30\r\n".to_vec()),
        Just(b"Transfer-Encoding: chunked\r\n".to_vec()),
        Just(b"Content-Type: text/event-stream\r\n".to_vec()),
        Just(b"Content-Encoding: gzip\r\nMcp-Method: tools/call\r\n".to_vec()),
        Just(b"\r\n".to_vec()),
        Just(b"1f\r\n".to_vec()),
        Just(b"0\r\n\r\n".to_vec()),
        Just(b"event: endpoint\ndata: /x?sessionId=1\n\n".to_vec()),
        Just(b"data: ".to_vec()),
        Just(br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a"}}"#.to_vec()),
        Just(br#"{"jsonrpc":"2.0","id":1,"result":{"content":[]}}"#.to_vec()),
        Just(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec()),
        Just(b"Content-Type: application/x-www-form-urlencoded\r\n".to_vec()),
        Just(b"Server running on stdio\n".to_vec()),
        Just(b"An example:\n```\n".to_vec()),
        Just(b"\n".to_vec()),
        Just(b"[".to_vec()),
        Just(b"]\n".to_vec()),
        Just(b"AKIAIOSFODNN7EXAMPLE 4111111111111111 a@b.co +1 202 555 0143 eyJ -----BEGIN ".to_vec()),
        Just(vec![b'x'; 700]),
        proptest::collection::vec(any::<u8>(), 0..20),
    ];
    proptest::collection::vec(parts, 0..24).prop_map(|parts| parts.concat())
}

fn transport() -> impl Strategy<Value = Transport> {
    prop_oneof![Just(Transport::Auto), Just(Transport::Http), Just(Transport::Stdio), Just(Transport::Text)]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn pieces_of_the_corpus_do_not_matter(which: Index, cuts: Vec<Index>) {
        let corpus = corpus();
        let (transport, steps) = which.get(&corpus);
        prop_assert_eq!(feed(*transport, &cut(steps, &cuts), usize::MAX), feed(*transport, steps, usize::MAX));
    }

    #[test]
    fn pieces_of_hostile_bytes_do_not_matter(
        transport in transport(),
        request in nearly(),
        response in nearly(),
        cuts: Vec<Index>,
    ) {
        let steps = vec![(Direction::Request, request), (Direction::Response, response)];
        let (whole, _) = run(transport, &steps, &small());
        let (pieces, most) = run(transport, &cut(&steps, &cuts), &small());
        prop_assert_eq!(whole, pieces);
        prop_assert!(most <= SMALL_BOUND, "held {most}");
    }

    #[test]
    fn any_order_of_calls_is_bounded(
        transport in transport(),
        calls in proptest::collection::vec((any::<bool>(), 0u8..12, nearly()), 0..12),
    ) {
        let mut inspector = Inspector::new(transport, small());
        let mut out = Vec::new();
        for (request, call, bytes) in calls {
            let dir = if request { Direction::Request } else { Direction::Response };
            match call {
                0 => inspector.finish(dir, &mut out),
                1 => inspector.gap(dir, bytes.len() as u64, &mut out),
                _ => inspector.push(dir, &bytes, &mut out),
            }
            prop_assert!(inspector.buffered() <= SMALL_BOUND, "held {}", inspector.buffered());
        }
    }
}
