//! Method names of all five revisions and the published extensions (mcp-wire.md table 1.2).

/// How far a method name alone speaks for MCP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known {
    /// Only MCP has it.
    Exclusive,
    /// Other JSON-RPC protocols have it too.
    Shared,
    Unknown,
}

/// MCP's own names.
const EXCLUSIVE: &[&str] = &[
    "tools/call",
    "tools/list",
    "resources/list",
    "resources/templates/list",
    "resources/read",
    "resources/subscribe",
    "resources/unsubscribe",
    "resources/directory/read",
    "prompts/list",
    "prompts/get",
    "completion/complete",
    "logging/setLevel",
    "roots/list",
    "sampling/createMessage",
    "server/discover",
    "subscriptions/listen",
    "skills/list",
    "skills/get",
    "notifications/initialized",
    "notifications/cancelled",
    "notifications/progress",
    "notifications/message",
    "notifications/roots/list_changed",
    "notifications/tools/list_changed",
    "notifications/prompts/list_changed",
    "notifications/resources/list_changed",
    "notifications/resources/updated",
    "notifications/tasks/status",
    "notifications/tasks",
    "notifications/elicitation/complete",
    "notifications/subscriptions/acknowledged",
];

/// Names MCP shares: LSP and ACP (initialize), A2A (tasks/*), ACP (elicitation/create), anybody (ping).
const SHARED: &[&str] = &[
    "initialize",
    "ping",
    "tasks/get",
    "tasks/result",
    "tasks/list",
    "tasks/update",
    "tasks/cancel",
    "elicitation/create",
];

pub(crate) fn known(method: &str) -> Known {
    if EXCLUSIVE.contains(&method) {
        Known::Exclusive
    } else if SHARED.contains(&method) {
        Known::Shared
    } else {
        Known::Unknown
    }
}

/// The member of `params` that names what the method acts on; `Mcp-Name` repeats it in 2026-07-28.
pub(crate) fn target(method: &str) -> Option<&'static str> {
    match method {
        "tools/call" | "prompts/get" => Some("name"),
        "resources/read"
        | "resources/subscribe"
        | "resources/unsubscribe"
        | "resources/directory/read"
        | "notifications/resources/updated" => Some("uri"),
        _ if method.starts_with("tasks/") => Some("taskId"),
        _ => None,
    }
}
