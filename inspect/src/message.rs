//! One MCP message.

use serde::ser::{Serialize, SerializeStruct, Serializer};
use serde_json::value::RawValue;

use crate::{Direction, Finding, Transport};

/// One JSON-RPC message recognised as MCP. Serialises to the shape of `gnomon-agent scan`.
///
/// Strings taken from the wire are cut at [`Message::MAX_TEXT`] bytes.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Message {
    /// How it travelled; never [`Transport::Auto`].
    pub transport: Transport,
    /// Which way it travelled. A server may send requests too (`sampling/createMessage`).
    pub direction: Direction,
    /// MCP revision (`2025-11-25`) as declared by this message, its headers, or earlier on the connection.
    pub revision: Option<String>,
    pub kind: Kind,
    /// JSON-RPC method; for a response, that of its request (or, when the request was not seen, the one method whose
    /// result has this shape).
    pub method: Option<String>,
    /// `params.name` of `tools/call`; for a response, that of its request.
    pub tool: Option<String>,
    /// `params.name` of `prompts/get`; for a response, that of its request.
    pub prompt: Option<String>,
    /// `params.uri` of the `resources/*` methods; for a response, that of its request.
    pub uri: Option<String>,
    pub id: Option<Id>,
    /// `Mcp-Session-Id`, or `sessionId` of the legacy endpoint URI.
    pub session: Option<String>,
    /// Self-declared name of the client; not proof of anything.
    pub client_name: Option<String>,
    /// Self-declared name of the server; not proof of anything.
    pub server_name: Option<String>,
    /// HTTP authority the client named.
    pub host: Option<String>,
    /// HTTP path, without query.
    pub path: Option<String>,
    pub http_method: Option<String>,
    /// HTTP status of a response.
    pub status: Option<u16>,
    /// 0 to 1, from `signals` (see `mcp::signals`).
    pub confidence: f64,
    /// Names of the signals that made this MCP, strongest evidence of the message itself first.
    pub signals: Vec<&'static str>,
    /// Bytes of the JSON-RPC message on the wire.
    pub size: u64,
    /// SHA-256 of those bytes, hexadecimal; of the part inspected when `truncated`; empty when none could be.
    pub sha256: String,
    pub findings: Vec<Finding>,
    /// At least so many findings over [`Limits::findings`](crate::Limits::findings) are not listed.
    pub findings_omitted: u64,
    /// A JSON-RPC error, or a tool result with `isError`.
    pub error: bool,
    /// A key that decides (`method`, `params`, `name`, ...) is given twice. The last one is reported; a server whose
    /// parser takes the first one acts on something else.
    pub duplicate_keys: bool,
    /// `Mcp-Method`, `Mcp-Name` or `MCP-Protocol-Version` says something else than the body. The body is reported.
    pub header_mismatch: bool,
    /// The body was over the cap or encoded: what is reported comes from its beginning or from the headers alone.
    pub truncated: bool,
}

impl Message {
    /// Longest text copied from the wire into a field, in bytes.
    pub const MAX_TEXT: usize = 1024;
    pub const PROTOCOL: &'static str = "mcp";

    /// Classes and detectors of everything found in it, each once: what policy rules match on.
    #[must_use]
    pub fn data_classes(&self) -> Vec<&'static str> {
        let mut names: Vec<_> = self.findings.iter().flat_map(|f| [f.class.name(), f.detector]).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Who was spoken to: the HTTP authority, or else the name the server gave itself.
    #[must_use]
    pub fn server(&self) -> Option<&str> {
        self.host.as_deref().or(self.server_name.as_deref())
    }
}

/// What a JSON-RPC message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    #[default]
    Request,
    Response,
    Notification,
}

/// A JSON-RPC id: its JSON text (`1`, `"a"`, `null`), a number with the digits of the wire. Only a whole number below
/// 2^53 of another spelling (`1.0`, `1e0`) is rewritten, to that of its response.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Id(pub(crate) String);

impl Id {
    /// JSON text.
    #[must_use]
    pub fn as_json(&self) -> &str {
        &self.0
    }
}

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Through a `Value` a number would lose digits.
        if self.0.starts_with(|c: char| c == '-' || c.is_ascii_digit())
            && let Ok(number) = RawValue::from_string(self.0.clone())
        {
            return number.serialize(serializer);
        }
        match serde_json::from_str::<serde_json::Value>(&self.0) {
            Ok(value) => value.serialize(serializer),
            Err(_) => serializer.serialize_str(&self.0),
        }
    }
}

impl Serialize for Message {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("Message", 28)?;
        out.serialize_field("protocol", Self::PROTOCOL)?;
        out.serialize_field("transport", &self.transport)?;
        out.serialize_field("direction", &self.direction)?;
        out.serialize_field("revision", &self.revision)?;
        out.serialize_field("kind", &self.kind)?;
        out.serialize_field("method", &self.method)?;
        out.serialize_field("tool", &self.tool)?;
        out.serialize_field("prompt", &self.prompt)?;
        out.serialize_field("uri", &self.uri)?;
        out.serialize_field("id", &self.id)?;
        out.serialize_field("session", &self.session)?;
        out.serialize_field("server", &self.server())?;
        out.serialize_field("client_name", &self.client_name)?;
        out.serialize_field("server_name", &self.server_name)?;
        out.serialize_field("host", &self.host)?;
        out.serialize_field("path", &self.path)?;
        out.serialize_field("http_method", &self.http_method)?;
        out.serialize_field("status", &self.status)?;
        out.serialize_field("confidence", &self.confidence)?;
        out.serialize_field("signals", &self.signals)?;
        out.serialize_field("size", &self.size)?;
        out.serialize_field("sha256", &self.sha256)?;
        out.serialize_field("findings", &self.findings)?;
        out.serialize_field("findings_omitted", &self.findings_omitted)?;
        out.serialize_field("error", &self.error)?;
        out.serialize_field("duplicate_keys", &self.duplicate_keys)?;
        out.serialize_field("header_mismatch", &self.header_mismatch)?;
        out.serialize_field("truncated", &self.truncated)?;
        out.end()
    }
}
