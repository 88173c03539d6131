//! MCP messages that clients send.
use serde_json::{Value, json};

/// Header fields of a streamable HTTP POST (MCP 2025-06-18, Transports, "Sending Messages to the Server").
pub const HEADERS: [(&str, &str); 3] = [
    ("content-type", "application/json"),
    ("accept", "application/json, text/event-stream"),
    ("mcp-protocol-version", "2025-06-18"),
];

/// Where servers of this project's tests listen for MCP.
pub const PATH: &str = "/mcp";

/// `tools/call` of a tool named `echo` with `text` as its argument.
pub fn echo_call(id: u64, text: &str) -> String {
    call(id, "echo", &json!({ "message": text }))
}

/// `tools/call` with any arguments. The keys stand as the SDKs write them: of a large request that is stopped on its
/// way, only the beginning is there to be recognised.
pub fn call(id: u64, tool: &str, arguments: &Value) -> String {
    let tool = json!(tool);
    format!(
        r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":{tool},"arguments":{arguments}}}}}"#
    )
}

/// A well-formed result for any request with this id.
pub fn result(id: &Value) -> String {
    json!({"jsonrpc": "2.0", "id": id, "result": {"content": [{"type": "text", "text": "ok"}]}}).to_string()
}
