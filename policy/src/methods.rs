//! The methods of MCP, from `schema.ts` of the five protocol revisions 2024-11-05 to 2026-07-28 and their extensions.

/// A method of the protocol.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Method {
    pub(crate) name: &'static str,
    /// Seeing `"method":"NAME"` alone proves MCP. Not so for names that other JSON-RPC protocols use too (LSP and ACP:
    /// `initialize`, `elicitation/create`; A2A: `tasks/*`) or that are common words.
    pub(crate) specific: bool,
}

const fn specific(name: &'static str) -> Method {
    Method { name, specific: true }
}

const fn shared(name: &'static str) -> Method {
    Method { name, specific: false }
}

/// Every known method.
pub(crate) const METHODS: &[Method] = &[
    shared("initialize"),
    shared("ping"),
    specific("server/discover"),
    specific("subscriptions/listen"),
    specific("tools/list"),
    specific("tools/call"),
    specific("resources/list"),
    specific("resources/templates/list"),
    specific("resources/read"),
    specific("resources/subscribe"),
    specific("resources/unsubscribe"),
    specific("resources/directory/read"),
    specific("prompts/list"),
    specific("prompts/get"),
    specific("completion/complete"),
    specific("logging/setLevel"),
    specific("roots/list"),
    specific("sampling/createMessage"),
    shared("elicitation/create"),
    shared("tasks/get"),
    shared("tasks/result"),
    shared("tasks/list"),
    shared("tasks/update"),
    shared("tasks/cancel"),
    shared("skills/list"),
    shared("skills/get"),
    specific("notifications/initialized"),
    shared("notifications/cancelled"),
    shared("notifications/progress"),
    shared("notifications/message"),
    shared("notifications/tasks"),
    shared("notifications/tasks/status"),
    specific("notifications/elicitation/complete"),
    specific("notifications/roots/list_changed"),
    specific("notifications/tools/list_changed"),
    specific("notifications/prompts/list_changed"),
    specific("notifications/resources/list_changed"),
    specific("notifications/resources/updated"),
    specific("notifications/subscriptions/acknowledged"),
];
