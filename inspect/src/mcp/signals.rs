//! The signals and what each is worth. This is the only place where confidence comes from.

/// One observation that speaks for MCP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Signal {
    pub(crate) name: &'static str,
    /// Probability, in percent, that a JSON-RPC message with only this signal is MCP.
    percent: u8,
}

macro_rules! signals {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $percent:literal;)*) => {
        $($(#[$doc])* pub(crate) const $name: Signal = Signal { name: $text, percent: $percent };)*
    };
}

signals! {
    // Headers only MCP uses.
    /// `Mcp-Method`, `Mcp-Name` or `Mcp-Param-*`: 2026-07-28.
    HEADER_METHOD = "header.mcp-method", 99;
    /// `Mcp-Session-Id`: 2025-03-26 to 2025-11-25.
    HEADER_SESSION = "header.mcp-session-id", 99;
    /// `MCP-Protocol-Version`: 2025-06-18 and later.
    HEADER_VERSION = "header.mcp-protocol-version", 99;
    /// `Sec-WebSocket-Protocol: mcp`.
    HEADER_WEBSOCKET = "header.sec-websocket-protocol", 99;

    // The message itself.
    /// A key `io.modelcontextprotocol/...` in `_meta`: 2026-07-28.
    META = "meta.io.modelcontextprotocol", 99;
    /// A method name no other known protocol uses.
    METHOD = "method.mcp", 98;
    /// A method name other protocols use too (ping, tasks/get, elicitation/create, initialize).
    METHOD_SHARED = "method.shared", 50;
    /// `tasks/*` with `params.taskId`; A2A has `params.id`.
    TASK_ID = "params.task-id", 45;
    /// `elicitation/create` with a schema, and without the `sessionId` of ACP.
    ELICITATION = "params.elicitation", 80;
    /// `initialize` whose `protocolVersion` is a date.
    INITIALIZE = "initialize.protocol-version-date", 90;
    /// `initialize` with `capabilities` and `clientInfo` besides.
    INITIALIZE_INFO = "initialize.client-info", 60;
    /// A result with a dated `protocolVersion`, `capabilities` and `serverInfo`.
    RESULT_INITIALIZE = "result.initialize", 98;
    /// A result with `supportedVersions` of dates: `server/discover`.
    RESULT_DISCOVER = "result.discover", 95;
    /// A result with `tools` that have an `inputSchema`.
    RESULT_TOOLS = "result.tools", 95;
    /// A result with typed `content` blocks and `isError`, `structuredContent` or `resultType`.
    RESULT_CALL = "result.call", 90;
    /// A result with typed `content` blocks alone.
    RESULT_CONTENT = "result.content", 75;
    /// A result that lists resources, templates, prompts or roots the way MCP does.
    RESULT_LIST = "result.list", 80;
    /// A result with `contents` (resources/read), `messages` (prompts/get), `completion`, or a task.
    RESULT_SHAPE = "result.shape", 75;
    /// A result of type input_required with `inputRequests`: 2026-07-28.
    RESULT_INPUT = "result.input-required", 95;
    /// `resultType` complete, input_required or task: 2026-07-28.
    RESULT_TYPE = "result.type", 60;
    /// Error -32022 that lists the supported revisions by date: 2026-07-28.
    ERROR_REVISIONS = "error.supported-revisions", 90;
    /// Error -32020 that calls itself HeaderMismatch: 2026-07-28.
    ERROR_HEADER = "error.header-mismatch", 80;
    /// A JSON-RPC error code of MCP's own range, or a message only MCP servers send.
    ERROR_CODE = "error.mcp-code", 60;
    /// A response whose request was recognised on this connection.
    PAIRED = "paired", 95;

    // Where it was seen.
    /// MCP was recognised earlier on this connection (for HTTP: on this path).
    CONNECTION = "connection.mcp", 85;
    /// The request of this HTTP exchange was recognised.
    EXCHANGE = "exchange.mcp", 90;
    /// The event `endpoint` of the HTTP+SSE transport (2024-11-05) came first on this event stream.
    SSE_ENDPOINT = "sse.endpoint", 90;
    /// `Accept` lists both application/json and text/event-stream.
    ACCEPT_BOTH = "header.accept-both", 50;
    /// `/message?sessionId=...`: the legacy endpoint as the SDKs make it.
    PATH_LEGACY = "path.legacy-endpoint", 60;
    /// Path `/mcp` or `/sse`, or a host `mcp.*`.
    PATH_MCP = "path.mcp", 30;
}

/// Least confidence at which a message is reported.
const THRESHOLD: f64 = 0.7;
/// A method this crate does not know may be an extension or somebody else's protocol on the same connection.
const UNKNOWN_METHOD: f64 = 0.85;

/// Signals of one message.
#[derive(Debug, Default)]
pub(crate) struct Evidence {
    signals: Vec<Signal>,
}

impl Evidence {
    pub(crate) fn add(&mut self, signal: Signal) {
        if !self.signals.contains(&signal) {
            self.signals.push(signal);
        }
    }

    pub(crate) fn add_if(&mut self, condition: bool, signal: Signal) {
        if condition {
            self.add(signal);
        }
    }

    /// Whether a single signal proves MCP.
    pub(crate) fn certain(&self) -> bool {
        self.signals.iter().any(|signal| signal.percent >= 98)
    }

    /// Signals taken as independent: 1 - product of (1 - weight). `None` below the threshold.
    pub(crate) fn confidence(&self, unknown_method: bool) -> Option<f64> {
        let doubt: f64 = self.signals.iter().map(|s| 1.0 - f64::from(s.percent) / 100.0).product();
        let confidence = (1.0 - doubt) * if unknown_method { UNKNOWN_METHOD } else { 1.0 };
        (confidence >= THRESHOLD).then_some((confidence * 1000.0).round() / 1000.0)
    }

    pub(crate) fn names(&self) -> Vec<&'static str> {
        self.signals.iter().map(|signal| signal.name).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weak_signals_add_up() {
        let mut evidence = Evidence::default();
        evidence.add(METHOD_SHARED);
        assert_eq!(evidence.confidence(false), None);
        evidence.add(ACCEPT_BOTH);
        evidence.add(ACCEPT_BOTH);
        assert_eq!(evidence.confidence(false), Some(0.75));
        assert_eq!(evidence.confidence(true), None);
    }
}
