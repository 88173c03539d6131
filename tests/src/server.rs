//! Real MCP servers from the npm and PyPI registries, on free loopback ports.
use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::{mcp, paths, pki::Pki, process::Process};

/// Starting Node or Python on a busy two-core machine.
const START: Duration = Duration::from_secs(60);

/// A port that is free now. The caller's server takes it at once; nothing else here listens on fixed ports.
///
/// # Errors
/// When there is none.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// A real MCP server.
#[derive(Debug)]
pub struct RealServer {
    /// Its process.
    pub process: Process,
    port: u16,
    scheme: &'static str,
    counts: Option<PathBuf>,
}

/// What arrived at [`RealServer::fastmcp_tls`], decrypted, as the server itself counted it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Counts {
    /// Request heads.
    pub requests: u64,
    /// Body bytes.
    pub body_bytes: u64,
}

impl RealServer {
    /// `@modelcontextprotocol/server-everything`, streamable HTTP in plaintext.
    ///
    /// # Errors
    /// When it is not installed or does not come up.
    pub fn everything(name: &str, logs: &Path) -> Result<Self> {
        let port = free_port()?;
        let mut command = Command::new("node");
        command
            .arg("--require")
            .arg(paths::fixture("servers/loopback_only.cjs"))
            .arg(paths::node_modules().join("@modelcontextprotocol/server-everything/dist/index.js"))
            .arg("streamableHttp")
            .env("PORT", port.to_string());
        Self::start(name, &mut command, port, "http", None, logs)
    }

    /// `fastmcp` behind TLS; counts what reaches it.
    ///
    /// # Errors
    /// When it is not installed or does not come up.
    pub fn fastmcp_tls(name: &str, pki: &Pki, logs: &Path) -> Result<Self> {
        let port = free_port()?;
        let counts = logs.join(format!("{name}.counts.json"));
        let mut command = Command::new(paths::python());
        command
            .arg(paths::fixture("servers/fastmcp_tls.py"))
            .arg(port.to_string())
            .args([&pki.cert, &pki.key, &counts]);
        Self::start(name, &mut command, port, "https", Some(counts), logs)
    }

    fn start(
        name: &str,
        command: &mut Command,
        port: u16,
        scheme: &'static str,
        counts: Option<PathBuf>,
        logs: &Path,
    ) -> Result<Self> {
        let mut process = Process::start(name, command, logs)?;
        process.ready(START, |_| TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok())?;
        Ok(Self { process, port, scheme, counts })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// `host:port` as clients write it in the URL, which is what policies match on.
    pub fn host(&self) -> String {
        format!("localhost:{}", self.port)
    }

    /// The MCP endpoint.
    pub fn url(&self) -> String {
        format!("{}://{}{}", self.scheme, self.host(), mcp::PATH)
    }

    /// What arrived so far.
    ///
    /// # Errors
    /// When this kind of server does not count.
    pub fn counts(&self) -> Result<Counts> {
        let path = self.counts.as_ref().context("this server does not count")?;
        serde_json::from_slice(&fs::read(path)?).with_context(|| format!("{}", path.display()))
    }
}
