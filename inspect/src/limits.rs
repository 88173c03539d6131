//! Caps of one inspector. What is over a cap is counted and reported, never silently dropped.

/// Caps per connection. Every buffer the inspector holds is bounded by one of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Largest HTTP head, per direction. Servers stop between 8 KiB (nginx) and 64 KiB (IIS); default 64 KiB.
    pub head_bytes: usize,
    /// Largest JSON message: an HTTP body, an SSE event, a line. Default 4 MiB, and 64 KiB for the envelope around a
    /// 4 MiB argument. Of a larger one the beginning is inspected.
    pub message_bytes: usize,
    /// Requests waiting for their response, per connection; the oldest is forgotten first. Default 256.
    pub pending_requests: usize,
    /// Messages reported of one batch array, against a document of nothing but tiny messages. Default 4096.
    pub batch_messages: usize,
    /// JSON levels named in [`Finding::where_`](crate::Finding::where_). Deeper strings are still searched, under the
    /// name of their ancestor. Default 16.
    pub path_depth: usize,
    /// Findings reported per detector and message (or block of text); the rest is counted in
    /// [`Message::findings_omitted`](crate::Message::findings_omitted). Default 64.
    pub findings: usize,
    /// Search content that is not MCP as well ([`Item::Findings`](crate::Item::Findings)). Default true; a host that
    /// only cares for MCP turns it off and saves most of the work on unrelated traffic. Does not apply to
    /// [`Transport::Text`](crate::Transport::Text), which has nothing else to offer.
    pub search_other: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head_bytes: 64 << 10,
            message_bytes: (4 << 20) + (64 << 10),
            pending_requests: 256,
            batch_messages: 4096,
            path_depth: 16,
            findings: 64,
            search_other: true,
        }
    }
}
