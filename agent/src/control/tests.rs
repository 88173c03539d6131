use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use serde_json::{Value, json};
use tempfile::tempdir;

use super::*;

struct Fixed;

impl StatusSource for Fixed {
    fn status(&self) -> Value {
        json!({"health": {"hostname": "h"}, "probes": ["p"]})
    }
}

fn ask(socket: &std::path::Path, request: &[u8]) -> Value {
    let mut stream = UnixStream::connect(socket).unwrap();
    // The server may have answered, and closed, before a long request is through.
    let _ = stream.write_all(request);
    let mut reply = String::new();
    let _ = stream.read_to_string(&mut reply);
    serde_json::from_str(&reply).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_daemon_answers_and_refuses_what_it_does_not_know() {
    let dir = tempdir().unwrap();
    let socket = dir.path().join("run/agent.sock");
    let served = tokio::spawn(serve(&socket, Arc::new(Fixed)).unwrap());
    assert_eq!(std::fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);

    let path = socket.clone();
    tokio::task::spawn_blocking(move || {
        assert_eq!(client::status(&path).unwrap()["probes"], json!(["p"]));
        for wrong in
            [&b"{\"cmd\":\"stop\"}\n"[..], b"{}\n", b"\xff\n", b"[]\n", b"{\"cmd\":\"status\",\"x\":1}\n"]
        {
            assert!(ask(&path, wrong)["error"].is_string(), "{}", String::from_utf8_lossy(wrong));
        }
        ask(&path, &vec![b'x'; 1 << 20]);
        assert_eq!(client::status(&path).unwrap()["health"]["hostname"], "h", "still there");
    })
    .await
    .unwrap();

    assert!(matches!(serve(&socket, Arc::new(Fixed)).err(), Some(ControlError::InUse(_))));
    served.abort();
    let _ = served.await;
    assert!(matches!(client::status(&socket), Err(client::ClientError::NotRunning(_))));
    drop(serve(&socket, Arc::new(Fixed)).unwrap());
}

#[tokio::test]
async fn another_file_in_its_place_is_left_alone() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("file");
    std::fs::write(&path, "mine").unwrap();
    assert!(serve(&path, Arc::new(Fixed)).is_err());
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
}
