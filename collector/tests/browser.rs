//! The dashboard in a real browser. `SCREENSHOTS=DIR` keeps pictures of it.
#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a failed set-up ends the test")]

#[path = "common/chromium.rs"]
mod chromium;
mod common;

use std::{path::PathBuf, time::Duration};

use chromium::Chromium;
use common::{Collector, event};
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

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium: cargo test -p gnomon-collector --test browser -- --ignored"]
async fn an_ingested_event_appears_on_the_page_as_text() {
    let collector = Collector::start().await;
    let agent = collector.agent("m").await;
    let mut browser = Chromium::start();

    browser.open(collector.running.admin_link.as_ref().unwrap());
    browser.wait_for("document.querySelector('#live')?.dataset.state === 'live'");
    browser.wait_for("!document.querySelector('#events-empty').hidden");

    let mut ship = collector.ship(&agent).await.unwrap();
    ship.send(Batch { epoch: "e".into(), events: events(), health: Some(health()) }).await.unwrap();
    browser.wait_for("document.querySelectorAll('#events tbody tr[data-event-id]').length === 16");
    browser.wait_for("document.querySelectorAll('#events tr[data-verdict=deny]').length === 6");
    browser.wait_for("document.querySelector('#events').textContent.includes('stopped, 0 B left the host')");
    browser.wait_for("document.querySelector('#events').textContent.includes('<img src=x onerror=')");
    assert_eq!(
        browser.evaluate("document.querySelectorAll('#events img').length + document.title"),
        "0Gnomon"
    );

    browser.evaluate("document.querySelector('#events tr[data-event-id] .expand').click()");
    browser.wait_for("document.querySelector('#events tr.detail pre')?.textContent.includes('revision 7')");
    browser.wait_for("document.querySelector('#hosts [data-state=online]') !== null");
    browser.wait_for("document.querySelectorAll('#servers tbody tr').length === 2");

    // Filtered by the collector, and live under the filter too.
    browser.evaluate("q.value = 'tool-99'; q.dispatchEvent(new Event('input', { bubbles: true }))");
    browser.wait_for("document.querySelectorAll('#events tr[data-event-id]').length === 0");
    browser.wait_for("document.querySelector('#live').dataset.state === 'live'");
    ship.send(Batch { epoch: "e".into(), events: vec![event(98), event(99)], health: None }).await.unwrap();
    browser.wait_for("document.querySelector('#events tr[data-event-id]')?.dataset.tool === 'tool-99'");
    assert_eq!(browser.evaluate("document.querySelectorAll('#events tr[data-event-id]').length"), 1);
    browser.evaluate("q.value = ''; q.dispatchEvent(new Event('input', { bubbles: true }))");
    browser.wait_for("document.querySelectorAll('#events tr[data-event-id]').length === 18");

    for width in [1280, 400] {
        browser.resize(width, 900, "light");
        let overflow = "document.documentElement.scrollWidth > document.documentElement.clientWidth";
        assert_eq!(browser.evaluate(overflow), false, "nothing to scroll sideways at {width} px");
    }
    if let Some(dir) = std::env::var_os("SCREENSHOTS").map(PathBuf::from) {
        browser.evaluate("document.querySelectorAll('.expand')[3].click()");
        for view in ["events", "hosts", "servers"] {
            browser.evaluate(&format!("location.hash = '#/{view}'"));
            for (width, height, scheme) in [(1280, 1000, "light"), (1280, 1000, "dark"), (400, 1400, "light")]
            {
                browser.resize(width, height, scheme);
                tokio::time::sleep(Duration::from_millis(600)).await;
                browser.screenshot(&dir.join(format!("{view}-{width}-{scheme}.png")));
            }
        }
    }
}
