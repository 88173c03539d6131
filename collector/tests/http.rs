//! The port for people: closed without a credential, and never a way to run what an event says.
#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a failed set-up ends the test")]

mod common;

use std::time::Duration;

use common::{Collector, batch, bearer, event, open, read_until, request};
use gnomon_proto::v1::Batch;

const PRIVATE: [&str; 10] = [
    "/",
    "/app.js",
    "/nothing",
    "/api/v1/events",
    "/api/v1/events/1",
    "/api/v1/hosts",
    "/api/v1/servers",
    "/api/v1/summary",
    "/api/v1/stream",
    "/api/v1/nothing",
];

fn cookie(head: &str) -> String {
    let line = head.lines().find(|line| line.starts_with("set-cookie:")).unwrap();
    assert!(line.contains("httponly") && line.contains("samesite=strict") && line.contains("max-age=43200"));
    line.to_owned()
}

/// The head is lower-cased by the helper, and a session is not: take it from the raw answer.
async fn log_in(collector: &Collector, path: &str) -> Option<String> {
    let mut socket = open(collector.running.addresses.http, "GET", path, &[]).await;
    let answer = read_until(&mut socket, "\r\n\r\n").await;
    let (_, rest) = answer.split_once("gnomon_session=")?;
    Some(format!("Cookie: theme=dark; gnomon_session={}", rest.split(';').next()?))
}

fn link_path(collector: &Collector) -> String {
    let link = collector.running.admin_link.clone().unwrap();
    assert_eq!(std::fs::read_to_string(collector.dir.path().join("admin-link")).unwrap(), link);
    link[link.find("/login").unwrap()..].to_owned()
}

#[tokio::test]
async fn nothing_private_without_a_credential() {
    let collector = Collector::start().await;
    let enrolment = collector.token(Duration::from_secs(60)).await;
    let stray = gnomon_collector::secret::Secret::generate().unwrap().text();
    let wrong = [
        String::new(),
        bearer(&stray),
        bearer(&format!("gna1.{stray}")),
        bearer(&enrolment),
        "Authorization: Basic YWRtaW46YWRtaW4=".into(),
        format!("Cookie: gnomon_session={stray}"),
        "Cookie: gnomon_session=".into(),
    ];
    for path in PRIVATE {
        for header in &wrong {
            let headers: &[&str] = if header.is_empty() { &[] } else { &[header] };
            let (status, head, body) = collector.get(path, headers).await;
            assert_eq!(status, 401, "{path} {header}");
            assert!(head.contains("content-security-policy: default-src 'self'") && head.contains("nosniff"));
            if path.starts_with("/api/") {
                assert!(serde_json::from_str::<serde_json::Value>(&body).unwrap()["error"].is_string());
            } else {
                assert!(body.contains("gnomon-collector link"), "the page says how to get in");
            }
        }
    }
    assert_eq!(collector.get("/healthz", &[]).await.0, 200);
}

#[tokio::test]
async fn an_admin_link_opens_one_session() {
    let collector = Collector::start().await;
    let path = link_path(&collector);
    assert_eq!(request(collector.running.addresses.http, "HEAD", &path, &[]).await.0, 405);
    let (status, head, _) = collector.get(&path, &[]).await;
    assert!(status == 303 && head.contains("location: /"));
    cookie(&head);
    let (status, _, body) = collector.get(&path, &[]).await;
    assert!(status == 403 && body.contains("gnomon-collector link"), "{status} {body}");
    assert!(!collector.dir.path().join("admin-link").exists(), "a used link is not left on the disk");
    for wrong in ["/login", "/login?token=", "/login?token=x", "/login?other=1"] {
        assert_eq!(collector.get(wrong, &[]).await.0, 403, "{wrong}");
    }
    let collector = collector.restart().await;
    assert!(collector.running.admin_link.is_none(), "there is an admin: no second link by itself");
}

#[tokio::test]
async fn a_session_and_an_api_token_open_every_page() {
    let collector = Collector::start().await;
    let session = log_in(&collector, &link_path(&collector)).await.unwrap();
    let api = bearer(&collector.api_token().await);
    for credential in [&session, &api] {
        for path in PRIVATE.iter().filter(|path| !path.contains("stream")) {
            let (status, ..) = collector.get(path, &[credential]).await;
            let expected = if path.ends_with("nothing") || path.ends_with("/1") { 404 } else { 200 };
            assert_eq!(status, expected, "{path}");
        }
    }
    let both = ["Authorization: Bearer gna1.wrong", session.as_str()];
    assert_eq!(collector.get("/api/v1/hosts", &both).await.0, 401, "a wrong token does not pass by a cookie");
    let post = request(collector.running.addresses.http, "POST", "/api/v1/events", &[&api]).await;
    assert_eq!(post.0, 405);
}

