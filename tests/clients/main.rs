//! The instruments of the other tests, tried without an agent: every client and server works, and recorders count right.
//! When a request is stopped elsewhere, it is not because the client could not have sent it.
use anyhow::Result;
use gnomon_tests::{
    client::{Client, Kind, Sdk},
    mcp,
    pki::Pki,
    recorder::Recorder,
    server::RealServer,
};
use serde_json::json;

#[test]
fn every_client_reaches_a_plain_and_a_tls_server() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let pki = Pki::create(dir.path())?;
    let servers = [Recorder::plain()?, Recorder::tls(&pki)?];
    for kind in Kind::ALL {
        for server in &servers {
            let before = server.received();
            let mut client = Client::start(kind, &pki.ca)?;
            let sent: Vec<String> = (1..=2).map(|id| mcp::echo_call(id, kind.name())).collect();
            for body in &sent {
                let outcome = client.post(&server.url(), body)?;
                assert!(outcome.passed(), "{kind:?} to {}: {outcome:?}", server.url());
            }
            let after = server.received();
            assert_eq!(
                after.body_bytes - before.body_bytes,
                sent.iter().map(String::len).sum::<usize>(),
                "{kind:?}"
            );
            assert_eq!(
                after.bodies[before.bodies.len()..],
                sent.iter().map(|s| s.clone().into_bytes()).collect::<Vec<_>>(),
                "{kind:?}"
            );
            // curl is one process, and one connection, per request; all others keep theirs.
            let connections = if kind == Kind::Curl { 2 } else { 1 };
            assert_eq!(after.connections - before.connections, connections, "{kind:?}");
        }
    }
    Ok(())
}

#[test]
fn sdk_clients_hold_a_session_with_real_servers() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let pki = Pki::create(dir.path())?;
    let everything = RealServer::everything("everything", dir.path())?;
    let counted = Recorder::in_front_of(everything.addr())?;
    let session =
        Sdk::TypeScript.session(&counted.url(), "echo", &json!({"message": "from TypeScript"}), &pki.ca)?;
    assert_eq!(session.error, None);
    assert_eq!(session.text.as_deref(), Some("Echo: from TypeScript"));
    let received = counted.received();
    assert!(
        received.bodies.iter().any(|body| String::from_utf8_lossy(body).contains("from TypeScript")),
        "{received:?}"
    );

    let fastmcp = RealServer::fastmcp_tls("fastmcp", &pki, dir.path())?;
    assert_eq!(fastmcp.counts()?.body_bytes, 0);
    let session = Sdk::Python.session(&fastmcp.url(), "echo", &json!({"message": "from Python"}), &pki.ca)?;
    assert_eq!(session.error, None);
    assert_eq!(session.text.as_deref(), Some("Echo: from Python"));
    assert!(fastmcp.counts()?.body_bytes > 0);
    Ok(())
}
