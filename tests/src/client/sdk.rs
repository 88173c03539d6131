//! Clients that hold a whole MCP session through an official SDK.
use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::paths;

/// A whole session with an SDK, which retries and waits as it likes.
const SESSION_TIMEOUT: Duration = Duration::from_secs(60);

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
