//! A process that takes requests on standard input, one JSON object per line, and prints how each ended.
use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::Duration,
};

use anyhow::{Context, Result};
use serde_json::json;

use super::{CLIENT_TIMEOUT, Outcome};
use crate::mcp;

#[derive(Debug)]
pub(super) struct Driver {
    child: Child,
    input: ChildStdin,
    output: Receiver<String>,
}

impl Driver {
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(super) fn start(command: &mut Command, ca: &Path) -> Result<Self> {
        let mut child = command
            .env("SSL_CERT_FILE", ca)
            .env("NODE_EXTRA_CA_CERTS", ca)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", command.get_program().to_string_lossy()))?;
        let input = child.stdin.take().context("no stdin")?;
        let lines = BufReader::new(child.stdout.take().context("no stdout")?).lines();
        let (sender, output) = channel();
        // A thread, because a pipe cannot be read with a deadline.
        thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Ok(Self { child, input, output })
    }

    pub(super) fn post(&mut self, url: &str, body: &str) -> Result<Outcome> {
        let headers: serde_json::Map<_, _> =
            mcp::HEADERS.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        let request =
            json!({"url": url, "headers": headers, "body": body, "timeout_s": CLIENT_TIMEOUT.as_secs()});
        writeln!(self.input, "{request}")?;
        let line = self
            .output
            .recv_timeout(CLIENT_TIMEOUT + Duration::from_secs(10))
            .context("no answer from the driver")?;
        serde_json::from_str(&line).with_context(|| format!("driver printed {line:?}"))
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
