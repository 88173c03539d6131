//! `events.jsonl`: a copy of the events for local tools, one JSON object per line.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use gnomon_proto::v1::Event;
use serde_json::Value;

use super::JournalError;

#[derive(Debug)]
pub(super) struct JsonLines {
    path: PathBuf,
    max_bytes: u64,
    file: File,
    length: u64,
    failing: bool,
}

impl JsonLines {
    pub(super) fn open(path: &Path, max_bytes: u64) -> Result<Self, JournalError> {
        let (file, length) =
            append_to(path).map_err(|source| JournalError::JsonLines { path: path.to_owned(), source })?;
        Ok(Self { path: path.to_owned(), max_bytes, file, length, failing: false })
    }

    /// Appends whole lines or nothing. A failure is logged, not returned: the spool has the events.
    pub(super) fn write(&mut self, events: &[Event]) {
        match self.try_write(events) {
            Ok(()) => {
                if std::mem::take(&mut self.failing) {
                    tracing::info!(file = %self.path.display(), "event file is written again");
                }
            }
            Err(error) => {
                // Ends the file after the last whole line.
                let _ = self.file.set_len(self.length);
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::error!(
                        file = %self.path.display(), %error,
                        "event file cannot be written: events are missing from it, but are in the spool"
                    );
                }
            }
        }
    }

    fn try_write(&mut self, events: &[Event]) -> std::io::Result<()> {
        if events.is_empty() {
            return Ok(());
        }
        let mut lines = Vec::new();
        for event in events {
            serde_json::to_writer(&mut lines, &object(event)?)?;
            lines.push(b'\n');
        }
        if !self.is_in_place()? {
            (self.file, self.length) = append_to(&self.path)?;
        }
        if self.length > 0 && self.length + lines.len() as u64 > self.max_bytes {
            let mut old = self.path.as_os_str().to_owned();
            old.push(".1");
            fs::rename(&self.path, old)?;
            (self.file, self.length) = append_to(&self.path)?;
        }
        self.file.write_all(&lines)?;
        self.length += lines.len() as u64;
        Ok(())
    }

    /// False when somebody (logrotate) moved or deleted the file.
    fn is_in_place(&self) -> std::io::Result<bool> {
        let ours = self.file.metadata()?;
        match fs::metadata(&self.path) {
            Ok(there) => Ok(there.dev() == ours.dev() && there.ino() == ours.ino()),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(e),
        }
    }
}

/// The event as a line: the wire form, its message as `gnomon-agent scan` prints one, with server, verdict and rule in
/// it and the id as the JSON value that it was, so that one reader serves both.
fn object(event: &Event) -> serde_json::Result<Value> {
    let mut object = serde_json::to_value(event)?;
    let (Some(message), Some(wire)) =
        (object.get_mut("message").and_then(Value::as_object_mut), &event.message)
    else {
        return Ok(object);
    };
    if !wire.id.is_empty() {
        message
            .insert("id".into(), serde_json::from_str(&wire.id).unwrap_or_else(|_| wire.id.clone().into()));
    }
    if let Some(server) = &event.server {
        message.insert("server".into(), server.host.clone().into());
    }
    if let Some(decision) = &event.decision {
        message.insert("verdict".into(), decision.verdict.clone().into());
        message.insert("rule".into(), decision.rule.clone().into());
    }
    Ok(object)
}

/// Opens `path` for appending, after its last whole line; a line that a crash cut off is removed.
fn append_to(path: &Path) -> std::io::Result<(File, u64)> {
    if let Some(folder) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let mut file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)?;
    let length = file.metadata()?.len();
    let whole = end_of_last_line(&mut file, length)?;
    if whole < length {
        file.set_len(whole)?;
    }
    Ok((file, whole))
}

fn end_of_last_line(file: &mut File, length: u64) -> std::io::Result<u64> {
    const STEP: u64 = 64 << 10;
    let mut end = length;
    let mut block = Vec::new();
    while end > 0 {
        let start = end.saturating_sub(STEP);
        file.seek(SeekFrom::Start(start))?;
        block.clear();
        (&*file).take(end - start).read_to_end(&mut block)?;
        if let Some(newline) = block.iter().rposition(|&b| b == b'\n') {
            return Ok(start + newline as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use gnomon_proto::v1::{Decision, Message, Server};

    #[test]
    fn a_message_reads_as_scan_prints_it() {
        let event = Event {
            kind: "message".into(),
            message: Some(Message { method: "tools/call".into(), id: "7".into(), ..Message::default() }),
            server: Some(Server { host: "h:1".into(), ..Server::default() }),
            decision: Some(Decision { verdict: "deny".into(), rule: "r".into(), ..Decision::default() }),
            ..Event::default()
        };
        let message = &object(&event).unwrap()["message"];
        assert_eq!(
            (&message["id"], &message["server"], &message["verdict"], &message["rule"]),
            (&Value::from(7), &Value::from("h:1"), &Value::from("deny"), &Value::from("r"))
        );
        assert!(object(&Event { kind: "loss".into(), ..Event::default() }).unwrap().get("message").is_none());
    }
}
