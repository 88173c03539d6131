use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::config::{Log, LogFormat};

/// Logs go to stderr. What is logged is said by, in this order: `--log`, `RUST_LOG`, the config file, `info` for the
/// daemon (which has a config) and `warn` for the other commands.
pub fn init(flag: Option<&str>, config: Option<&Log>) {
    let environment = std::env::var("RUST_LOG").ok();
    let filter = flag
        .or(environment.as_deref())
        .or(config.and_then(|c| c.level.as_deref()))
        .unwrap_or(if config.is_some() { "info" } else { "warn" });
    let log = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_env_filter(EnvFilter::new(filter));
    // A second call, in tests, keeps the first one's settings.
    let _ = match config.map(|c| c.format) {
        Some(LogFormat::Json) => log.json().try_init(),
        Some(LogFormat::Text) | None => log.try_init(),
    };
}

pub(super) fn parse_filter(text: &str) -> Result<String, String> {
    match EnvFilter::try_new(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(e) => Err(e.to_string()),
    }
}
