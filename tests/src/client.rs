//! Real clients, one process each, driven a request at a time.
use std::{
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::json;

use crate::{mcp, paths};

/// What a client is told to wait at most. Far over what a stopped request may take: a time-out must show as one.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(20);

/// A whole session with an SDK, which retries and waits as it likes.
const SESSION_TIMEOUT: Duration = Duration::from_secs(60);

/// Clients that send MCP over HTTP, by the TLS they use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// curl: shared libssl, `SSL_write`, socket in the SSL object.
    Curl,
    /// CPython `requests`: shared libssl, `SSL_write_ex`, socket in the SSL object.
    Requests,
    /// CPython `httpx`, blocking.
    Httpx,
    /// CPython `httpx` on asyncio: memory BIO.
    HttpxAsync,
    /// Node's `fetch`: OpenSSL inside the node binary, memory BIO.
    NodeFetch,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::Curl, Self::Requests, Self::Httpx, Self::HttpxAsync, Self::NodeFetch];

    /// For messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Curl => "curl",
            Self::Requests => "requests",
            Self::Httpx => "httpx",
            Self::HttpxAsync => "httpx-async",
            Self::NodeFetch => "node-fetch",
        }
    }

    fn driver(self) -> Option<Command> {
        match self {
            Self::Curl => None,
            Self::NodeFetch => {
                let mut command = Command::new("node");
                command.arg(paths::fixture("clients/node_fetch.cjs"));
                Some(command)
            }
            Self::Requests | Self::Httpx | Self::HttpxAsync => {
                let mut command = Command::new(paths::python());
                command.arg(paths::fixture("clients/python_http.py")).arg(self.name());
                Some(command)
            }
        }
    }
}

/// How one request ended for the client.
#[derive(Debug, Clone, Deserialize)]
pub struct Outcome {
    /// HTTP status, when there was an answer.
    pub status: Option<u16>,
    /// Time from sending to answer or error, as the client measured it.
    pub ms: u64,
    /// What the client reported.
    pub error: Option<String>,
}

impl Outcome {
    /// Whether the server answered with success.
    pub fn passed(&self) -> bool {
        self.error.is_none() && self.status.is_some_and(|status| (200..300).contains(&status))
    }
}

/// A client that keeps its connections open between requests (curl: one process and connection per request).
#[derive(Debug)]
pub struct Client {
    kind: Kind,
    ca: PathBuf,
    driver: Option<Driver>,
}

#[derive(Debug)]
struct Driver {
    child: Child,
    input: ChildStdin,
    output: Receiver<String>,
}

impl Client {
    /// Starts a client that trusts the authority in the file `ca`.
    ///
    /// # Errors
    /// When it is not installed.
    pub fn start(kind: Kind, ca: &Path) -> Result<Self> {
        let driver = kind.driver().map(|mut command| Driver::start(&mut command, ca)).transpose();
        Ok(Self {
            kind,
            ca: ca.to_owned(),
            driver: driver.with_context(|| format!("client {}", kind.name()))?,
        })
    }

    /// Process id of a client that lives between requests.
    pub fn pid(&self) -> Option<u32> {
        self.driver.as_ref().map(|driver| driver.child.id())
    }

    /// Sends one MCP request and waits for its end.
    ///
    /// # Errors
    /// When the client itself failed, as opposed to its request.
    pub fn post(&mut self, url: &str, body: &str) -> Result<Outcome> {
        match &mut self.driver {
            None => curl(url, body, &self.ca),
            Some(driver) => driver.post(url, body),
        }
        .with_context(|| format!("client {}", self.kind.name()))
    }
}

impl Driver {
    fn start(command: &mut Command, ca: &Path) -> Result<Self> {
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

    fn post(&mut self, url: &str, body: &str) -> Result<Outcome> {
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

fn curl(url: &str, body: &str, ca: &Path) -> Result<Outcome> {
    let mut command = Command::new("curl");
    command
        .args([
            "--silent",
            "--show-error",
            "--output",
            "/dev/null",
            "--write-out",
            "%{http_code} %{time_total}",
            "--cacert",
        ])
        .arg(ca);
    command.args(["--max-time", &CLIENT_TIMEOUT.as_secs().to_string(), "--data-binary", body]);
    for (name, value) in mcp::HEADERS {
        command.arg("--header").arg(format!("{name}: {value}"));
    }
    let output = command.arg(url).output().context("cannot start curl")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let Some((status, seconds)) = text.split_once(' ') else { bail!("curl printed {text:?}") };
    let seconds: f64 = seconds.trim().parse().with_context(|| format!("curl printed {text:?}"))?;
    let status = status.parse().ok().filter(|code| *code != 0);
    let error = (!output.status.success()).then(|| String::from_utf8_lossy(&output.stderr).trim().to_owned());
    let ms = Duration::from_secs_f64(seconds).as_millis();
    Ok(Outcome { status, ms: u64::try_from(ms)?, error })
}

/// Official SDK clients, which run a whole MCP session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sdk {
    /// `@modelcontextprotocol/sdk` on Node.
    TypeScript,
    /// `mcp` on CPython.
    Python,
}

/// How a session ended for an SDK client.
#[derive(Debug, Clone, Deserialize)]
pub struct Session {
    /// Tools that the server listed.
    pub tools: Option<u32>,
    /// Text of the tool's answer.
    pub text: Option<String>,
    /// Whole session.
    pub ms: u64,
    /// What the SDK reported.
    pub error: Option<String>,
}

impl Sdk {
    /// Connects, lists tools, calls `tool`.
    ///
    /// # Errors
    /// When the client itself failed, as opposed to its session.
    pub fn session(self, url: &str, tool: &str, arguments: &serde_json::Value, ca: &Path) -> Result<Session> {
        let (runtime, script) = match self {
            Self::TypeScript => (PathBuf::from("node"), "clients/typescript_sdk.cjs"),
            Self::Python => (paths::python(), "clients/python_sdk.py"),
        };
        let output = Command::new("timeout")
            .arg(SESSION_TIMEOUT.as_secs().to_string())
            .arg(runtime)
            .arg(paths::fixture(script))
            .env("NODE_PATH", paths::node_modules())
            .args([url, tool, &arguments.to_string()])
            .env("SSL_CERT_FILE", ca)
            .env("NODE_EXTRA_CA_CERTS", ca)
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("cannot start the {self:?} SDK client"))?;
        let text = String::from_utf8_lossy(&output.stdout);
        let line = text.lines().last().unwrap_or_default();
        serde_json::from_str(line).with_context(|| {
            format!(
                "the {self:?} SDK client printed {text:?} and {:?}",
                String::from_utf8_lossy(&output.stderr)
            )
        })
    }
}
