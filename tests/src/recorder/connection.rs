//! One connection of a recorder.
use std::{
    io::{ErrorKind, Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    thread,
};

use anyhow::Result;
use serde_json::Value;

use super::{
    READ_TIMEOUT, Shared, Stream,
    request::{Event, Requests},
};
use crate::mcp;

/// Answers every request; with keep-alive, as real MCP servers do.
pub(super) fn answer(mut stream: impl Stream, shared: &Shared) -> Result<()> {
    let mut requests = Requests::default();
    while let Some(bytes) = read(&mut stream, shared)? {
        for event in record(&mut requests, &bytes, shared)? {
            if let Event::End(body) = event {
                stream.write_all(reply(&body).as_bytes())?;
                stream.flush()?;
            }
        }
    }
    Ok(())
}

/// Passes everything on, both ways.
pub(super) fn forward(mut client: TcpStream, to: SocketAddr, shared: &Shared) -> Result<()> {
    let mut server = TcpStream::connect(to)?;
    server.set_read_timeout(Some(READ_TIMEOUT))?;
    server.set_nodelay(true)?;
    let (mut from_server, mut to_client) = (server.try_clone()?, client.try_clone()?);
    thread::scope(|scope| {
        scope.spawn(move || {
            while let Ok(Some(bytes)) = read(&mut from_server, shared) {
                if to_client.write_all(&bytes).is_err() {
                    break;
                }
            }
            let _ = to_client.shutdown(Shutdown::Both);
        });
        let outcome = client_side(&mut client, &mut server, shared);
        let _ = server.shutdown(Shutdown::Both);
        outcome
    })
}

fn client_side(client: &mut TcpStream, server: &mut TcpStream, shared: &Shared) -> Result<()> {
    let mut requests = Requests::default();
    while let Some(bytes) = read(client, shared)? {
        record(&mut requests, &bytes, shared)?;
        server.write_all(&bytes)?;
    }
    Ok(())
}

/// The next bytes; `None` when the peer closed or the recorder stops.
fn read(stream: &mut impl Read, shared: &Shared) -> Result<Option<Vec<u8>>> {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return Ok(None),
            Ok(length) => {
                buffer.truncate(length);
                return Ok(Some(buffer));
            }
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
                ) =>
            {
                if shared.stopped() {
                    return Ok(None);
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
}

fn record(requests: &mut Requests, bytes: &[u8], shared: &Shared) -> Result<Vec<Event>> {
    // Counted before it is parsed: bytes that are no HTTP arrived all the same.
    shared.received().bytes += bytes.len();
    let events = requests.feed(bytes)?;
    let mut received = shared.received();
    for event in &events {
        match event {
            Event::Head => received.heads += 1,
            Event::Body(length) => received.body_bytes += length,
            Event::End(body) => received.bodies.push(body.clone()),
        }
    }
    Ok(events)
}

fn reply(body: &[u8]) -> String {
    // A notification, or anything that is no request, has no id: 202 without a body (MCP, Transports).
    let id = serde_json::from_slice::<Value>(body).ok().and_then(|message| message.get("id").cloned());
    match id {
        Some(id) => {
            let text = mcp::result(&id);
            format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{text}",
                text.len()
            )
        }
        None => "HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n".to_owned(),
    }
}
