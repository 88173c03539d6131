//! The asking side, for `gnomon-agent status`.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

const MAX_REPLY: u64 = 16 << 20;
const TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("no gnomon-agent answers on {}; start it with `gnomon-agent run`, or name its config file with --config", .0.display())]
    NotRunning(PathBuf),
    #[error("{}: {source}; ask as the user the agent runs as (root)", path.display())]
    Io { path: PathBuf, source: std::io::Error },
    #[error("{}: unexpected reply: {reason}; is the agent of the same version?", path.display())]
    Reply { path: PathBuf, reason: String },
}

/// Asks the daemon behind `socket` for its status.
pub fn status(socket: &Path) -> Result<serde_json::Value, ClientError> {
    let io = |source| ClientError::Io { path: socket.to_owned(), source };
    let mut stream = UnixStream::connect(socket).map_err(|e| match e.kind() {
        ErrorKind::NotFound | ErrorKind::ConnectionRefused => ClientError::NotRunning(socket.to_owned()),
        _ => io(e),
    })?;
    stream.set_read_timeout(Some(TIMEOUT)).map_err(io)?;
    stream.set_write_timeout(Some(TIMEOUT)).map_err(io)?;
    stream.write_all(b"{\"cmd\":\"status\"}\n").map_err(io)?;
    let mut reply = Vec::new();
    stream.take(MAX_REPLY).read_to_end(&mut reply).map_err(io)?;
    let wrong = |reason: String| ClientError::Reply { path: socket.to_owned(), reason };
    let value: serde_json::Value = serde_json::from_slice(&reply).map_err(|e| wrong(e.to_string()))?;
    match value.get("error") {
        Some(error) => Err(wrong(error.to_string())),
        None => Ok(value),
    }
}
