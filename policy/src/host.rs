//! Host names as clients name them (RFC 9110 section 7.2, `Host` and `:authority`) and patterns over them.
//!
//! Comparison is on whole names, so that a name which merely contains a listed one never matches.

use std::net::Ipv6Addr;

use crate::glob::Glob;

/// Longest authority: 253 for a DNS name (RFC 1035), a trailing dot, a colon and a port.
const MAX_LEN: usize = 260;

/// An authority taken from traffic, in comparable form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Authority {
    /// Lower case, without trailing dot; IPv6 addresses in brackets and in the form of RFC 5952.
    name: String,
    /// Digits, compared as text; the port of the scheme when absent.
    port: Option<String>,
}

impl Authority {
    /// `None` for anything that is not a plain `name[:port]`: nothing matches it, so nothing sanctions it.
    pub(crate) fn parse(text: &str) -> Option<Authority> {
        let text = text.trim_matches([' ', '\t']);
        if text.len() > MAX_LEN {
            return None;
        }
        let (name, port) = split_port(text);
        let port = match port {
            None | Some("") => None,
            Some(digits) if digits.len() <= 5 && digits.bytes().all(|b| b.is_ascii_digit()) => {
                Some(digits.to_owned())
            }
            Some(_) => return None,
        };
        Some(Authority { name: normal_name(name)?, port })
    }
}

/// The name part of a pattern.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Name {
    /// Exactly this name.
    Exact(String),
    /// Any name below this one: the text after the star of `*.example.com`, with its dot.
    Below(String),
    /// Any other use of stars. Only in rules: it would be too easy to sanction a look-alike with it.
    Glob(Glob),
}

/// `name[:port]`, `[v6][:port]` or `*.name[:port]`. Without a port, any port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HostPattern {
    /// As in the document.
    pub(crate) source: String,
    pub(crate) name: Name,
    pub(crate) port: Option<u16>,
}

/// Ports that clients leave out of the authority because they are the default of `http` and `https`. The scheme is not
/// known where authorities are compared.
pub(crate) const DEFAULT_PORTS: [u16; 2] = [80, 443];

/// Why a pattern is refused, and what to write in its place.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BadHost {
    pub(crate) message: String,
    pub(crate) suggestion: Option<String>,
}

impl HostPattern {
    /// Parses a pattern; `globs` permits stars elsewhere than in a leading `*.`.
    pub(crate) fn parse(source: &str, globs: bool) -> Result<HostPattern, BadHost> {
        let bad = |message: &str| BadHost { message: message.to_owned(), suggestion: None };
        let instead = |message: &str, suggestion: &str| BadHost {
            message: message.to_owned(),
            suggestion: Some(suggestion.to_owned()),
        };
        if source.is_empty() || source.len() > MAX_LEN {
            return Err(bad("expected a host name, such as \"mcp.example.com\" or \"127.0.0.1:3001\""));
        }
        let after_scheme = source.split_once("://").map_or(source, |(_, rest)| rest);
        let authority = after_scheme.split('/').next().unwrap_or_default();
        if authority != source {
            return Err(instead("expected a host, not a URL", authority));
        }
        if !source.is_ascii() {
            return Err(bad("host names are ASCII: write an international name in its \"xn--\" form"));
        }
        if source.parse::<Ipv6Addr>().is_ok() {
            return Err(instead("an IPv6 address is written in brackets", &format!("[{source}]")));
        }
        let (name, port) = split_port(source);
        let port = match port.map(str::parse::<u16>) {
            None => None,
            Some(Ok(port)) if port != 0 => Some(port),
            Some(_) => return Err(bad("bad port: expected a number from 1 to 65535 after the colon")),
        };
        let lower = name.to_ascii_lowercase();
        let name = match lower.strip_prefix('*') {
            Some(below) if below.starts_with('.') && !below.contains('*') => {
                normal_name(&below[1..]).map(|name| Name::Below(format!(".{name}")))
            }
            _ if lower.contains('*') && globs => Some(Name::Glob(Glob::new(&lower).map_err(|e| bad(&e))?)),
            _ if lower.contains('*') => {
                return Err(bad(
                    "\"*\" may only stand for whole leading labels here, as in \"*.example.com\"",
                ));
            }
            _ => normal_name(&lower).map(Name::Exact),
        };
        let name =
            name.ok_or_else(|| bad("not a host name: expected letters, digits, \"-\" and single dots"))?;
        Ok(HostPattern { source: source.to_owned(), name, port })
    }

