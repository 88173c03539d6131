use std::fs;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::StatusSource;

const MAX_REQUEST: u64 = 4096;
const MAX_CLIENTS: usize = 16;
const TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    #[error("control socket {}: {source}; check [control] socket and the permissions of its folder", path.display())]
    Socket { path: PathBuf, source: std::io::Error },
    #[error("control socket {}: another gnomon-agent answers there; stop it, or set another [control] socket", .0.display())]
    InUse(PathBuf),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    cmd: String,
}

/// Listens on `path` and returns the task that answers. Aborting the task closes the socket; its file stays, and the
/// next start replaces it.
pub fn serve(
    path: &Path,
    source: Arc<dyn StatusSource>,
) -> Result<impl Future<Output = ()> + Send + 'static, ControlError> {
    let listener = bind(path)?;
    Ok(accept(listener, source))
}

fn bind(path: &Path) -> Result<UnixListener, ControlError> {
    let failed = |source| ControlError::Socket { path: path.to_owned(), source };
    if let Some(folder) = path.parent() {
        fs::DirBuilder::new().recursive(true).mode(0o755).create(folder).map_err(failed)?;
    }
    match fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => {
            if std::os::unix::net::UnixStream::connect(path).is_ok() {
                return Err(ControlError::InUse(path.to_owned()));
            }
            fs::remove_file(path).map_err(failed)?;
        }
        // Anything else is somebody's file: binding fails and says so.
        _ => {}
    }
    let listener = UnixListener::bind(path).map_err(failed)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(failed)?;
    Ok(listener)
}

async fn accept(listener: UnixListener, source: Arc<dyn StatusSource>) {
    let clients = Arc::new(Semaphore::new(MAX_CLIENTS));
    loop {
        let Ok(permit) = clients.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let source = source.clone();
                tokio::spawn(async move {
                    // The client's trouble, not ours: it sees the closed connection.
                    let _ = timeout(TIMEOUT, answer(stream, source)).await;
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "control socket: cannot accept");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

async fn answer(mut stream: UnixStream, source: Arc<dyn StatusSource>) -> std::io::Result<()> {
    let (read, mut write) = stream.split();
    let mut line = Vec::new();
    BufReader::new(read.take(MAX_REQUEST)).read_until(b'\n', &mut line).await?;
    let reply = match serde_json::from_slice::<Request>(&line) {
        Ok(Request { cmd }) if cmd == "status" => {
            // May read /proc; must not hold up the runtime.
            tokio::task::spawn_blocking(move || source.status())
                .await
                .unwrap_or_else(|e| json!({"error": e.to_string()}))
        }
        Ok(Request { cmd }) => json!({"error": format!("unknown cmd {cmd:?}; known: \"status\"")}),
        Err(e) => {
            json!({"error": format!("expected {{\"cmd\":\"status\"}} and a line feed, within {MAX_REQUEST} bytes: {e}")})
        }
    };
    let mut line = reply.to_string();
    line.push('\n');
    write.write_all(line.as_bytes()).await?;
    write.shutdown().await
}