#[tokio::test]
async fn events_are_filtered_and_paged() {
    let collector = Collector::start().await;
    let agent = collector.agent("m").await;
    let mut events: Vec<_> = (1..=20).map(event).collect();
    events[4].decision.as_mut().unwrap().verdict = "allow".into();
    events[5].server.as_mut().unwrap().host = "50%_off.example".into();
    events[6].message.as_mut().unwrap().method = "initialize".into();
    let mut ship = collector.ship(&agent).await.unwrap();
    ship.send(Batch { epoch: "e".into(), events, health: None }).await.unwrap();

    let api = bearer(&collector.api_token().await);
    let seqs = async |query: &str| -> Vec<u64> {
        let (status, _, body) = collector.get(&format!("/api/v1/events?{query}"), &[&api]).await;
        assert_eq!(status, 200, "{query}: {body}");
        let json: serde_json::Value = serde_json::from_str(&body).unwrap();
        json["events"].as_array().unwrap().iter().map(|e| e["event"]["seq"].as_u64().unwrap()).collect()
    };
    assert_eq!(seqs("limit=3").await, [20, 19, 18]);
    assert_eq!(seqs("limit=2&before=5").await, [4, 3]);
    assert_eq!(seqs("limit=2&after=5").await, [6, 7]);
    assert_eq!(seqs("verdict=allow&q=").await, [5]);
    assert_eq!(seqs("method=initialize").await, [7]);
    assert_eq!(seqs("q=%25_OFF").await, [6]);
    for wildcard in ["q=tool_12", "q=tool%2512"] {
        assert_eq!(seqs(wildcard).await, [0; 0], "wildcards stand for themselves: {wildcard}");
    }
    assert_eq!(seqs("q=tool-12").await, [12]);
    assert_eq!(seqs("host=web-1&limit=1").await, [20]);
    assert_eq!(seqs(&format!("host={}&limit=1", agent.id)).await, [20]);
    assert_eq!(seqs("host=other").await, [0; 0]);
    assert_eq!(seqs("server=203.0.113.7:443&limit=1&since=1h").await, [20]);
    assert_eq!(seqs("until=1h").await, [0; 0]);

    for wrong in [
        "limit=0",
        "limit=501",
        "limit=x",
        "unknown=1",
        "before=x",
        "since=now",
        &format!("q={}", "x".repeat(257)),
    ] {
        let (status, _, body) = collector.get(&format!("/api/v1/events?{wrong}"), &[&api]).await;
        assert!(status == 400 && body.starts_with("{\"error\":"), "{wrong}: {status} {body}");
    }
    let (_, _, one) = collector.get("/api/v1/events/1", &[&api]).await;
    assert!(one.contains("123457,"), "nanoseconds are not rounded: {one}");
}

#[tokio::test]
async fn a_live_stream_goes_on_where_it_was() {
    let collector = Collector::start().await;
    let agent = collector.agent("m").await;
    let mut ship = collector.ship(&agent).await.unwrap();
    ship.send(batch("e", 1..=3)).await.unwrap();
    let api = bearer(&collector.api_token().await);
    let http = collector.running.addresses.http;

    let mut now = open(http, "GET", "/api/v1/stream", &[&api]).await;
    read_until(&mut now, "open").await;
    ship.send(batch("e", 4..=4)).await.unwrap();
    let live = read_until(&mut now, "tool-4").await;
    assert!(live.contains("id: 4") && !live.contains("tool-3"), "only what is new: {live}");
    drop(now);

    ship.send(batch("e", 5..=450)).await.unwrap();
    let mut resumed = open(http, "GET", "/api/v1/stream?after=449", &[&api, "Last-Event-ID: 4"]).await;
    let missed = read_until(&mut resumed, "id: 450\n").await;
    let ids: Vec<u64> =
        missed.lines().filter_map(|line| line.strip_prefix("id: ")).map(|id| id.parse().unwrap()).collect();
    assert_eq!(ids, (5..=450).collect::<Vec<_>>());

    let (status, ..) = collector.get("/api/v1/stream", &[&api, "Last-Event-ID: x"]).await;
    assert_eq!(status, 400);
}

#[tokio::test]
async fn open_streams_do_not_keep_the_collector_from_stopping() {
    let collector = Collector::start().await;
    let agent = collector.agent("m").await;
    let ship = collector.ship(&agent).await.unwrap();
    let api = bearer(&collector.api_token().await);
    let mut stream = open(collector.running.addresses.http, "GET", "/api/v1/stream", &[&api]).await;
    read_until(&mut stream, "open").await;
    tokio::time::timeout(Duration::from_secs(3), collector.running.stop()).await.expect("stops at once");
    drop(ship);
}

#[tokio::test]
async fn markup_in_an_event_stays_text() {
    let collector = Collector::start().await;
    let agent = collector.agent("m").await;
    let script = "<script>alert(1)</script><img src=x onerror=alert(1)>\n\ndata: x";
    let mut hostile = event(1);
    hostile.message.as_mut().unwrap().tool = script.into();
    hostile.server.as_mut().unwrap().host = script.into();
    let mut ship = collector.ship(&agent).await.unwrap();
    ship.send(Batch { epoch: "e".into(), events: vec![hostile], health: None }).await.unwrap();

    let api = bearer(&collector.api_token().await);
    let (_, head, body) = collector.get("/api/v1/events", &[&api]).await;
    assert!(head.contains("content-type: application/json") && head.contains("nosniff"));
    let json: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(json["events"][0]["event"]["message"]["tool"], script);
    let mut stream = open(collector.running.addresses.http, "GET", "/api/v1/stream?after=0", &[&api]).await;
    let live = read_until(&mut stream, "onerror").await;
    assert!(!live.contains("\ndata: x"), "a line break in an event starts no field of the stream: {live}");

    let (_, _, page) = collector.get("/app.js", &[&api]).await;
    for way in
        ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "DOMParser", "eval(", "Function("]
    {
        assert!(!page.contains(way), "app.js makes no markup from text: {way}");
    }
    let (_, _, index) = collector.get("/", &[&api]).await;
    assert!(!index.contains("<script>") && !index.contains(" style=") && !index.contains(" onclick="));
}
