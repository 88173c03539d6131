//! `agent.toml`: where things are and how much of the host they may use. What is allowed is the policy's business.
#![forbid(unsafe_code)]

mod check;
mod error;

use std::path::{Path, PathBuf};

use serde::Deserialize;

pub(crate) use check::split_address;
pub use error::ConfigError;

/// Read when no other file is named; may be missing.
pub const DEFAULT_PATH: &str = "/etc/gnomon/agent.toml";

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    pub policy: Policy,
    pub output: Output,
    pub spool: Spool,
    pub collector: Option<Collector>,
    pub capture: Capture,
    pub control: Control,
    pub log: Log,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// YAML policy document; without one the built-in policy decides.
    pub file: Option<PathBuf>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Output {
    /// Events as JSON Lines are appended to this file.
    pub jsonl: Option<PathBuf>,
    /// At this size the file becomes `PATH.1`, replacing the one before: at most two such sizes are on disk.
    #[serde(deserialize_with = "check::at_least_64_kib")]
    pub jsonl_max_bytes: u64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Spool {
    /// State folder of the agent: the spool, its key and certificate. Created with mode 0700.
    pub dir: PathBuf,
    /// Size of the encoded events that are kept while the collector does not take them.
    #[serde(deserialize_with = "check::at_least_64_kib")]
    pub max_bytes: u64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "check::RawCollector")]
pub struct Collector {
    /// `HOST:PORT`.
    pub address: String,
    /// The name the collector's certificate must bear, when it is not the host of `address`.
    pub server_name: Option<String>,
    /// Needed for the first start only.
    pub token: Option<Token>,
    pub heartbeat_secs: u64,
}

/// Where the enrolment token is.
#[derive(Clone)]
pub enum Token {
    Inline(String),
    File(PathBuf),
}

#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Capture {
    /// Size of the kernel's ring buffer.
    #[serde(deserialize_with = "check::ring_bytes")]
    pub ring_bytes: u32,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Control {
    /// Unix socket that `gnomon-agent status` asks.
    pub socket: PathBuf,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    pub format: LogFormat,
    /// A `tracing` filter, such as `info` or `gnomon_agent=debug`. `--log` and `RUST_LOG` come first.
    #[serde(deserialize_with = "check::log_filter")]
    pub level: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    #[default]
    Text,
    Json,
}

impl Config {
    /// Reads `path`; without one, [`DEFAULT_PATH`] if it exists, else the defaults.
    pub fn load(path: Option<&Path>) -> Result<Self, ConfigError> {
        let file = path.unwrap_or(Path::new(DEFAULT_PATH));
        match std::fs::read_to_string(file) {
            Ok(text) => Self::parse(file, &text),
            Err(e) if path.is_none() && e.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(reason) => Err(ConfigError::Read { file: file.to_owned(), reason }),
        }
    }

    /// Parses the text of `file`, which is only named in errors.
    pub fn parse(file: &Path, text: &str) -> Result<Self, ConfigError> {
        toml::from_str(text).map_err(|e| ConfigError::parse(file, text, &e))
    }
}

impl Default for Output {
    fn default() -> Self {
        Self { jsonl: None, jsonl_max_bytes: 64 << 20 }
    }
}

impl Default for Spool {
    fn default() -> Self {
        Self { dir: PathBuf::from("/var/lib/gnomon"), max_bytes: 256 << 20 }
    }
}

impl Default for Capture {
    fn default() -> Self {
        Self { ring_bytes: 8 << 20 }
    }
}

impl Default for Control {
    fn default() -> Self {
        Self { socket: PathBuf::from("/run/gnomon/agent.sock") }
    }
}

impl Token {
    /// The token itself, without the white space around it.
    pub fn read(&self) -> std::io::Result<String> {
        let text = match self {
            Self::Inline(text) => text.clone(),
            Self::File(path) => std::fs::read_to_string(path)?,
        };
        Ok(text.trim().to_owned())
    }
}

/// A token is a credential and stays out of logs.
impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Inline(_) => f.write_str("Inline(..)"),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
        }
    }
}

#[cfg(test)]
mod tests;