    /// True if the authority is one that this pattern names.
    pub(crate) fn matches(&self, authority: &Authority) -> bool {
        let name = match &self.name {
            Name::Exact(name) => *name == authority.name,
            // Not the bare name: an authority does not start with a dot.
            Name::Below(suffix) => authority.name.ends_with(suffix.as_str()),
            Name::Glob(glob) => glob.matches(&authority.name),
        };
        name && match (self.port, &authority.port) {
            (None, _) => true,
            (Some(port), None) => DEFAULT_PORTS.contains(&port),
            (Some(port), Some(digits)) => port.to_string() == *digits,
        }
    }
}

/// Splits at the colon of the port, leaving the colons of an IPv6 address alone.
fn split_port(text: &str) -> (&str, Option<&str>) {
    match text.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') && (name.ends_with(']') || !name.contains(':')) => {
            (name, Some(port))
        }
        _ => (text, None),
    }
}

/// The comparable form of a name, `None` if it is not one.
fn normal_name(name: &str) -> Option<String> {
    if let Some(inner) = name.strip_prefix('[') {
        let address: Ipv6Addr = inner.strip_suffix(']')?.parse().ok()?;
        return Some(format!("[{address}]"));
    }
    let name = name.strip_suffix('.').unwrap_or(name);
    let label_ok = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    name.split('.').all(label_ok).then(|| name.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::{Authority, HostPattern};

    fn matches(pattern: &str, host: &str) -> bool {
        let pattern = HostPattern::parse(pattern, true).unwrap();
        Authority::parse(host).is_some_and(|authority| pattern.matches(&authority))
    }

    #[test]
    fn whole_names_and_ports() {
        let cases = [
            ("mcp.example.com", "MCP.Example.com", true),
            ("mcp.example.com", "mcp.example.com:8443", true),
            ("mcp.example.com", "mcp.example.com.", true),
            ("mcp.example.com", "mcp.example.com.evil.tld", false),
            ("mcp.example.com", "xmcp.example.com", false),
            ("mcp.example.com", "mcp.example.com@evil.tld", false),
            ("mcp.example.com", "mcp.example.com:80@evil.tld", false),
            ("mcp.example.com", "mcp.example.com/x", false),
            ("mcp.example.com", "mcp-example.com", false),
            ("example.com", "notexample.com", false),
            ("*.example.com", "a.example.com", true),
            ("*.example.com", "a.b.example.com:1", true),
            ("*.example.com", "example.com", false),
            ("*.example.com", ".example.com", false),
            ("*.example.com", "notexample.com", false),
            ("*.example.com", "a.example.com.evil.tld", false),
            ("localhost:3001", "localhost:3001", true),
            ("localhost:3001", "localhost:3002", false),
            ("localhost:3001", "localhost:30011", false),
            ("localhost:3001", "localhost", false),
            ("mcp.example.com:443", "mcp.example.com", true),
            ("[::1]:3001", "[::1]:3001", true),
            ("[::1]:3001", "[0:0::1]:3001", true),
            ("[::1]", "[::1]:80", true),
            ("[::1]", "[::2]", false),
            ("10.*", "10.0.0.7:80", true),
            ("*", "anything", true),
            ("*", "", false),
        ];
        for (pattern, host, expected) in cases {
            assert_eq!(matches(pattern, host), expected, "{pattern} on {host}");
        }
    }

    #[test]
    fn bad_patterns_say_what_to_write() {
        let suggestion = |text| HostPattern::parse(text, false).unwrap_err().suggestion;
        assert_eq!(suggestion("https://mcp.example.com/mcp").as_deref(), Some("mcp.example.com"));
        assert_eq!(suggestion("::1").as_deref(), Some("[::1]"));
        for bad in
            ["", "a..b", "a b", "x:0", "x:70000", "x:", "mcp.*", "*", "*example.com", "exämple.com", "a@b"]
        {
            assert!(HostPattern::parse(bad, false).is_err(), "{bad:?}");
        }
    }
}
