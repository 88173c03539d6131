//! The dashboard in a real browser. `SCREENSHOTS=DIR` keeps pictures of it.
#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a failed set-up ends the test")]

mod common;

use std::{path::PathBuf, time::Duration};

use common::{Collector, event};
use gnomon_collector::secret::Kind;
use gnomon_proto::v1::{Batch, Enforcement, Event, Finding, Health, Loss};

/// What an agent might send in a minute, with a hostile tool name in it.
fn events() -> Vec<Event> {
    let tools =
        ["search_docs", "echo", "<img src=x onerror=\"document.title='owned'\">", "read_file", "query"];
    let mut events: Vec<Event> = (1..=14)
        .map(|seq| {
            let mut e = event(seq);
            e.time_unix_nanos -= (14 - seq) * 3_700_000_000;
            let message = e.message.as_mut().unwrap();
            message.tool = tools[usize::try_from(seq).unwrap() % tools.len()].into();
            let process = e.process.as_mut().unwrap();
            process.pid = 4100 + u32::try_from(seq).unwrap();
            let decision = e.decision.as_mut().unwrap();
            match seq % 4 {
                0 => {
                    decision.rule = "shadow-servers".into();
                    decision.reason = "server is not sanctioned".into();
                    e.enforcement = Some(Enforcement {
                        technique: "drop".into(),
                        outcome: "stopped".into(),
                        body_bytes_left: 0,
                    });
                }
                1 => {
                    decision.verdict = "alert".into();
                    decision.rule = "secrets-in-arguments".into();
                    e.findings = vec![Finding {
                        detector: "aws-access-key-id".into(),
                        class: "credential".into(),
                        start: 14,
                        end: 34,
                        r#where: "params.arguments.text".into(),
                        confidence: 0.98,
                        validated: true,
                        redacted: "AKIA****************".into(),
                    }];
                }
                2 => {
                    decision.verdict = "allow".into();
                    let server = e.server.as_mut().unwrap();
                    server.host = "mcp.internal.example:8443".into();
                    server.address = "10.0.4.17:8443".into();
                    server.tls = true;
                    server.sanctioned_as = "internal-docs".into();
                    decision.rule = "sanctioned".into();
                    e.process.as_mut().unwrap().exe = "/usr/bin/python3.11".into();
                }
                _ => {
                    decision.mode = "observe".into();
                    decision.rule = "try-out".into();
                }
            }
            e
        })
        .collect();
    let stripped = |seq| Event { message: None, process: None, server: None, decision: None, ..event(seq) };
    let loss = Loss { what: "ring_full".into(), count: 3, bytes: 41_000 };
    events.push(Event { kind: "loss".into(), loss: Some(loss), ..stripped(15) });
    events.push(Event {
        kind: "policy".into(),
        note: "policy revision 7 is in force".into(),
        ..stripped(16)
    });
    events
}

fn health() -> Health {
    Health {
        hostname: "build-07.corp.example".into(),
        agent_version: "0.1.0".into(),
        kernel: "6.18.0-amd64".into(),
        policy_revision: 7,
        level: "prevent-by-drop".into(),
        messages: 1843,
        denied: 12,
        losses: vec![Loss { what: "ring_full".into(), count: 3, bytes: 41_000 }],
        spool_events: 2,
        spool_bytes: 1312,
        lacks: vec!["lsm: `bpf` is not in /sys/kernel/security/lsm".into()],
    }
}

async fn chromium(arguments: &[String]) -> String {
    let profile = tempfile::tempdir().unwrap();
    let run = tokio::process::Command::new("chromium")
        .args("--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync".split(' '))
        .args("--disable-background-networking --disable-component-update --hide-scrollbars".split(' '))
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .args(arguments)
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(Duration::from_secs(60), run).await.expect("in time").unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium: cargo test -p gnomon-collector --test browser -- --ignored"]
async fn an_ingested_event_appears_on_the_page_as_text() {
    let collector = Collector::start().await;
    let agent = collector.agent("m").await;
    let mut ship = collector.ship(&agent).await.unwrap();
    ship.send(Batch { epoch: "e".into(), events: events(), health: Some(health()) }).await.unwrap();

    let link = async |path: &str| {
        let link = collector.secret(Kind::Link, Duration::from_secs(60)).await;
        format!("http://{}/login?token={}{path}", collector.running.addresses.http, link.text())
    };
    let page = chromium(&["--virtual-time-budget=4000".into(), "--dump-dom".into(), link("").await]).await;
    assert_eq!(page.matches("data-event-id=").count(), 16, "{page}");
    assert!(page.contains("data-verdict=\"deny\"") && page.contains("stopped, 0 B left the host"));
    assert!(page.contains("&lt;img src=x onerror") && !page.contains("<title>owned"), "text stays text");
    assert!(page.contains("data-host-id=") && page.contains("data-sanctioned=\"true\""));
    assert!(page.contains("data-state=\"live\""), "the stream stands");

    if let Some(dir) = std::env::var_os("SCREENSHOTS").map(PathBuf::from) {
        for (name, size, view) in [
            ("events-1280", "1280,900", "#/events"),
            ("events-400", "400,1400", "#/events"),
            ("hosts-1280", "1280,900", "#/hosts"),
            ("servers-1280", "1280,600", "#/servers"),
            ("servers-400", "400,900", "#/servers"),
        ] {
            chromium(&[
                "--virtual-time-budget=4000".into(),
                format!("--window-size={size}"),
                format!("--screenshot={}", dir.join(format!("{name}.png")).display()),
                link(view).await,
            ])
            .await;
        }
    }
}
