//! Checks of single values. They run inside serde, so that the error carries the place of the value.

use std::path::PathBuf;

use serde::{Deserialize, Deserializer, de::Error};

use super::{Collector, Token};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCollector {
    #[serde(deserialize_with = "address")]
    address: String,
    #[serde(default, deserialize_with = "server_name")]
    server_name: Option<String>,
    token: Option<String>,
    token_file: Option<PathBuf>,
    #[serde(default = "default_heartbeat", deserialize_with = "heartbeat")]
    heartbeat_secs: u64,
}

impl TryFrom<RawCollector> for Collector {
    type Error = &'static str;

    fn try_from(raw: RawCollector) -> Result<Self, Self::Error> {
        let token = match (raw.token, raw.token_file) {
            (Some(_), Some(_)) => return Err("expected `token` or `token_file`, not both"),
            (Some(token), None) => Some(Token::Inline(token)),
            (None, file) => file.map(Token::File),
        };
        Ok(Self {
            address: raw.address,
            server_name: raw.server_name,
            token,
            heartbeat_secs: raw.heartbeat_secs,
        })
    }
}

fn default_heartbeat() -> u64 {
    10
}

pub(super) fn at_least_64_kib<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    let value = u64::deserialize(from)?;
    // SQLite holds integers as i64.
    if (64 << 10..=i64::MAX as u64).contains(&value) {
        Ok(value)
    } else {
        Err(D::Error::custom("expected a number of bytes, at least 65536"))
    }
}

pub(super) fn ring_bytes<'de, D: Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
    let value = u64::deserialize(from)?;
    match u32::try_from(value) {
        Ok(bytes) if bytes.is_power_of_two() && (64 << 10..=1 << 30).contains(&bytes) => Ok(bytes),
        _ => Err(D::Error::custom(format!(
            "expected a power of two between 65536 (64 KiB) and 1073741824 (1 GiB), found {value}"
        ))),
    }
}

fn heartbeat<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    match u64::deserialize(from)? {
        seconds @ 1..=3600 => Ok(seconds),
        other => Err(D::Error::custom(format!("expected seconds between 1 and 3600, found {other}"))),
    }
}

fn address<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let text = String::deserialize(from)?;
    match split_address(&text) {
        Some(_) => Ok(text),
        None => Err(D::Error::custom(format!(
            "expected HOST:PORT, such as \"collector.example.com:7443\" or \"[::1]:7443\", found {text:?}"
        ))),
    }
}

/// `HOST:PORT` with a host that can stand in a certificate.
pub(crate) fn split_address(text: &str) -> Option<(&str, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let port = port.parse().ok().filter(|p| *p != 0)?;
    let bare = match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']')?,
        None if host.contains(':') => return None,
        None => host,
    };
    rustls_pki_types::ServerName::try_from(bare).ok()?;
    Some((bare, port))
}

fn server_name<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    let text = String::deserialize(from)?;
    match rustls_pki_types::ServerName::try_from(text.as_str()) {
        Ok(_) => Ok(Some(text)),
        Err(_) => Err(D::Error::custom(format!("expected a DNS name or an IP address, found {text:?}"))),
    }
}

pub(super) fn log_filter<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    let text = String::deserialize(from)?;
    match tracing_subscriber::EnvFilter::try_new(&text) {
        Ok(_) => Ok(Some(text)),
        Err(e) => Err(D::Error::custom(format!(
            "expected error, warn, info, debug, trace or a filter such as gnomon_agent=debug: {e}"
        ))),
    }
}
