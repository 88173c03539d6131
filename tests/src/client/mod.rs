//! Real clients, one process each, driven a request at a time or a session at a time.
mod curl;
mod driver;
mod sdk;

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result};
use driver::Driver;
pub use sdk::{Sdk, Session};
use serde::Deserialize;

use crate::paths;

/// What a client is told to wait at most. Far over what a stopped request may take: a time-out must show as one.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(20);

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

    /// The command line of a client that takes requests on standard input; curl does not.
    fn driver(self) -> Option<Vec<OsString>> {
        match self {
            Self::Curl => None,
            Self::NodeFetch => Some(vec!["node".into(), paths::fixture("clients/node_fetch.cjs").into()]),
            Self::Requests | Self::Httpx | Self::HttpxAsync => {
                let script = paths::fixture("clients/python_http.py");
                Some(vec![paths::python().into(), script.into(), self.name().into()])
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
    wrapper: Vec<OsString>,
    ca: PathBuf,
    driver: Option<Driver>,
}

impl Client {
    /// Starts a client that trusts the authority in the file `ca`.
    ///
    /// # Errors
    /// When it is not installed.
    pub fn start(kind: Kind, ca: &Path) -> Result<Self> {
        Self::start_below(&[], kind, ca)
    }

    /// The same below a command that changes its surroundings, such as `unshare` or `env`, and then executes it.
    ///
    /// # Errors
    /// When it is not installed.
    pub fn start_below(wrapper: &[&str], kind: Kind, ca: &Path) -> Result<Self> {
        let mut client = Self {
            kind,
            wrapper: wrapper.iter().map(OsString::from).collect(),
            ca: ca.to_owned(),
            driver: None,
        };
        if let Some(words) = kind.driver() {
            let driver = Driver::start(&mut client.command(words)?, ca);
            client.driver = Some(driver.with_context(|| format!("client {}", kind.name()))?);
        }
        Ok(client)
    }

    /// Process id of a client that lives between requests.
    pub fn pid(&self) -> Option<u32> {
        self.driver.as_ref().map(Driver::pid)
    }

    /// Sends one MCP request and waits for its end.
    ///
    /// # Errors
    /// When the client itself failed, as opposed to its request.
    pub fn post(&mut self, url: &str, body: &str) -> Result<Outcome> {
        match &mut self.driver {
            Some(driver) => driver.post(url, body),
            None => curl::post(self.command(vec!["curl".into()])?, url, body, &self.ca),
        }
        .with_context(|| format!("client {}", self.kind.name()))
    }

    fn command(&self, words: Vec<OsString>) -> Result<Command> {
        let mut words = self.wrapper.iter().cloned().chain(words);
        let mut command = Command::new(words.next().context("nothing to execute")?);
        command.args(words);
        Ok(command)
    }
}
