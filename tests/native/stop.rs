//! Every client, plaintext and TLS: shadow calls are stopped, approved ones beside them pass.
use anyhow::{Result, ensure};
use gnomon_tests::client::Kind;

use crate::stage::Stage;

fn stops(kind: Kind, tls: bool) -> Result<()> {
    let stage = Stage::with_agent()?;
    let servers = &stage.servers;
    let (approved, shadow) =
        if tls { (&servers.approved_tls, &servers.shadow_tls) } else { (&servers.approved, &servers.shadow) };
    let mut client = stage.client(kind)?;
    stage.expect_passed(&mut client, approved, "before")?;
    let event = stage.expect_stopped(&mut client, shadow, "shadow")?;
    ensure!(
        event.0.pointer("/server/tls").and_then(serde_json::Value::as_bool).unwrap_or_default() == tls,
        "{}",
        event.0
    );
    let exe = event.str("/process/exe");
    ensure!(exe.contains(program(kind)), "attributed to {exe:?}");
    if let Some(pid) = client.pid() {
        ensure!(
            event.number("/process/pid") == u64::from(pid),
            "attributed to another process than {pid}: {}",
            event.0
        );
    }
    // The approved connection of the same process, kept alive where the client does that, is not harmed.
    stage.expect_passed(&mut client, approved, "after")?;
    // Stopped once is not stopped by luck.
    for round in 0..5 {
        stage.expect_stopped(&mut client, shadow, &format!("again {round}"))?;
    }
    Ok(())
}

fn program(kind: Kind) -> &'static str {
    match kind {
        Kind::Curl => "curl",
        Kind::NodeFetch => "node",
        Kind::Requests | Kind::Httpx | Kind::HttpxAsync => "python",
    }
}

macro_rules! stops {
    ($($name:ident: $kind:ident, $tls:literal;)*) => {
        $(#[test]
        fn $name() -> Result<()> {
            stops(Kind::$kind, $tls)
        })*
    };
}

stops! {
    curl_plain: Curl, false;
    curl_tls: Curl, true;
    requests_plain: Requests, false;
    requests_tls: Requests, true;
    httpx_plain: Httpx, false;
    httpx_tls: Httpx, true;
    httpx_async_plain: HttpxAsync, false;
    httpx_async_tls: HttpxAsync, true;
    node_fetch_plain: NodeFetch, false;
    node_fetch_tls: NodeFetch, true;
}

/// A body over one TLS record (16 KiB) and over one TCP segment.
#[test]
fn large_bodies_are_stopped_too() -> Result<()> {
    let stage = Stage::with_agent()?;
    let text = "0123456789abcdef".repeat(8 << 10);
    for kind in [Kind::Curl, Kind::Requests, Kind::NodeFetch] {
        let mut client = stage.client(kind)?;
        for server in [&stage.servers.shadow, &stage.servers.shadow_tls] {
            stage.expect_stopped(&mut client, server, &text)?;
        }
        for server in [&stage.servers.approved, &stage.servers.approved_tls] {
            stage.expect_passed(&mut client, server, &text)?;
        }
    }
    Ok(())
}
