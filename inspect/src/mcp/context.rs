//! Where a JSON document was found: what the HTTP exchange around it says.

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::STANDARD};

use super::{
    is_revision,
    signals::{self, Evidence},
};
use crate::{Direction, Transport};

/// What the head of an HTTP request says. Default: the request was not seen.
#[derive(Debug, Default)]
pub(crate) struct HttpContext {
    pub(crate) http_method: Option<String>,
    pub(crate) host: Option<String>,
    pub(crate) path: Option<String>,
    /// From `Mcp-Session-Id`, or the query of the legacy endpoint.
    pub(crate) session: Option<String>,
    pub(crate) session_header: bool,
    pub(crate) legacy_query: bool,
    pub(crate) accept_both: bool,
    pub(crate) websocket_mcp: bool,
    /// `MCP-Protocol-Version`.
    pub(crate) version: Option<String>,
    /// `Mcp-Method`.
    pub(crate) mcp_method: Option<String>,
    /// `Mcp-Name`, decoded.
    pub(crate) mcp_name: Option<String>,
    /// Any header only 2026-07-28 has, `Mcp-Param-*` included.
    pub(crate) modern_header: bool,
}

impl HttpContext {
    /// Takes one header in.
    pub(crate) fn header(&mut self, name: &str, value: &str) {
        let is = |other: &str| name.eq_ignore_ascii_case(other);
        if is("mcp-session-id") {
            self.session = Some(super::clip(value.to_owned()));
            self.session_header = true;
        } else if is("mcp-protocol-version") {
            self.version = Some(super::clip(value.to_owned()));
        } else if is("mcp-method") {
            self.mcp_method = Some(super::clip(decode_header(value)));
            self.modern_header = true;
        } else if is("mcp-name") {
            self.mcp_name = Some(super::clip(decode_header(value)));
            self.modern_header = true;
        } else if is("accept") {
            self.accept_both |= value.contains("application/json") && value.contains("text/event-stream");
        } else if is("sec-websocket-protocol") {
            self.websocket_mcp |= value.split(',').any(|p| p.trim().eq_ignore_ascii_case("mcp"));
        } else if is("host") {
            // The authority of an absolute request target wins (RFC 9112 section 3.2.2).
            self.host.get_or_insert_with(|| super::clip(value.to_owned()));
        } else if starts_with_ignore_case(name, "mcp-param-") {
            self.modern_header = true;
        }
    }

    /// Takes the request target in: origin form, absolute form, or authority form.
    pub(crate) fn target(&mut self, target: &str) {
        let (authority, rest) = match target.split_once("://") {
            Some((scheme, rest)) if scheme.bytes().all(|b| b.is_ascii_alphanumeric()) => {
                let slash = rest.find(['/', '?']).unwrap_or(rest.len());
                (Some(&rest[..slash]), &rest[slash..])
            }
            _ => (None, target),
        };
        if let Some(authority) = authority {
            self.host = Some(super::clip(authority.to_owned()));
        }
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        self.path = Some(super::clip(if path.is_empty() { "/".to_owned() } else { path.to_owned() }));
        let session = query.split('&').find_map(|pair| {
            let (name, value) = pair.split_once('=')?;
            matches!(name, "sessionId" | "session_id").then_some(value)
        });
        if let Some(session) = session {
            self.session.get_or_insert_with(|| super::clip(session.to_owned()));
            self.legacy_query = path.contains("/message") || path.contains("/sse");
        }
    }

    /// Whether a header says that this can be nothing but MCP.
    pub(crate) fn certain(&self) -> bool {
        self.session_header || self.version.is_some() || self.modern_header || self.websocket_mcp
    }

    pub(crate) fn revision(&self) -> Option<&str> {
        self.version.as_deref().filter(|version| is_revision(version))
    }

    pub(crate) fn add_signals(&self, evidence: &mut Evidence) {
        evidence.add_if(self.modern_header, signals::HEADER_METHOD);
        evidence.add_if(self.session_header, signals::HEADER_SESSION);
        evidence.add_if(self.version.is_some(), signals::HEADER_VERSION);
        evidence.add_if(self.websocket_mcp, signals::HEADER_WEBSOCKET);
        evidence.add_if(self.accept_both, signals::ACCEPT_BOTH);
        evidence.add_if(self.legacy_query, signals::PATH_LEGACY);
        evidence.add_if(self.usual_place(), signals::PATH_MCP);
    }

    fn usual_place(&self) -> bool {
        let path = self.path.as_deref().is_some_and(|path| path.split('/').any(|p| p == "mcp" || p == "sse"));
        path || self.host.as_deref().is_some_and(|host| host.starts_with("mcp."))
    }
}

/// What the head of an HTTP response says.
#[derive(Debug, Default)]
pub(crate) struct ResponseContext {
    pub(crate) status: u16,
    pub(crate) session: Option<String>,
    pub(crate) version: Option<String>,
}

/// Where a document was found.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin<'a> {
    pub(crate) direction: Direction,
    pub(crate) transport: Transport,
    /// The HTTP request it belongs to.
    pub(crate) http: Option<&'a Arc<HttpContext>>,
    pub(crate) response: Option<&'a ResponseContext>,
    /// Which exchange of the connection.
    pub(crate) exchange: Option<u64>,
    /// The exchange's request was recognised as MCP.
    pub(crate) exchange_mcp: bool,
    /// An event stream that began with `endpoint`.
    pub(crate) legacy_stream: bool,
}

impl Origin<'_> {
    pub(crate) fn lines(direction: Direction) -> Self {
        Self {
            direction,
            transport: Transport::Stdio,
            http: None,
            response: None,
            exchange: None,
            exchange_mcp: false,
            legacy_stream: false,
        }
    }
}

/// Decodes the `=?base64?...?=` form of SEP-2243. Servers accept it for plain ASCII too, so it must always be decoded.
pub(crate) fn decode_header(value: &str) -> String {
    let value = value.trim();
    let inner = value
        .get(..9)
        .filter(|prefix| prefix.eq_ignore_ascii_case("=?base64?"))
        .and_then(|_| value[9..].strip_suffix("?="));
    match inner.map(|inner| STANDARD.decode(inner)) {
        Some(Ok(bytes)) => String::from_utf8_lossy(&bytes).into_owned(),
        _ => value.to_owned(),
    }
}

pub(crate) fn starts_with_ignore_case(text: &str, prefix: &str) -> bool {
    text.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_targets() {
        for (target, host, path, session) in [
            ("/mcp?x=1", None, "/mcp", None),
            ("http://mcp.example:81/mcp", Some("mcp.example:81"), "/mcp", None),
            ("http://a", Some("a"), "/", None),
            ("/message?sessionId=abc", None, "/message", Some("abc")),
            ("*", None, "*", None),
        ] {
            let mut context = HttpContext::default();
            context.target(target);
            assert_eq!(context.host.as_deref(), host);
            assert_eq!(context.path.as_deref(), Some(path));
            assert_eq!(context.session.as_deref(), session);
        }
    }

    #[test]
    fn sentinel_is_decoded() {
        assert_eq!(decode_header("=?base64?ZWNobw==?="), "echo");
        assert_eq!(decode_header("=?base64?!?="), "=?base64?!?=");
        assert_eq!(decode_header(" echo "), "echo");
    }
}
